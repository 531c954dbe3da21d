"""What every estimator keeps, whichever it is."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest

from trueward.batch import Context, Part, Rollouts, Scores, Text
from trueward.credit import (
    Estimator,
    GeneralisedAdvantage,
    GreedyBaseline,
    GroupRelative,
    NegativeTokenHiddenReward,
    PassAtK,
    SegmentReturns,
    TokenHiddenReward,
    TopEntropy,
)
from trueward.status import Status

N, T = 12, 5
ESTIMATORS: dict[str, Estimator] = {
    "z-score": GroupRelative(),
    "centre": GroupRelative("centre"),
    "leave one out": GroupRelative("leave_one_out"),
    "none": GroupRelative("none"),
    "parts apart": GroupRelative(separately=True),
    "with divergence": GroupRelative(kl=0.1),
    "greedy": GreedyBaseline(),
    "greedy with divergence": GreedyBaseline(kl=0.1),
    "segments": SegmentReturns(),
    "critic": GeneralisedAdvantage(),
    "critic, plain": GeneralisedAdvantage(whitened=False, kl=0.1, monte_carlo=True),
    "token hidden rewards": TokenHiddenReward(-0.5, correct_from=0.0),
    "token hidden rewards, mean": TokenHiddenReward(0.1, threshold="mean", floor=False, correct_from=0.0),
    "token hidden rewards over others": TokenHiddenReward(0.5, correct_from=0.0, over=GroupRelative("none", kl=0.1)),
    "negative token hidden rewards": NegativeTokenHiddenReward(correct_from=0.0),
    "top entropy": TopEntropy(0.4),
    "pass at k": PassAtK(2, 0.5, correct_from=0.0),
}
LOST = 4  # a row without a reward, by nobody's fault


def drawn() -> tuple[Scores, Rollouts]:
    generator = np.random.default_rng(5)
    lengths = generator.integers(1, T + 1, N)
    mask = np.arange(T) < lengths[:, None]
    segments = np.where(mask, np.arange(T) // 2, -1)
    status = [Status.OK] * N
    status[LOST], status[7] = Status.UNAVAILABLE, Status.RAISED
    ok = np.array([one.ok for one in status])
    exists = np.arange(3) <= segments.max(axis=1)[:, None]
    steps = np.where(exists & ok[:, None], generator.normal(size=(N, 3)), np.nan)
    whole = Part(np.where(ok, generator.normal(size=N), np.nan), status, low=-4.0)
    scores = Scores({"whole": whole, "steps": Part(steps, status, "segment", 0.5, exists, low=-4.0)})
    rollouts = Rollouts(
        Text(["p"] * N, ["c"] * N),
        group=np.repeat(np.arange(N // 4), 4),
        mask=mask,
        segments=segments,
        logprobs=-generator.random((N, T)),
        ref_logprobs=-generator.random((N, T)),
        features={
            "value": generator.normal(size=(N, T)),
            "greedy": generator.normal(size=N),
            "entropy": generator.random((N, T)),
            "hidden": generator.normal(size=(N, T, 3)) * mask[:, :, None],
            "errors": generator.normal(size=(N, T, 4)) * mask[:, :, None],
        },
    )
    return scores, rollouts


def rows_of(scores: Scores, rollouts: Rollouts, rows: np.ndarray) -> tuple[Scores, Rollouts]:
    parts = {}
    for name, part in scores.parts.items():
        exists = None if part.exists is None else part.exists[rows]
        status = [part.status[row] for row in rows]
        parts[name] = dataclasses.replace(part, values=part.values[rows], status=status, exists=exists)
    fields: dict[str, Any] = {
        name: getattr(rollouts, name)[rows] for name in ("group", "mask", "segments", "logprobs", "ref_logprobs")
    }
    features = {name: value[rows] for name, value in rollouts.features.items()}
    content = Text(["p"] * len(rows), ["c"] * len(rows))
    return Scores(parts), dataclasses.replace(rollouts, content=content, features=features, **fields)


def advantages(estimator: Estimator, scores: Scores, rollouts: Rollouts) -> np.ndarray:
    return estimator(scores, rollouts, Context(training=True)).advantages


@pytest.fixture(params=ESTIMATORS)
def estimator(request: Any) -> Estimator:
    return ESTIMATORS[request.param]


def test_the_order_of_rows_means_nothing(estimator: Estimator) -> None:
    scores, rollouts = drawn()
    order = np.random.default_rng(1).permutation(N)
    found = advantages(estimator, *rows_of(scores, rollouts, order))
    assert found == pytest.approx(advantages(estimator, scores, rollouts)[order], abs=1e-12)


def test_a_row_without_a_reward_teaches_nothing_and_is_counted(estimator: Estimator) -> None:
    scores, rollouts = drawn()
    credited = estimator(scores, rollouts, Context(training=True))
    assert np.all(credited.advantages[LOST] == 0.0)
    assert np.isfinite(credited.advantages).all()
    counted = [value for name, value in credited.metrics.items() if name.endswith("unscored_rows")]
    assert max(counted) == 1.0


def test_padding_columns_change_nothing(estimator: Estimator) -> None:
    scores, rollouts = drawn()

    def wider(values: np.ndarray, fill: Any) -> np.ndarray:
        return np.concatenate([values, np.full((N, 3, *values.shape[2:]), fill, dtype=values.dtype)], axis=1)

    padded = dataclasses.replace(
        rollouts,
        mask=wider(np.asarray(rollouts.mask), False),
        segments=wider(np.asarray(rollouts.segments), -1),
        logprobs=wider(np.asarray(rollouts.logprobs), 9.0),
        ref_logprobs=wider(np.asarray(rollouts.ref_logprobs), -9.0),
        features={
            **rollouts.features,
            **{name: wider(rollouts.features[name], 7.0) for name in ("value", "entropy", "hidden", "errors")},
        },
    )
    before, after = advantages(estimator, scores, rollouts), advantages(estimator, scores, padded)
    assert (after if after.ndim == 1 else after[:, :T]) == pytest.approx(before, abs=1e-12)
    assert after.ndim == 1 or np.all(after[:, T:] == 0.0)


def test_what_is_given_stays_as_it_is(estimator: Estimator) -> None:
    scores, rollouts = drawn()
    kept = copy.deepcopy((scores, rollouts))
    advantages(estimator, scores, rollouts)
    for name, part in kept[0].parts.items():
        np.testing.assert_array_equal(part.values, scores.parts[name].values)
    for name in ("mask", "segments", "logprobs", "ref_logprobs"):
        np.testing.assert_array_equal(getattr(kept[1], name), getattr(rollouts, name))
    for name, value in kept[1].features.items():
        np.testing.assert_array_equal(value, rollouts.features[name])


def test_what_it_needs_is_all_that_it_reads(estimator: Estimator) -> None:
    scores, rollouts = drawn()
    bare = dataclasses.replace(
        rollouts,
        logprobs=rollouts.logprobs if "reference" in estimator.needs else None,
        ref_logprobs=rollouts.ref_logprobs if "reference" in estimator.needs else None,
        features={name: value for name, value in rollouts.features.items() if name in estimator.needs},
    )
    assert advantages(estimator, scores, bare) == pytest.approx(advantages(estimator, scores, rollouts))
    for name in estimator.needs:
        lacking = {
            "reference": lambda: dataclasses.replace(rollouts, ref_logprobs=None),
        }.get(name, lambda: dataclasses.replace(rollouts, features={}))()
        with pytest.raises(ValueError, match="needs"):
            advantages(estimator, scores, lacking)


def test_a_group_in_which_all_are_equal_moves_nothing_where_it_is_compared() -> None:
    _, rollouts = drawn()
    equal = Scores({"whole": Part(np.full(N, 3.0), [Status.OK] * N)})
    plain = {"none", "greedy", "greedy with divergence", "critic", "critic, plain", "with divergence"}
    for name in ESTIMATORS.keys() - plain - {"token hidden rewards over others"}:
        assert np.all(advantages(ESTIMATORS[name], equal, rollouts) == 0.0), name
