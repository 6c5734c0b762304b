"""Which tasks may begin: a cell when the proxy runs that it reads are there."""

from __future__ import annotations

from collections.abc import Sequence

from deepcore.experiment.plan import Cell, ProxyTask, Which, runs_read
from deepcore.selection.method import ScoreMethod

Run = tuple[int, Which]  # of a proxy run


class Waiting:
    """The tasks that have not begun.

    Args:
        cells: to be run, in the order of the plan.
        proxies: runs that are not stored yet.
        longest_first: proxy runs before cells, large cells before small ones, and of these the methods that
            select by more than a score before the others, so that nothing long is left for the end; otherwise
            seed by seed, in the order of the plan.
    """

    def __init__(self, cells: Sequence[Cell], proxies: Sequence[ProxyTask], *, longest_first: bool) -> None:
        self._missing = {(proxy.seed, proxy.which) for proxy in proxies}
        if longest_first:
            self._proxies = list(proxies)
            self._cells = sorted(cells, key=_shortness)
            return
        seeds = list(dict.fromkeys(cell.seed for cell in cells))
        self._proxies = sorted(proxies, key=lambda proxy: seeds.index(proxy.seed))
        self._cells = list(cells)

    def __bool__(self) -> bool:
        return bool(self._proxies or self._cells)

    def leaves_room(self, proxy: ProxyTask, others: int, slots: int) -> bool:
        """Whether workers will have too little to do while this proxy run is trained: it, `others` that run
        already and the proxy runs left are fewer than `slots`, and most cells that could run wait for it."""
        run = (proxy.seed, proxy.which)
        for_it = sum(run in self._reads(cell) for cell in self._cells)
        ready = sum(not self._reads(cell) & self._missing for cell in self._cells)
        return others + 1 + len(self._proxies) < slots and ready < for_it

    def next(self, *, seed_by_seed: bool = False) -> ProxyTask | Cell | None:
        """A task that may begin, which is then no longer waiting; None when all wait for a proxy run.

        Args:
            seed_by_seed: begin a proxy run only when no cell of an earlier seed is left.
        """
        first = self._cells[0].seed if self._cells else None
        if self._proxies and not (seed_by_seed and self._proxies[0].seed != first):
            return self._proxies.pop(0)
        for i, cell in enumerate(self._cells):
            if not self._reads(cell) & self._missing:
                return self._cells.pop(i)
        return None

    def release(self, proxy: ProxyTask, *, failed: bool) -> list[Cell]:
        """A proxy run ended. Returns the cells that read it if it failed; they wait no longer, and neither do
        proxy runs that no other cell reads."""
        run = (proxy.seed, proxy.which)
        if not failed:
            self._missing.discard(run)
            return []
        lost = [cell for cell in self._cells if run in self._reads(cell)]
        self._cells = [cell for cell in self._cells if run not in self._reads(cell)]
        read = {run for cell in self._cells for run in self._reads(cell)}
        self._proxies = [proxy for proxy in self._proxies if (proxy.seed, proxy.which) in read]
        return lost

    def _reads(self, cell: Cell) -> set[Run]:
        return {(cell.seed, which) for which in runs_read(cell.method)}


def _shortness(cell: Cell) -> tuple[float, bool]:
    """Orders cells, the longest first."""
    return -(1.0 if cell.fraction is None else cell.fraction), isinstance(cell.method, ScoreMethod)
