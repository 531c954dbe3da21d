"""The charts of a document: over-optimisation curves, and what a training run was paid for."""

from __future__ import annotations

from markupsafe import Markup

from trueward.report.charts import Axis, Mark, Panel, Series, known, line_chart, spaced, ticks_inside
from trueward.report.document import Curve, RolloutLog
from trueward.report.sentences import curve_said, log_said, peak_index, pooled

# Two lines share an axis while neither is so much smaller than both together that its shape would be lost.
_SMALLEST_PART = 0.25


def over_optimisation(curve: Curve, name: str) -> Markup:
    """Expected proxy and gold against KL (below) and n (above), with bands; the n at which gold is highest is marked.

    Proxy and gold share an axis where their numbers allow it, and have one each otherwise.

    Args:
        curve: any; an empty one gives an empty string.
        name: the beginning of the element ids; unique on the page.
    """
    kl = [place for place in map(known, curve["kl"]) if place is not None]
    if not kl or len(kl) != len(curve["kl"]) or len(kl) != len(curve["n"]):
        return Markup("")
    proxy = Series("proxy", curve["proxy_mean"], curve["proxy_low"], curve["proxy_high"])
    gold = Series("gold", curve["gold_mean"], curve["gold_low"], curve["gold_high"])
    if _one_scale(proxy, gold):
        panels, place = [Panel("expected reward", (proxy, gold))], (0, 1)
    else:
        panels, place = [Panel("expected proxy", (proxy,)), Panel("expected gold", (gold,))], (1, 0)
    bottom = Axis("KL from the policy, at most (nats)", ticks_inside(kl))
    counts = [(place, f"{n:,}") for place, n in zip(kl, curve["n"], strict=True)]
    top = Axis("n, samples that the best is chosen from", spaced(counts, min(kl), max(kl)))
    peak = peak_index(curve)
    mark = Mark(kl[peak], f"gold is highest at n = {curve['n'][peak]:,}", *place)
    return line_chart(
        kl,
        panels,
        bottom,
        name=name,
        title=f"{curve['proxy']} and {curve['gold']} under best-of-n",
        description=curve_said(curve),
        top=top,
        marks=[mark],
    )


def _one_scale(proxy: Series, gold: Series) -> bool:
    """Whether both lines can be read on one axis: both between 0 and 1, or of similar extent."""
    extents = []
    for series in (proxy, gold):
        drawn = [value for value in map(known, (*series.values, *series.low, *series.high)) if value is not None]
        if not drawn:
            return True
        extents.append((min(drawn), max(drawn)))
    low, high = min(extent[0] for extent in extents), max(extent[1] for extent in extents)
    if low >= 0 and high <= 1:
        return True
    return min(end - begin for begin, end in extents) >= _SMALLEST_PART * (high - low)


def exploits_over_steps(log: RolloutLog, name: str) -> Markup:
    """Share of the paid completions that are exploits over the steps of training, and the mean reward below it.

    Args:
        log: any; one without steps gives an empty string.
        name: the beginning of the element ids; unique on the page.
    """
    steps = pooled(log["steps"])
    if not steps:
        return Markup("")
    x = [float(step["step"]) for step in steps]
    banded = [step if known(step["share"]) is not None else None for step in steps]
    share = Series(
        "wrong",
        [step["share"] for step in steps],
        [step["low"] if step else None for step in banded],
        [step["high"] if step else None for step in banded],
    )
    panels = [Panel("exploits / paid", (share,), percent=True, least=0.0)]
    rewards = [step["mean_reward"] for step in steps]
    if any(known(value) is not None for value in rewards):
        panels.append(Panel("mean reward", (Series("plain", rewards),)))
    first = log["first_step"]
    marks = [Mark(float(first), f"first exploit: step {first:,}")] if first is not None else []
    return line_chart(
        x,
        panels,
        Axis("training step", ticks_inside(x, whole=True)),
        name=name,
        title="Share of the paid completions that are exploits, over training steps",
        description=log_said(log),
        marks=marks,
    )
