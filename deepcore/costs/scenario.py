"""The numbers that the cost formulas are filled with (section 7 and Appendix E of the CLD paper)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from deepcore.common.checks import UsageError, check_positive
from deepcore.selection.budget import Budget

NETS = ("proxy", "large")


@dataclass(frozen=True)
class Scenario:
    """The numbers for the cost formulas; symbols as in the paper.

    Attributes:
        N, Q, k: candidates, validation (query) rows, coreset size.
        d: numbers in one input, which the paper takes for the feature dimension of its caches.
        num_classes: c.
        f_proxy, f_large: FLOPs of one example's forward pass.
        T, T_proxy: epochs of the target and of the proxy; T is fractional when the target is given in steps.
        T_early: epochs on all data before training on the coreset begins (Forgetting, EL2N, GraNd).
        T_proxy_early: epochs that DUAL reads.
        T_first: epochs that CLD's short form reads (45 of 90 in the paper).
        b_proxy, b_large: FLOPs of one example's backward pass; None for twice the forward pass.
        madd_proxy, madd_large: how many operations f and b count for one multiply-add, 1 or 2.
        params_proxy, params_large: parameters, for information.
        n_test: test rows.
        F: penultimate features.
        R_early, R_curv: networks of EL2N and GraNd; probes of SloCurv.
        J: window of TDDS, Dyn-Unc and DUAL.
        gamma, epsilon: Glister's epochs between selections and tolerance of its stochastic greedy.
        K_max: PGD steps of BoundarySet-CCS, taken by every sample.
        T_own: epochs of TAP's training on the validation rows.
    """

    N: int
    Q: int
    k: int
    d: int
    num_classes: int
    f_proxy: float
    f_large: float
    T: float
    T_proxy: int
    T_early: int
    T_proxy_early: int
    T_first: int
    b_proxy: float | None = None
    b_large: float | None = None
    madd_proxy: int = 2
    madd_large: int = 2
    params_proxy: int | None = None
    params_large: int | None = None
    n_test: int = 0
    F: int = 512
    R_early: int = 10
    R_curv: int = 10
    J: int = 10
    gamma: float = 20
    epsilon: float = 0.01
    K_max: int = 50
    T_own: int = 10

    def __post_init__(self) -> None:
        for name in ("N", "k", "d", "num_classes", "T_proxy", "T_early", "T_proxy_early", "T_first", "F"):
            check_positive(name, getattr(self, name), whole=True)
        for name in ("R_early", "R_curv", "J", "K_max", "T_own"):
            check_positive(name, getattr(self, name), whole=True)
        for name in ("Q", "n_test"):
            check_positive(name, getattr(self, name), whole=True, zero=True)
        for name in ("f_proxy", "f_large", "T", "gamma", "epsilon"):
            check_positive(name, getattr(self, name))
        for name in ("b_proxy", "b_large", "params_proxy", "params_large"):
            if getattr(self, name) is not None:
                check_positive(name, getattr(self, name))
        for name in ("madd_proxy", "madd_large"):
            if getattr(self, name) not in (1, 2):
                raise UsageError(
                    f"{name} is {getattr(self, name)!r}: a multiply-add counts as 1 or 2 operations"
                )
        if self.epsilon >= 1:
            raise UsageError(f"epsilon is {self.epsilon}: a tolerance is above 0 and below 1")
        if self.k > self.N:
            raise UsageError(
                f"k is {self.k} with N = {self.N}: a coreset holds at most all N samples; give a smaller k"
            )
        for part in ("T_proxy_early", "T_first"):
            if getattr(self, part) > self.T_proxy:
                raise UsageError(
                    f"{part} is {getattr(self, part)} with T_proxy = {self.T_proxy}: these epochs are among "
                    f"the proxy's; give at most {self.T_proxy}"
                )

    @classmethod
    def paper(cls) -> Scenario:
        """Appendix E: a 10% coreset of ImageNet-1k, ResNet-18 proxy, ResNet-50 target, 90 epochs each.

        Its f counts a multiply-add once, its f_large twice: `consistent()` mends that.
        """
        return cls(
            N=1_268_355,
            Q=12_812,
            k=126_836,
            d=224 * 224 * 3,
            num_classes=1000,
            f_proxy=1_818_228_160,
            f_large=8_178_000_000,
            madd_proxy=1,
            params_proxy=11_689_128,
            params_large=25_557_032,
            n_test=50_000,
            T=90,
            T_proxy=90,
            T_early=10,
            T_proxy_early=50,
            T_first=45,
        )

    @classmethod
    def measured(
        cls,
        *,
        N: int,
        Q: int,
        k: int,
        d: int,
        num_classes: int,
        F: int,
        n_test: int,
        proxy: Mapping[str, float],
        large: Mapping[str, float],
        T: float,
        T_proxy: int,
    ) -> Scenario:
        """A setting of one's own. The paper's early lengths (10, 50 and 45 of 90 epochs) keep their shares.

        Args:
            N, Q, k, d, num_classes, F, n_test, T, T_proxy: as the attributes.
            proxy, large: {"forward", "backward"}: FLOPs per example, 2 per multiply-add, as
                `deepcore.nets.flops.flops_per_example` returns them.
        """
        check_positive("T", T)
        check_positive("T_proxy", T_proxy, whole=True)

        def share(part: int, whole: float) -> int:
            return max(1, round(whole * part / 90))

        return cls(
            N=N,
            Q=Q,
            k=k,
            d=d,
            num_classes=num_classes,
            F=F,
            n_test=n_test,
            f_proxy=proxy["forward"],
            b_proxy=proxy["backward"],
            f_large=large["forward"],
            b_large=large["backward"],
            T=T,
            T_proxy=T_proxy,
            T_early=share(10, T),
            T_proxy_early=share(50, T_proxy),
            T_first=share(45, T_proxy),
        )

    @property
    def T_late(self) -> float:
        """Epochs on the coreset for the methods that spent T_early of T on everything; none left is 0."""
        return max(self.T - self.T_early, 0)

    @property
    def fraction(self) -> float:
        """The shortest decimal fraction whose budget of N is k (126,836 of 1,268,355 is 0.1)."""
        for digits in range(1, 17):
            fraction = round(self.k / self.N, digits)
            if 0 < fraction <= 1 and Budget.of(fraction, self.N).k == self.k:
                return fraction
        return self.k / self.N

    def flops(self, net: str, forward: float, backward: float) -> float:
        """FLOPs of so many example passes through `net` ("proxy" or "large")."""
        f, b = getattr(self, f"f_{net}"), getattr(self, f"b_{net}")
        return forward * f + backward * (2 * f if b is None else b)

    def consistent(self) -> Scenario:
        """The same with 2 operations per multiply-add in both networks."""
        changes: dict[str, float | None] = {}
        for net in NETS:
            factor = 2 // getattr(self, f"madd_{net}")
            b = getattr(self, f"b_{net}")
            changes |= {f"f_{net}": getattr(self, f"f_{net}") * factor, f"madd_{net}": 2}
            changes[f"b_{net}"] = None if b is None else b * factor
        return dataclasses.replace(self, **changes)

    def with_symbols(self, **values: float) -> Scenario:
        """The same with some symbols set. Epochs beyond the proxy's are cut to the proxy's."""
        epochs = min(values.get("T_proxy", self.T_proxy), self.T_proxy)
        for name in ("T_proxy", "T_proxy_early", "T_first"):
            values[name] = min(values.get(name, getattr(self, name)), epochs)
        return dataclasses.replace(self, **values)
