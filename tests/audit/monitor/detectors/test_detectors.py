"""Each detector: a number by hand, a case that it finds, and one that it must not mind."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from trueward.audit.monitor.detectors import (
    BeyondReference,
    Ceiling,
    ComponentDominance,
    CopiesAcrossPrompts,
    Detector,
    EnsembleDisagreement,
    Entropy,
    GroupCollapse,
    LengthDrift,
    Repetition,
    TradedPart,
    Unfinished,
    Unscored,
    default_detectors,
)
from trueward.audit.monitor.notice import Notice
from trueward.audit.monitor.step import Step
from trueward.status import Status

ROWS = 32
STEPS = 60
CHANGE = 20
WORDS = [f"word{number}" for number in range(200)]
Alter = Callable[[Step, np.random.Generator], dict[str, Any]]


def make_step(number: int, seed: int = 0, rows: int = ROWS) -> Step:
    """A step of a run in which nothing changes."""
    rng = np.random.default_rng([seed, number])
    first, second = rng.normal(size=rows), rng.normal(size=rows)
    return Step(
        number=number,
        prompts=[f"prompt {row // 4}" for row in range(rows)],
        completions=[" ".join(rng.choice(WORDS, 12)) for _ in range(rows)],
        reward=first + second,
        parts={"first": first, "second": second},
        status=[Status.OK] * rows,
        length=rng.integers(10, 15, rows).astype(np.float64),
        group=np.arange(rows) // 4,
        finished=rng.random(rows) < 0.9,
        logprobs=-1.0 + 0.1 * rng.normal(size=rows),
        seen={"ensemble/disagreement": rng.random(rows)},
    )


def run_of(alter: Alter | None = None, seed: int = 0) -> list[Step]:
    """A run; from step `CHANGE` on something is altered."""
    steps = [make_step(number, seed) for number in range(STEPS)]
    if alter is None:
        return steps
    rng = np.random.default_rng([seed, 1_000_000])
    return [dataclasses.replace(step, **alter(step, rng)) if step.number >= CHANGE else step for step in steps]


def hints(detector: Detector, steps: Sequence[Step]) -> list[Notice]:
    """Everything that it says of a run."""
    return [notice for step in steps for notice in detector.observe(step)[1]]


def total(step: Step, **parts: np.ndarray) -> dict[str, Any]:
    """The step's parts with some replaced, and the total of all."""
    new = dict(step.parts) | parts
    return {"parts": new, "reward": np.sum(list(new.values()), axis=0)}


CASES: dict[str, tuple[type[Detector], Alter]] = {
    "longer": (LengthDrift, lambda step, rng: {"length": 2 * step.length}),
    "shorter": (LengthDrift, lambda step, rng: {"length": 0.5 * step.length}),
    "longer by three deviations": (LengthDrift, lambda step, rng: {"length": step.length + 5.0}),
    "cut off": (Unfinished, lambda step, rng: {"finished": rng.random(len(step)) < 0.4}),
    "one reward per group": (GroupCollapse, lambda step, rng: {"reward": 1.0 * (step.group % 2)}),
    "one reward for all": (GroupCollapse, lambda step, rng: {"reward": np.ones(len(step))}),
    "piled up": (Ceiling, lambda step, rng: {"reward": np.full(len(step), 9.0)}),
    "out of range": (
        BeyondReference,
        lambda step, rng: {"reward": step.reward + np.where(np.arange(len(step)) % 3 == 0, 50.0, 0.0)},
    ),
    "one part decides": (ComponentDominance, lambda step, rng: total(step, second=40.0 * step.parts["second"])),
    "a part given up": (
        TradedPart,
        lambda step, rng: total(step, first=step.parts["first"] - 3.0, second=step.parts["second"] + 9.0),
    ),
    "collapsed": (Entropy, lambda step, rng: {"logprobs": 0.03 * step.logprobs}),
    "scattered": (Entropy, lambda step, rng: {"logprobs": 3.0 * step.logprobs}),
    "repeats": (Repetition, lambda step, rng: {"completions": [f"{text} {text}" for text in step.completions]}),
    "says one thing": (CopiesAcrossPrompts, lambda step, rng: {"completions": ["yes"] * 16 + step.completions[16:]}),
    "comes apart": (
        EnsembleDisagreement,
        lambda step, rng: {"seen": {name: 3.0 * values for name, values in step.seen.items()}},
    ),
    "crashes": (Unscored, lambda step, rng: {"status": [Status.CRASHED] * 8 + [Status.OK] * (len(step) - 8)}),
    "unavailable": (Unscored, lambda step, rng: {"status": [Status.UNAVAILABLE] * 8 + [Status.OK] * (len(step) - 8)}),
}

BELOW: dict[str, tuple[type[Detector], Alter]] = {
    "longer by a third": (LengthDrift, lambda step, rng: {"length": 1.3 * step.length}),
    "all of one length, one more": (LengthDrift, lambda step, rng: {"length": np.full(len(step), 13.0)}),
    "a few cut off": (Unfinished, lambda step, rng: {"finished": rng.random(len(step)) < 0.8}),
    "half of the groups": (
        GroupCollapse,
        lambda step, rng: {"reward": np.where(step.group % 2 == 0, 1.0, step.reward)},
    ),
    "two rewards": (Ceiling, lambda step, rng: {"reward": 9.0 * (rng.random(len(step)) < 0.8)}),
    "some out of range": (
        BeyondReference,
        lambda step, rng: {"reward": np.where(np.arange(len(step)) % 8 == 0, 50.0, step.reward)},
    ),
    "one part decides more": (ComponentDominance, lambda step, rng: total(step, second=2.0 * step.parts["second"])),
    "both parts fall": (
        TradedPart,
        lambda step, rng: total(step, first=step.parts["first"] - 3.0, second=step.parts["second"] - 1.0),
    ),
    "learns": (Entropy, lambda step, rng: {"logprobs": 0.2 * step.logprobs}),
    "copies within a group": (
        CopiesAcrossPrompts,
        lambda step, rng: {"completions": [f"answer to {prompt}" for prompt in step.prompts]},
    ),
    "comes apart a little": (
        EnsembleDisagreement,
        lambda step, rng: {"seen": {name: 1.5 * values for name, values in step.seen.items()}},
    ),
    "another column": (
        EnsembleDisagreement,
        lambda step, rng: {"seen": dict(step.seen) | {"raw": np.full(len(step), 99.0)}},
    ),
    "one fails": (Unscored, lambda step, rng: {"status": [Status.CRASHED] + [Status.OK] * (len(step) - 1)}),
    "a word twice": (
        Repetition,
        lambda step, rng: {"completions": [f"{text} word1 word1" for text in step.completions]},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_planted_change_gives_one_hint_with_examples(case: str) -> None:
    kind, alter = CASES[case]
    found = hints(kind(), run_of(alter))
    assert len(found) == 1
    assert found[0].kind == "hint" and found[0].source == f"detector/{kind.short}"
    assert CHANGE < found[0].step <= CHANGE + 25
    assert 1 <= len(found[0].examples) <= 3
    assert Notice.from_json(json.loads(json.dumps(found[0].as_json()))) == found[0]


@pytest.mark.parametrize("case", BELOW)
def test_a_change_that_is_not_material_gives_none(case: str) -> None:
    kind, alter = BELOW[case]
    assert hints(kind(), run_of(alter)) == []


@pytest.mark.parametrize("seed", range(5))
def test_a_run_in_which_nothing_changes_gives_none(seed: int) -> None:
    steps = run_of(seed=seed)
    assert [hints(detector, steps) for detector in default_detectors()] == [[]] * len(default_detectors())


@pytest.mark.parametrize("case", CASES)
def test_scale_and_shift_of_the_reward_change_nothing(case: str) -> None:
    steps = run_of(CASES[case][1])
    moved = [
        dataclasses.replace(
            step,
            reward=0.25 * step.reward - 7.0,
            parts={"first": 0.25 * step.parts["first"] - 7.0, "second": 0.25 * step.parts["second"]},
            seen={name: 0.25 * values for name, values in step.seen.items()},
        )
        for step in steps
    ]
    for detector, again in zip(default_detectors(), default_detectors(), strict=True):
        assert [hint.step for hint in hints(detector, steps)] == [hint.step for hint in hints(again, moved)], detector


@pytest.mark.parametrize("case", CASES)
def test_a_resumed_run_goes_on_exactly(case: str) -> None:
    kind, alter = CASES[case]
    steps = run_of(alter)
    for cut in (3, 24, 50):
        whole, first, second = kind(), kind(), kind()
        before = [first.observe(step) for step in steps[:cut]]
        second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        after = [second.observe(step) for step in steps[cut:]]
        assert before + after == [whole.observe(step) for step in steps]


def one_step(**changed: Any) -> Step:
    """Four rollouts of two prompts, with plain values."""
    step = Step(
        number=0,
        prompts=["a", "a", "b", "b"],
        completions=["one two three four five", "x", "one two three four five", "y"],
        reward=np.array([1.0, 0.0, 1.0, 1.0]),
        parts={"first": np.array([1.0, 0.0, 0.0, 0.0]), "second": np.array([0.0, 0.0, 1.0, 1.0])},
        status=[Status.OK, Status.TIMED_OUT, Status.ABSTAINED, Status.OK],
        length=np.array([1.0, 2.0, 3.0, 6.0]),
        group=np.array([0, 0, 1, 1]),
        finished=np.array([True, True, True, False]),
        logprobs=np.array([-1.0, -2.0, -3.0, -2.0]),
        seen={"disagreement": np.array([0.0, 1.0, 0.0, 1.0]), "raw": np.ones(4)},
    )
    return dataclasses.replace(step, **changed)


def test_numbers_worked_out_by_hand() -> None:
    step = one_step()
    assert LengthDrift().measure(step) == pytest.approx({"": 3.0, "deviation": 3.5**0.5})
    assert Unfinished().measure(step) == {"": 0.25}
    assert Entropy().measure(step) == {"": 2.0}
    assert GroupCollapse().measure(step) == {"": 0.5}
    assert Ceiling().measure(step) == {"": 0.75}
    assert Ceiling(range=(0.0, 2.0)).measure(step) == {"": 0.0}
    assert BeyondReference().measure(step) == {"": 1.0}
    assert CopiesAcrossPrompts().measure(step) == {"": 0.5}
    assert EnsembleDisagreement().measure(step) == {"disagreement": 0.5}
    assert Unscored().measure(step) == {"all": 0.5, "answers_fault": 0.25}
    assert Repetition().measure(step) == {"": 0.0}
    # total 1, 0, 1, 1 has mean 3/4 and sum of squares 3/4; covariances: 1/4 of the first, 2/4 of the second.
    shares = ComponentDominance().measure(step)
    assert shares == pytest.approx({"first": 1 / 3, "second": 2 / 3})
    assert TradedPart().measure(step) == pytest.approx(
        {
            "total": 0.75,
            "mean/first": 0.25,
            "deviation/first": 0.1875**0.5,
            "mean/second": 0.5,
            "deviation/second": 0.5,
        }
    )


def test_the_upper_quartile_is_reached_by_a_quarter_of_the_rollouts() -> None:
    step = one_step(reward=np.array([3.0, np.nan, 1.0, 5.0, 4.0, 2.0]))
    assert BeyondReference().measure(step) == {"": 4.0}  # of 1 … 5: 4 and 5 are two of five


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("a b c a b c a b c", 1 - 3 / 7),
        ("a b c d e", 0.0),
        ("too short", None),
        ("ab" * 50, 1 - 2 / 93),
    ],
)
def test_repeated_sequences_by_hand(text: str, share: float | None) -> None:
    found = Repetition().measure(one_step(completions=[text] * 4))
    assert found == ({} if share is None else {"": pytest.approx(share)})


def test_messages_are_read_as_their_text() -> None:
    said = [[{"role": "assistant", "content": text}] for text in ("same", "x", "same", "y")]
    prompts = [[{"role": "user", "content": text}] for text in ("a", "a", "b", "b")]
    assert CopiesAcrossPrompts().measure(one_step(completions=said, prompts=prompts)) == {"": 0.5}


def test_groups_need_not_lie_side_by_side() -> None:
    order = np.array([2, 0, 3, 1])
    step = one_step()
    mixed = dataclasses.replace(step, group=step.group[order], reward=step.reward[order])
    assert GroupCollapse().measure(mixed) == {"": 0.5}


def test_rows_without_a_reward_are_left_out() -> None:
    step = one_step(reward=np.array([1.0, np.nan, 1.0, 0.0]))
    assert GroupCollapse().measure(step) == {"": 0.0}  # the first group has one rollout left
    assert Ceiling().measure(step) == {"": pytest.approx(2 / 3)}
    shares = ComponentDominance().measure(step)
    assert shares == pytest.approx({"first": 0.5, "second": -0.5})


NOTHING = np.full(4, np.nan)


@pytest.mark.parametrize("kind", [type(detector) for detector in default_detectors()])
@pytest.mark.parametrize(
    "step",
    [
        one_step(reward=NOTHING, parts={"first": NOTHING, "second": NOTHING}, seen={"disagreement": NOTHING}),
        one_step(parts={}, group=None, finished=None, logprobs=None, seen={}),
        Step(0, [], [], np.zeros(0), {}, [], np.zeros(0)),
        Step(
            0,
            ["a"],
            [""],
            np.zeros(1),
            {"p": np.zeros(1), "q": np.zeros(1)},
            [Status.OK],
            np.zeros(1),
            np.zeros(1, int),
        ),
        one_step(length=np.zeros(4), completions=[""] * 4, logprobs=np.zeros(4)),
    ],
    ids=["no reward at all", "bare", "empty", "one row", "empty texts"],
)
def test_steps_with_little_in_them_are_borne(kind: type[Detector], step: Step) -> None:
    detector = kind()
    for number in range(30):
        numbers, notices = detector.observe(dataclasses.replace(step, number=number))
        assert not notices
        assert all(np.isfinite(value) for value in numbers.values())


def test_a_part_that_turns_up_late_spends_what_is_left() -> None:
    detector = EnsembleDisagreement(budget=0.01)
    for number in range(3):
        detector.observe(one_step(number=number))
    for number in range(3, 6):
        detector.observe(one_step(number=number, seen={"disagreement": np.ones(4), "late disagreement": np.ones(4)}))
    needed = [test._needed for series in detector._series.values() for test in series._tests.values()]
    assert needed == pytest.approx([2 / 0.01, 6 / 0.01])


def test_names_are_distinct_and_marked() -> None:
    names = [detector.name for detector in default_detectors()]
    assert len(set(names)) == len(names)
    assert all(name.startswith("detector/") for name in names)
