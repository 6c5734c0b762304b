"""The paper's total costs under two ways to count a multiply-add: totals, shares, order."""

from __future__ import annotations

from deepcore.costs.scenario import Scenario
from deepcore.report.cost_report import costs_of
from deepcore.report.text_table import TextTable


def convention_table(scenario: Scenario) -> TextTable:
    """Totals of the paper's protocol under both conventions, cheapest first, with ranks (ties share one)."""
    printed, consistent = totals(scenario), totals(scenario.consistent())
    rows = tuple(
        (
            name,
            f"{printed[name] / 1e15:,.3f}",
            f"{100 * printed[name] / printed['Full']:,.1f}",
            str(rank(printed, name)),
            f"{consistent[name] / 1e15:,.3f}",
            f"{100 * consistent[name] / consistent['Full']:,.1f}",
            str(rank(consistent, name)),
        )
        for name in sorted(printed, key=printed.__getitem__)
    )
    headers = (
        "method",
        "as printed\nPFLOPs",
        "% of\nFull",
        "rank",
        "consistent\nPFLOPs",
        "% of Full,\nconsistent",
        "rank,\nconsistent",
    )
    return TextTable("Total cost as the paper counts, and with 2 operations per multiply-add", headers, rows)


def convention_lines(scenario: Scenario) -> list[str]:
    """Sentences on what changes."""
    printed, consistent = totals(scenario), totals(scenario.consistent())
    grown = max(consistent[name] / printed[name] for name in printed)
    share = {name: [100 * t[name] / t["Full"] for t in (printed, consistent)] for name in printed}
    dearest = max((n for n in printed if share[n][0] < 100), key=lambda name: share[name][1])
    swaps = [
        f"{a} and {b}"
        for a in printed
        for b in printed
        if printed[a] < printed[b] and consistent[a] > consistent[b]
    ]
    order = f"These swap places: {', '.join(swaps)}." if swaps else "No two methods swap places."
    return [
        f"In the paper, f = {scenario.f_proxy:,.0f} counts a multiply-add as {scenario.madd_proxy} and "
        f"f_large = {scenario.f_large:,.0f} counts it as {scenario.madd_large}. With 2 in both, totals grow "
        f"by up to {100 * (grown - 1):.0f}%.",
        f"CLD goes from {printed['CLD'] / 1e15:,.3f} to {consistent['CLD'] / 1e15:,.3f} PFLOPs, that is from "
        f"{share['CLD'][0]:.1f}% to {share['CLD'][1]:.1f}% of Full.",
        f"{dearest} goes from {share[dearest][0]:.1f}% to {share[dearest][1]:.1f}% of Full.",
        f"Forgetting trains no proxy and stays at {printed['Forgetting'] / 1e15:,.3f} PFLOPs. CLD costs "
        f"{printed['CLD'] / printed['Forgetting']:.2f} times as much in the paper's counting and "
        f"{consistent['CLD'] / consistent['Forgetting']:.2f} times as much in the consistent one.",
        order,
    ]


def totals(scenario: Scenario) -> dict[str, float]:
    """{printed name: total FLOPs in the paper's protocol} of every method."""
    return {cost.method: cost.total_flops for cost in costs_of(scenario, "paper", "paper")}


def rank(totals: dict[str, float], name: str) -> int:
    """1 for the cheapest; equal totals share the better rank."""
    return 1 + sum(other < totals[name] * (1 - 1e-12) for other in totals.values())
