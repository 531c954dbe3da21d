"""What is claimed of a published system, and how it is put to the test: arms, metrics, the claim as code.

A recipe is data and one function. The data says what is compared with what and when the claim counts as shown; the
function does one run. Nothing here runs anything, so that a claim can be read, and committed, before its first run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from trueward.errors import EvidenceError

if TYPE_CHECKING:
    from trueward.evidence.run import Run

Settings = Mapping[str, Any]
"""Flat names to JSON values: {"reward.k": 1.0, "train.steps": 250}."""

Role = Literal["method", "baseline", "ablation", "control", "reference"]


@dataclass(frozen=True)
class Arm:
    """One thing that is run.

    Attributes:
        name: short, unique in its recipe.
        about: one line: what it is, in the words of the field.
        role: the method; a strong baseline; the method without its key idea (ablation); something that must not
            work (control); anything shown for orientation (reference).
        settings: what differs from the recipe's settings.
        tuned: settings that are chosen on the tuning seeds, each with its candidates; their product is tried. Method
            and baselines of a recipe have the same number of combinations.
        full: runs only at scale "full".
    """

    name: str
    about: str
    role: Role
    settings: Settings = field(default_factory=dict)
    tuned: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    full: bool = False


@dataclass(frozen=True)
class Metric:
    """A number that every run returns.

    Attributes:
        name: key in what the run returns.
        about: one line.
        better: which way is good; None where neither is.
        unit: "share", "nats", "tokens"; "" for none.
    """

    name: str
    about: str
    better: Literal["higher", "lower"] | None = "higher"
    unit: str = ""


@dataclass(frozen=True)
class Comparison:
    """One statement about means over seeds, decided by an interval of the paired differences.

    The difference of a seed is d = metric(a) − metric(b), or metric(a) − by where there is no b.

    Attributes:
        kind: "greater": mean d > by (with b) or > 0 (without); "within": |mean d| ≤ margin; "less": the mirror image of
            "greater", mean d < −by, or < 0.
        a: an arm.
        b: another arm; None to compare with the number `by` alone.
        metric: name of the metric.
        by: what is asked beyond 0, or, without b, the number compared with.
        margin: of "within".
        metric_b: metric of arm b, where it is another one.
    """

    kind: Literal["greater", "less", "within"]
    a: str
    b: str | None
    metric: str
    by: float = 0.0
    margin: float = 0.0
    metric_b: str | None = None

    @property
    def text(self) -> str:
        """The statement in one line."""
        left = f"{self.metric}({self.a})"
        if self.kind == "within":
            return f"|{left} − {self.metric_b or self.metric}({self.b})| ≤ {self.margin:g}"
        sign = ">" if self.kind == "greater" else "<"
        if self.b is None:
            return f"{left} {sign} {self.by:g}"
        by = self.by if self.kind == "greater" else -self.by
        shift = "" if by == 0 else f" {'+' if by > 0 else '−'} {abs(by):g}"
        return f"{left} {sign} {self.metric_b or self.metric}({self.b}){shift}"


def greater(a: str, b: str, metric: str, by: float = 0.0, *, metric_b: str | None = None) -> Comparison:
    """Arm a beats arm b in a metric by more than `by`."""
    return Comparison("greater", a, b, metric, by=by, metric_b=metric_b)


def less(a: str, b: str, metric: str, by: float = 0.0, *, metric_b: str | None = None) -> Comparison:
    """Arm a stays below arm b in a metric by more than `by`."""
    return Comparison("less", a, b, metric, by=by, metric_b=metric_b)


def within(a: str, b: str, metric: str, margin: float) -> Comparison:
    """Arms a and b differ in a metric by at most `margin`."""
    return Comparison("within", a, b, metric, margin=margin)


def above(a: str, metric: str, number: float) -> Comparison:
    """A metric of one arm lies above a number."""
    return Comparison("greater", a, None, metric, by=number)


def below(a: str, metric: str, number: float) -> Comparison:
    """A metric of one arm lies below a number."""
    return Comparison("less", a, None, metric, by=number)


@dataclass(frozen=True)
class Falsifier:
    """A line under which the source of a recipe would count its claim as refuted.

    Attributes:
        text: in words.
        any_of: it is met when any of these is shown.
    """

    text: str
    any_of: tuple[Comparison, ...]


@dataclass(frozen=True)
class Recipe:
    """A published system, put to the test.

    Attributes:
        name: as typed on the command line.
        title: of the system.
        paper: authors, title, year, address.
        claim: in one sentence.
        arms: in the order in which they are shown.
        metrics: what every run returns.
        claims: the claim as code: all must hold for "shown".
        preconditions: what must be seen for the test bed to mean anything (the fixed reward is hacked); else "void".
        falsifiers: when the claim would count as refuted.
        tuned_on: the metric by which tuned settings are chosen, on the tuning seeds.
        settings: what all arms share.
        scales: changes per scale; "small" is what results are reported for.
        run: does one run and returns every metric.
        parts: addresses of the parts that it is made of (`trueward.rewards.transforms.win_probability`).
        notes: what to know of the test bed before believing the verdict: where it departs from the paper, how it was
            built, what the result depends on.
        at_scale: how to use the system with public models, a few lines of Markdown.
        seeds, tuning_seeds: disjoint.
    """

    name: str
    title: str
    paper: str
    claim: str
    arms: tuple[Arm, ...]
    metrics: tuple[Metric, ...]
    claims: tuple[Comparison, ...]
    preconditions: tuple[Comparison, ...]
    falsifiers: tuple[Falsifier, ...]
    tuned_on: str
    settings: Settings
    scales: Mapping[str, Settings]
    run: Callable[[Run], Mapping[str, float]]
    parts: tuple[str, ...]
    notes: str = ""
    at_scale: str = ""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    tuning_seeds: tuple[int, ...] = (1000, 1001)

    def __post_init__(self) -> None:
        """Raises `EvidenceError` when names do not fit together, seeds overlap, or tuning is not even-handed."""
        names, metrics = [arm.name for arm in self.arms], {metric.name for metric in self.metrics}
        if len(set(names)) < len(names):
            raise EvidenceError(f"recipe {self.name!r}: two arms have one name: {', '.join(names)}")
        statements = [*self.claims, *self.preconditions, *(c for f in self.falsifiers for c in f.any_of)]
        for statement in statements:
            for arm, metric in ((statement.a, statement.metric), (statement.b, statement.metric_b)):
                if (arm is not None and arm not in names) or (metric is not None and metric not in metrics):
                    raise EvidenceError(
                        f"recipe {self.name!r}: {statement.text!r} names an arm or metric that does not exist; arms: "
                        f"{', '.join(names)}; metrics: {', '.join(sorted(metrics))}"
                    )
        if self.tuned_on not in metrics:
            raise EvidenceError(f"recipe {self.name!r}: tuned on {self.tuned_on!r}, which is no metric")
        if set(self.seeds) & set(self.tuning_seeds):
            raise EvidenceError(
                f"recipe {self.name!r}: seeds {self.seeds} and tuning seeds {self.tuning_seeds} overlap"
            )
        tried = {arm.name: combinations(arm.tuned) for arm in self.arms if arm.role in ("method", "baseline")}
        most = max((len(tried[arm.name]) for arm in self.arms if arm.role == "baseline" and not arm.full), default=0)
        longer = [arm.name for arm in self.arms if arm.role == "method" and len(tried[arm.name]) > most]
        if longer:
            raise EvidenceError(
                f"recipe {self.name!r}: {', '.join(longer)} is tuned longer than any baseline; a baseline needs as "
                "many combinations"
            )

    def arm(self, name: str) -> Arm:
        """The arm with this name.

        Raises:
            EvidenceError: there is none.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise EvidenceError(
            f"recipe {self.name!r} has no arm {name!r}; its arms: {', '.join(arm.name for arm in self.arms)}"
        )

    def at(self, scale: str) -> dict[str, Any]:
        """Settings at a scale.

        Raises:
            EvidenceError: the recipe has no such scale.
        """
        if scale not in self.scales:
            raise EvidenceError(f"recipe {self.name!r} has no scale {scale!r}; its scales: {', '.join(self.scales)}")
        return {**self.settings, **self.scales[scale]}


def combinations(tuned: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of candidates; one empty combination where nothing is tuned."""
    found: list[dict[str, Any]] = [{}]
    for name, candidates in tuned.items():
        found = [{**chosen, name: value} for chosen in found for value in candidates]
    return found
