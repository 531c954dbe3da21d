"""An over-optimisation curve on a terminal: one line for each n, and what the curve shows."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from trueward.report.document import Curve
from trueward.report.escape import visible

_LONGEST_NAME = 24
_LONGEST_NOTICE = 400


def curve_lines(curve: Curve) -> list[str]:
    """A title, a table of n, KL, proxy and gold with their intervals (and pass@n), and the notices.

    Example:
        n     KL   reward           95 %   correct           95 %
        1   0.00    0.450   [.430, .470]     0.420   [.390, .450]
        16  1.84    0.840   [.820, .860]     0.640   [.610, .670]  gold peaks
    """
    proxy, gold = (visible(curve[name], _LONGEST_NAME) for name in ("proxy", "gold"))
    has_pass = curve["pass_at_k"] is not None
    table = [["n", "KL", proxy, "95 %", gold, "95 %", *(["pass@n"] if has_pass else []), ""]]
    for index, n in enumerate(curve["n"]):
        cells = [f"{n:,}", f"{curve['kl'][index]:.2f}"]
        cells += _with_interval(curve["proxy_mean"], curve["proxy_low"], curve["proxy_high"], index)
        cells += _with_interval(curve["gold_mean"], curve["gold_low"], curve["gold_high"], index)
        cells += [f"{curve['pass_at_k'][index]:.3f}"] if curve["pass_at_k"] is not None else []
        table.append([*cells, "gold peaks" if n == curve["peak"] != curve["n"][-1] else ""])
    size = f"{curve['prompts']:,} prompts, {curve['samples']:,} samples each"
    title = f"{gold} under best-of-n by {proxy}: {visible(curve['source'], 120)} ({size})"
    notices = [visible(notice, _LONGEST_NOTICE) for notice in curve["notices"]]
    return [title, "", *aligned(table), *([""] if notices else []), *notices]


def _with_interval(mean: Sequence[float], low: Sequence[float], high: Sequence[float], index: int) -> list[str]:
    return [_shown(mean[index]), f"[{_shown(low[index])}, {_shown(high[index])}]"]


def _shown(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:.4g}"


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: every column but the last, a remark, set right."""
    widths = [max(cell_len(row[column]) for row in table) for column in range(len(table[0]) - 1)]
    lines = []
    for row in table:
        cells = [" " * (width - cell_len(cell)) + cell for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return lines
