"""Training runs in an audit of control: what they earned by the reward and by gold, as sentences and as a chart."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from trueward.measures.paired import mean_interval
from trueward.report.charts import Axis, Panel, Series, known, line_chart, ticks_inside
from trueward.report.document import ControlCurve, ControlRun
from trueward.report.wording import counted, number


def played_said(control: ControlRun) -> list[str]:
    """How the reward was audited, in short phrases."""
    gold = f", gold: {control['gold']}" if control["gold"] is not None else ""
    said = [
        f"in {control['environment']}{gold}",
        f"{counted(control['policies'], 'policy').replace('policys', 'policies')}, "
        f"{counted(control['steps'], 'step')} played",
    ]
    if control["seeds"]:
        both = " on the reward, and as many on gold" if control["gold"] is not None else " on the reward"
        said.append(f"{counted(control['seeds'], 'run')} of PPO of {control['training_steps']:,} steps{both}")
    said.append(
        f"returns are discounted by {number(control['discount'])} a step; an episode that was cut off counts as going "
        "on as it did"
    )
    return said


def runs_said(control: ControlRun) -> list[str]:
    """What optimising the reward did to gold; [] where nothing was trained, or nobody said what gold is."""
    if control["gap"] is None:
        return []
    more = control["gap"] >= 0
    band = ""
    if control["gap_low"] is not None and control["gap_high"] is not None:
        low, high = (control["gap_low"], control["gap_high"]) if more else (-control["gap_high"], -control["gap_low"])
        band = f" (95 % interval over seeds {number(low)} to {number(high)})"
    return [
        f"exploitation gap: a policy that was trained on gold has {number(abs(control['gap']))} "
        f"{'more' if more else 'less'} gold{band} than one that was trained on the reward"
    ]


def training_chart(control: ControlRun, name: str) -> Markup:
    """The return by the reward and by gold over the steps of training, mean over seeds with 95 % bands.

    Args:
        control: one without runs gives an empty string.
        name: the beginning of the element ids; unique on the page.
    """
    on_reward = [curve for curve in control["curves"] if curve["trained_on"] == "reward" and curve["steps"]]
    on_gold = [curve for curve in control["curves"] if curve["trained_on"] == "gold" and curve["steps"]]
    if not on_reward or len(on_reward[0]["steps"]) < 2:
        return Markup("")
    steps = [float(step) for step in on_reward[0]["steps"]]
    panels = [Panel("return: reward", (_series(on_reward, "reward", "proxy"),))]
    if on_gold:
        panels.append(Panel("return: gold", (_series(on_gold, "gold", "plain"), _series(on_reward, "gold", "gold"))))
    return line_chart(
        steps,
        panels,
        Axis("steps of training", ticks_inside(steps, whole=True)),
        name=name,
        title="What training on the reward earns, by the reward and by gold",
        description="; ".join(runs_said(control)) or "mean return of the episodes that ended in each update",
    )


def _series(curves: Sequence[ControlCurve], which: str, role: str) -> Series:
    values: list[tuple[float | None, float | None, float | None]] = []
    for place in range(len(curves[0]["steps"])):
        column = [curve["reward"] if which == "reward" else curve["gold"] for curve in curves]
        there = [value for one in column if place < len(one) and (value := known(one[place])) is not None]
        if len(there) < len(curves):
            values.append((None, None, None))
            continue
        interval = mean_interval(there)
        bounded = math.isfinite(interval.low)
        values.append((interval.mean, interval.low if bounded else None, interval.high if bounded else None))
    mean, low, high = zip(*values, strict=True)
    return Series(role, mean, low, high)
