"""The experiment document: what was measured of one published system, as plain JSON.

The file `results/NAME.json`, the terminal, the page and the table of systems are all made from it. It is written by
`json_file.write_json` and read by `experiment_file.read_experiment`. `SCHEMA_VERSION` is raised when a field changes
its meaning or disappears; new fields may appear within a version. A number that is not known, or not finite (the end of
an interval from one seed), is null.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

SCHEMA = "trueward-experiment"
SCHEMA_VERSION = 1

Verdict = Literal["shown", "contradicted", "unclear", "void"]
StatementState = Literal["holds", "fails", "open"]
FalsifierState = Literal["met", "not met", "undecided"]


class StatementResult(TypedDict):
    """A statement about means over seeds, with the interval that decides it."""

    text: str  # in one line: "gold(par) > gold(vanilla)"
    kind: Literal["greater", "less", "within"]
    metric: str
    a: str  # an arm
    b: str | None  # another arm; None: compared with the number `by`
    mean: float | None  # of the paired differences d over seeds
    low: float | None  # 95 % interval of d, Student's t
    high: float | None
    by: float  # with b: what is asked of d beyond 0; without: the number compared with, already subtracted in d
    margin: float  # of "within"
    state: StatementState  # fails: the interval lies wholly on the wrong side
    seeds: int  # pairs that d was measured on


class FalsifierResult(TypedDict):
    """A line under which the source of the system would count its claim as refuted."""

    text: str
    state: FalsifierState
    comparisons: list[StatementResult]  # met when any of them holds


class MetricAbout(TypedDict):
    """What a number of a run means."""

    name: str
    about: str
    better: Literal["higher", "lower"] | None
    unit: str  # "" for none


class MetricResult(TypedDict):
    """One metric of one arm over the reported seeds."""

    mean: float | None
    low: float | None  # 95 % interval of the mean over seeds, Student's t
    high: float | None
    values: dict[str, float | None]  # by seed


class Sample(TypedDict):
    """One rollout to look at. Texts are raw: whoever renders them escapes them."""

    seed: int
    step: int
    picked: str  # "best proxy", "worst gold", "random"
    prompt: str
    completion: str
    proxy: float | None
    gold: float | None


class ArmResult(TypedDict):
    """One arm: what it is, how it was set, what came out."""

    name: str
    about: str
    role: Literal["method", "baseline", "ablation", "control", "reference"]
    settings: dict[str, Any]  # all of them as they were run, the chosen ones included
    differs: dict[str, Any]  # those that are not the recipe's
    chosen: dict[str, Any]  # by tuning; {} where nothing is tuned
    metrics: dict[str, MetricResult]
    curves: dict[str, dict[str, list[float | None]]]  # seed → series ("step", "kl", "proxy", "gold", …), equally long
    samples: list[Sample]


class TuningRow(TypedDict):
    """One combination of candidates that was tried on the tuning seeds."""

    arm: str
    settings: dict[str, Any]
    values: dict[str, float | None]  # the metric tuned on, by seed
    mean: float | None
    chosen: bool


class RunFailure(TypedDict):
    """A run that gave no result."""

    arm: str
    seed: int
    error: str  # last line of the traceback


class ExperimentDocument(TypedDict):
    """Everything that is published of one experiment, and what is needed to repeat it."""

    schema: Literal["trueward-experiment"]
    schema_version: int
    recipe: str
    title: str
    paper: str
    claim: str
    verdict: Verdict
    why: str  # one sentence: what decided the verdict
    scale: str
    seeds: list[int]
    metrics: list[MetricAbout]
    claims: list[StatementResult]
    preconditions: list[StatementResult]
    falsifiers: list[FalsifierResult]
    arms: list[ArmResult]
    tuned_on: str  # the metric
    tuning: list[TuningRow]
    failures: list[RunFailure]
    parts: list[str]  # addresses of what the system is made of
    notes: str  # what to know of the test bed before believing the verdict
    at_scale: str  # Markdown: how to use the system with public models
    settings: dict[str, Any]  # what all arms share at this scale
    versions: dict[str, str]  # "python", "trueward", "torch", …
    commit: str | None
    seconds: float  # of all runs together
    command: str
    date: str  # ISO 8601, UTC
