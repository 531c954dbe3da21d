"""What the seeds of an arm say together: mean and 95 % band of every series, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from trueward.measures.paired import mean_interval
from trueward.report.charts import known
from trueward.report.experiment_document import ArmResult, ExperimentDocument

REWARDS = ("proxy", "gold")


@dataclass(frozen=True)
class Band:
    """A series over the steps: mean over seeds with Student's t interval; None where it is not known."""

    mean: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return all(value is None for value in self.mean)


@dataclass(frozen=True)
class ArmCurves:
    """The series of one arm.

    Attributes:
        name: of the arm.
        seeds: how many runs they are from.
        at: the steps, ascending; of `against_kl`: mean KL, ascending.
        kl: mean KL at each of them, None where it is not known.
        proxy, gold: their bands.
    """

    name: str
    seeds: int
    at: tuple[float, ...]
    kl: tuple[float | None, ...]
    proxy: Band
    gold: Band

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.at or (self.proxy.empty and self.gold.empty)


def arm_curves(arm: ArmResult) -> ArmCurves:
    """The series of an arm over the steps. A step that not every seed has is left out: a mean over fewer seeds would
    jump where a run ended early.
    """
    runs = [run for run in arm["curves"].values() if run.get("step")]
    places = [{step: place for place, step in enumerate(run["step"]) if step is not None} for run in runs]
    steps = sorted(set(places[0]).intersection(*places[1:])) if places else []

    def at(name: str, step: float) -> list[float | None]:
        series = [run.get(name, []) for run in runs]
        return [
            known(values[place[step]]) if place[step] < len(values) else None
            for values, place in zip(series, places, strict=True)
        ]

    def band(name: str) -> Band:
        three = [_interval(at(name, step)) for step in steps]
        return Band(*(tuple(numbers[end] for numbers in three) for end in range(3)))

    return ArmCurves(arm["name"], len(runs), tuple(steps), band("kl").mean, band("proxy"), band("gold"))


def against_kl(curves: ArmCurves) -> ArmCurves:
    """The same series over the mean KL from the first policy, in the order of the KL; empty where no KL was logged."""
    order = sorted((kl, place) for place, kl in enumerate(curves.kl) if kl is not None)

    def band(of: Band) -> Band:
        return Band(*(tuple(values[place] for _, place in order) for values in (of.mean, of.low, of.high)))

    kl = tuple(kl for kl, _ in order)
    return replace(curves, at=kl, kl=kl, proxy=band(curves.proxy), gold=band(curves.gold))


def thinned(curves: ArmCurves, most: int) -> ArmCurves:
    """At most `most` points, evenly spaced, the first and the last among them."""
    count = len(curves.at)
    if count <= most:
        return curves
    kept = sorted({round(place * (count - 1) / (most - 1)) for place in range(most)})

    def band(of: Band) -> Band:
        return Band(*(tuple(values[place] for place in kept) for values in (of.mean, of.low, of.high)))

    return replace(
        curves,
        at=tuple(curves.at[place] for place in kept),
        kl=tuple(curves.kl[place] for place in kept),
        proxy=band(curves.proxy),
        gold=band(curves.gold),
    )


def _interval(values: Sequence[float | None]) -> tuple[float | None, float | None, float | None]:
    """Mean and interval, None where a seed has no number; without ends from one seed."""
    numbers = [float(value) for value in values if value is not None]
    if len(numbers) < len(values) or not numbers:
        return None, None, None
    found = mean_interval(numbers)
    return found.mean, known(found.low), known(found.high)


def telling_arms(document: ExperimentDocument) -> list[ArmResult]:
    """The arms whose curves tell the story: the method, its baselines, and what must be seen (the hacked arm)."""
    seen = {name for statement in document["preconditions"] for name in (statement["a"], statement["b"])}
    return [arm for arm in document["arms"] if arm["role"] in ("method", "baseline") or arm["name"] in seen]
