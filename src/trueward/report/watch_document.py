"""The watch document: what was seen of a training run so far, as plain JSON.

The terminal, the page and the file of `--json` are all made from it; `json_file.write_json` writes it. `SCHEMA_VERSION`
is raised when a field changes its meaning or disappears; new fields may appear within a version. A number that is not
known is null. Texts are raw: whoever renders them escapes them.
"""

from __future__ import annotations

from typing import Literal, TypedDict

SCHEMA = "trueward-watch"
SCHEMA_VERSION = 1

Kind = Literal["alarm", "notice", "hint"]
State = Literal["alarm", "notice", "hint", "quiet"]
Probe = Literal["none", "asked", "logged", "run"]

KINDS: tuple[Kind, ...] = ("alarm", "notice", "hint")


class WatchExample(TypedDict):
    """A rollout that a notice rests on."""

    prompt: str
    completion: str
    reward: float | None
    gold: float | None  # what the check said of it; null where it was not checked
    why: str  # why it stands here; "" where the notice says it


class WatchNotice(TypedDict):
    """Something that was found."""

    kind: Kind
    source: str  # who found it
    step: int
    message: str
    examples: list[WatchExample]


class WatchDocument(TypedDict):
    """What was seen of a run."""

    schema: Literal["trueward-watch"]
    schema_version: int
    source: str  # the path
    format: str  # "TRL completions", "verl rollouts", "trueward rollouts", "monitor.jsonl"; "" before the first step
    reward: str  # which columns are the reward; "" where the run wrote down what was found
    probe: Probe  # who checks against gold: nobody, an address that was given, gold of the log, the run itself
    gold: str  # the address; "" for none
    budget: int | None  # checks a step; null where it is not known
    state: State  # the gravest of what was found
    steps: list[int]
    steps_planned: int | None
    completions: int | None
    series: dict[str, list[float | None]]  # name → one number a step
    notices: list[WatchNotice]  # in the order of the steps
    remarks: list[str]  # what was left out or assumed, one sentence each
    fail_on: Kind  # from which kind on the exit code is 1
    exit_code: int
    versions: dict[str, str]
    command: str
    date: str  # ISO 8601, UTC


def gravest(notices: list[WatchNotice]) -> State:
    """The gravest kind among notices; "quiet" for none."""
    return next((kind for kind in KINDS if any(notice["kind"] == kind for notice in notices)), "quiet")


def exit_code_of(state: State, fail_on: Kind) -> int:
    """1 where something at least as grave as `fail_on` was found, else 0."""
    return int(state != "quiet" and KINDS.index(state) <= KINDS.index(fail_on))
