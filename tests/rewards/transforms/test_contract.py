"""What every transform keeps, run over all of them."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueward.batch import Context, Part, Rollouts, Scores, Text
from trueward.credit import group_advantages
from trueward.rewards.transforms import Guarantee
from trueward.rewards.transforms.catalogue import ROLLOUT_TRANSFORMS, STEP_TRANSFORMS
from trueward.status import Status

pytestmark = pytest.mark.filterwarnings("ignore:step_clip punishes")

TRANSFORMS = {**ROLLOUT_TRANSFORMS, **STEP_TRANSFORMS}
STATEFUL = ("standardise", "running_clip", "running_range", "step_clip frozen")
TRAINING, EVALUATION = Context(training=True), Context(training=False)
STATUSES = [Status.OK] * 6 + [Status.TIMED_OUT, Status.UNPARSABLE, Status.ABSTAINED, Status.NOT_FINITE]

every = pytest.mark.parametrize("name", TRANSFORMS)
every_of_rollouts = pytest.mark.parametrize("name", ROLLOUT_TRANSFORMS)
seeds = given(seed=st.integers(0, 2**32 - 1))
few = settings(max_examples=20)


def batch(
    name: str, seed: int, *, failing: bool = True, ranged: bool | None = None, scale: float = 2.0
) -> tuple[Scores, Rollouts]:
    """24 rollouts to 6 prompts with a part "r" at the level of the transform, and a part of weight 0."""
    rng = np.random.default_rng(seed)
    n, width = 24, 5
    group = rng.permutation(np.repeat(np.arange(6), 4))
    status = [STATUSES[k] for k in rng.integers(0, len(STATUSES), n)] if failing else [Status.OK] * n
    ok = np.array([s.ok for s in status])
    exists = np.arange(width) < rng.integers(0, width + 1, n)[:, None] if name in STEP_TRANSFORMS else None
    shape = (n, width) if exists is not None else (n,)
    values = rng.normal(0.0, scale, shape) if exists is None else rng.uniform(0.0, 1.0, shape)
    if rng.random() < 0.3:
        values = np.round(values)  # ties, and groups without variance
    low, high = (float(values.min()), float(values.max())) if ranged or (ranged is None and seed % 2) else (None, None)
    values[~ok] = np.nan
    level: Any = "rollout" if exists is None else "segment"
    part = Part(values, status, level, exists=exists, low=low, high=high)
    references = rng.normal(0.0, scale, (6, 3))
    references[rng.random((6, 3)) < 0.2] = np.nan
    if not failing:
        references = np.nan_to_num(references)
    mask = np.arange(12) < rng.integers(0, 13, n)[:, None]
    rollouts = Rollouts(
        Text(["p"] * n, ["x"] * n),
        group=group,
        mask=mask,
        segments=np.where(mask, np.arange(12) // 3, -1),
        features={"finished": rng.random(n) < 0.7},
        reference=[{"reference_rewards": references[g].tolist()} for g in group],
    )
    seen = Part(rng.normal(size=n), [Status.OK] * n, weight=0.0)
    return Scores({"r": part, "seen": seen}), rollouts


def rows(scores: Scores, rollouts: Rollouts, order: np.ndarray) -> tuple[Scores, Rollouts]:
    parts = {
        name: dataclasses.replace(
            part,
            values=part.values[order],
            status=[part.status[i] for i in order],
            exists=None if part.exists is None else part.exists[order],
        )
        for name, part in scores.parts.items()
    }
    content = Text([rollouts.content.prompts[i] for i in order], [rollouts.content.completions[i] for i in order])
    moved = dataclasses.replace(
        rollouts,
        content=content,
        group=rollouts.group[order],
        mask=rollouts.mask[order],
        segments=rollouts.segments[order],
        features={"finished": rollouts.features["finished"][order]},
        reference=[rollouts.reference[i] for i in order],
    )
    return Scores(parts), moved


def same(a: Scores, b: Scores, **tolerance: float) -> None:
    assert list(a.parts) == list(b.parts)
    for name, part in a.parts.items():
        other = b.parts[name]
        np.testing.assert_allclose(part.values, other.values, **{"rtol": 1e-9, "atol": 1e-12, **tolerance})
        assert list(part.status) == list(other.status)
        for end, found in ((part.low, other.low), (part.high, other.high)):
            assert (end is None) == (found is None)
            assert end is None or end == pytest.approx(found, rel=1e-9, abs=1e-12)


@every
@few
@seeds
def test_inputs_parts_of_weight_0_and_statuses_stay_as_they_are(name: str, seed: int) -> None:
    scores, rollouts = batch(name, seed)
    before, given_rollouts = copy.deepcopy(scores), copy.deepcopy(rollouts)
    after = TRANSFORMS[name]()(scores, rollouts, TRAINING)
    same(scores, before, rtol=0.0, atol=0.0)
    np.testing.assert_array_equal(rollouts.mask, given_rollouts.mask)
    np.testing.assert_equal(rollouts.reference, given_rollouts.reference)
    assert after.parts["seen"] is scores.parts["seen"]
    for was, now in zip(scores.parts["r"].status, after.parts["r"].status, strict=True):
        assert now is was or (was.ok and now is Status.MISSING_REFERENCE)
    for part in after.parts.values():
        assert part.values.dtype == np.float64
        assert np.isfinite(part.values[part.present]).all()
    assert not np.shares_memory(after.parts["r"].values, scores.parts["r"].values) or name == "overlong"


@every
@few
@seeds
def test_order_of_rows_does_not_matter(name: str, seed: int) -> None:
    scores, rollouts = batch(name, seed)
    order = np.random.default_rng(seed).permutation(len(scores))
    after, _ = rows(TRANSFORMS[name]()(scores, rollouts, TRAINING), rollouts, order)
    same(TRANSFORMS[name]()(*rows(scores, rollouts, order), TRAINING), after)


@every
@few
@seeds
def test_padding_does_not_matter(name: str, seed: int) -> None:
    scores, rollouts = batch(name, seed)
    part = scores.parts["r"]
    n = len(scores)
    wide = dataclasses.replace(
        rollouts,
        mask=np.hstack([rollouts.mask, np.zeros((n, 3), dtype=bool)]),
        segments=np.hstack([rollouts.segments, np.full((n, 3), -1)]),
        reference=[{"reference_rewards": [*row["reference_rewards"], None, np.nan]} for row in rollouts.reference],
    )
    if part.exists is not None:
        padded = np.hstack([part.values, np.full((n, 2), 7.0)])
        exists = np.hstack([part.exists, np.zeros((n, 2), dtype=bool)])
        scores = Scores({**scores.parts, "r": dataclasses.replace(part, values=padded, exists=exists)})
    after = TRANSFORMS[name]()(scores, wide, TRAINING)
    plain = TRANSFORMS[name]()(batch(name, seed)[0], rollouts, TRAINING)
    np.testing.assert_allclose(
        after.parts["r"].values[..., : part.values.shape[-1]][part.present],
        plain.parts["r"].values[part.present],
        rtol=1e-12,
        atol=1e-12,
    )
    np.testing.assert_allclose(after.total(), plain.total(), rtol=1e-12, atol=1e-12)


@every
@few
@seeds
def test_what_failed_never_earns_more_than_what_was_scored(name: str, seed: int) -> None:
    scores, rollouts = batch(name, seed)
    transform = TRANSFORMS[name]()
    for context in (EVALUATION, TRAINING, EVALUATION):
        part = transform(scores, rollouts, context).parts["r"]
        earned = part.filled().reshape(len(scores), -1).sum(axis=1)
        failed = np.array([status.blames_answer for status in part.status])
        if part.ok.any() and failed.any():
            assert earned[failed].max() <= earned[part.ok].min() + 1e-12
        lost = ~part.ok & ~failed
        assert np.isnan(earned[lost]).all()


@every
@few
@seeds
def test_values_lie_in_the_range_that_is_declared(name: str, seed: int) -> None:
    scores, rollouts = batch(name, seed)
    for part in TRANSFORMS[name]()(scores, rollouts, TRAINING).parts.values():
        values = part.values[part.present]
        assert part.low is None or (values >= part.low - 1e-9).all()
        assert part.high is None or (values <= part.high + 1e-9).all()


@every
def test_nothing_that_was_scored_and_no_rows_at_all_are_no_error(name: str) -> None:
    scores, rollouts = batch(name, 0, failing=False)
    failed = dataclasses.replace(scores.parts["r"], status=[Status.TIMED_OUT] * len(scores))
    values = TRANSFORMS[name]()(Scores({"r": failed}), rollouts, TRAINING).parts["r"]
    assert all(status is Status.TIMED_OUT for status in values.status)


# State


@pytest.mark.parametrize("name", STATEFUL)
def test_only_training_moves_the_state(name: str) -> None:
    transform: Any = TRANSFORMS[name]()
    scores, rollouts = batch(name, 1)
    for expected_to_move, context in ((False, EVALUATION), (True, TRAINING), (False, EVALUATION)):
        before = json.dumps(transform.state_dict())
        transform(scores, rollouts, context)
        assert (json.dumps(transform.state_dict()) != before) is expected_to_move


@every
def test_a_transform_without_state_says_the_same_twice(name: str) -> None:
    transform: Any = TRANSFORMS[name]()
    assert bool(hasattr(transform, "state_dict") and transform.state_dict()) is (name in STATEFUL)
    if name not in STATEFUL:
        transform(*batch(name, 7), TRAINING)
        same(transform(*batch(name, 3), TRAINING), TRANSFORMS[name]()(*batch(name, 3), TRAINING), rtol=0.0, atol=0.0)


@pytest.mark.parametrize("name", STATEFUL)
def test_state_survives_being_written_as_json(name: str) -> None:
    first: Any = TRANSFORMS[name]()
    for seed in range(3):
        first(*batch(name, seed), TRAINING)
    second: Any = TRANSFORMS[name]()
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for seed, context in ((5, EVALUATION), (6, TRAINING), (7, EVALUATION)):
        same(first(*batch(name, seed), context), second(*batch(name, seed), context), rtol=0.0, atol=0.0)
    assert first.state_dict() == second.state_dict()
    fresh: Any = TRANSFORMS[name]()
    fresh_state = fresh.state_dict()
    second.load_state_dict(fresh_state)
    assert second.state_dict() == fresh_state  # loading the state of a beginning forgets what came after


# Guarantees: what is declared holds, and what is not declared is broken by some batch


def compared(scores: Scores, rollouts: Rollouts) -> np.ndarray:
    return group_advantages(scores.total(), rollouts.group, epsilon=0.0).values


def outcomes(name: str, seed: int, scale: float = 2.0) -> tuple[Scores, Scores, Rollouts]:
    scores, rollouts = batch(name, seed, failing=False, ranged=False, scale=scale)
    return scores, TRANSFORMS[name]()(scores, rollouts, TRAINING), rollouts


def changes_policy(name: str, seed: int) -> bool:
    before, after, rollouts = outcomes(name, seed)
    return not np.allclose(compared(before, rollouts), compared(after, rollouts), rtol=1e-9, atol=1e-9)


def breaks_order(name: str, seed: int) -> bool:
    before, after, rollouts = outcomes(name, seed, scale=(2.0, 4.0, 8.0)[seed % 3])
    old, new = before.total(), after.total()
    together = rollouts.group[:, None] == rollouts.group[None, :]
    return bool((together & (old[:, None] <= old[None, :]) & (new[:, None] > new[None, :] + 1e-12)).any())


def leaves_range(name: str, seed: int) -> bool:
    """Whether no range is known for the whole line of rewards, or one is left by rewards of any size."""
    part = outcomes(name, seed, scale=10.0 ** (seed % 7))[1].parts["r"]
    return part.low is None or part.high is None or not ((part.low <= part.values) & (part.values <= part.high)).all()


CHECKS = {
    Guarantee.POLICY_INVARIANT: changes_policy,
    Guarantee.ORDER_PRESERVING: breaks_order,
    Guarantee.BOUNDED: leaves_range,
}


def pairs() -> Iterator[Any]:
    for name in ROLLOUT_TRANSFORMS:
        for guarantee in Guarantee:
            yield pytest.param(name, guarantee, id=f"{name}-{guarantee.value}")


@pytest.mark.parametrize(("name", "guarantee"), list(pairs()))
def test_a_guarantee_is_declared_exactly_where_it_holds(name: str, guarantee: Guarantee) -> None:
    transform: Any = TRANSFORMS[name]()
    broken = [CHECKS[guarantee](name, seed) for seed in range(60)]
    assert any(broken) is (guarantee not in transform.guarantees)


@pytest.mark.parametrize("name", STEP_TRANSFORMS)
def test_step_transforms_promise_nothing_of_rollouts(name: str) -> None:
    transform: Any = TRANSFORMS[name]()
    assert transform.guarantees == frozenset()
