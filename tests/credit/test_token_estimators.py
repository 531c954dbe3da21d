"""Estimators of tokens against numbers worked out by hand, and reduced to what they stand on."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from trueward.batch import Context, Part, Rollouts, Scores, Text
from trueward.credit import (
    GroupRelative,
    NegativeTokenHiddenReward,
    PassAtK,
    TokenHiddenReward,
    TopEntropy,
    token_hidden_reward,
)
from trueward.credit.estimators import Estimator
from trueward.credit.token_estimators import correct
from trueward.credit.tokens import dominance, influences
from trueward.status import Status

# One prompt with a right, a wrong and a wrong rollout; another where all are wrong.
MASK = np.array([[1, 1], [1, 1], [1, 0], [1, 1], [1, 1]], dtype=bool)
GROUP = np.array([4, 4, 4, 9, 9])
HIDDEN = np.array(
    [[[1, 0], [0, 2]], [[1, 1], [1, 0]], [[0, 1], [7, 7]], [[1, 0], [0, 1]], [[1, 1], [1, 1]]], dtype=float
)
ERRORS = np.array(
    [[[1, -1], [0.5, 0.5]], [[1, 0], [-1, 1]], [[0, 0.2], [7, 7]], [[1, 0], [0, 1]], [[1, 1], [1, 1]]], dtype=float
)
# Row 0: 1 and 1. Row 1: (1 + 1)/2 = 1 and −2·1/2 = −1. Row 2: (.1 · 2)/2 = .1. The means of row 0 make τ = 1.
INFLUENCE = np.array([[1.0, 1.0], [1.0, -1.0], [0.1, 0.0], [0.0, 0.0], [0.0, 0.0]])


def rollouts(**fields: object) -> Rollouts:
    features = {"hidden": HIDDEN, "errors": ERRORS}
    known: dict[str, object] = {"group": GROUP, "mask": MASK, "features": features}
    return Rollouts(Text([""] * 5, [""] * 5), **{**known, **fields})  # type: ignore[arg-type]


def scores(*values: float, **part: object) -> Scores:
    return Scores({"right": Part(np.array(values), [Status.OK] * len(values), low=0.0, high=1.0, **part)})  # type: ignore[arg-type]


RIGHT = scores(1.0, 0.0, 0.0, 0.0, 0.0)
CENTRED = GroupRelative("centre")
A = np.array([2 / 3, -1 / 3, -1 / 3, 0, 0])[:, None] * MASK


def advantages(estimator: Estimator, given: Scores = RIGHT, of: Rollouts | None = None) -> np.ndarray:
    return estimator(given, rollouts() if of is None else of, Context(training=True)).advantages


def test_influences_are_those_worked_out() -> None:
    assert influences(HIDDEN, ERRORS, MASK, np.array([1, 0, 0, 0, 0], dtype=bool), GROUP) == pytest.approx(INFLUENCE)


def test_token_hidden_reward_by_hand() -> None:
    """τ = ½ keeps all tokens of rows 0 and 1; THR is 1, 1 in row 0 and −1, 1 in row 1."""
    weights = np.array([[0.5, 0.5], [1.5, 0.5], [0, 0], [1, 1], [1, 1]])
    found = TokenHiddenReward(p=-0.5, beta=0.5, over=CENTRED)(RIGHT, rollouts(), Context())
    assert found.advantages == pytest.approx(weights * A)
    assert found.metrics["kept_share"] == pytest.approx(4 / 5)
    assert found.metrics["positive_share"] == pytest.approx(3 / 5)
    assert found.metrics["threshold"] == pytest.approx(0.5)
    assert found.metrics["mixed_share"] == pytest.approx(3 / 5)
    assert found.metrics["unscored_rows"] == 0.0
    # At β = 1 nothing is above the mean of the one correct rollout but what is larger than it.
    assert not advantages(TokenHiddenReward(over=CENTRED)).any()


def test_without_threshold_and_steering_it_is_what_it_stands_on() -> None:
    found = advantages(TokenHiddenReward(p=0.0, threshold="none"))
    assert found == pytest.approx(GroupRelative()(RIGHT, rollouts(), Context()).advantages[:, None] * MASK)


def test_steering_one_way_and_the_other_averages_to_no_steering() -> None:
    explore, still, exploit = (advantages(TokenHiddenReward(p, beta=0.5)) for p in (-0.3, 0.0, 0.3))
    assert (explore + exploit) / 2 == pytest.approx(still)
    assert np.abs(explore - still).max() > 0.05


def test_the_convenience_is_the_estimator() -> None:
    assert token_hidden_reward(p=-0.1) == TokenHiddenReward(p=-0.1)
    assert token_hidden_reward().needs == {"hidden", "errors"}
    assert TokenHiddenReward(over=GroupRelative(kl=0.1)).needs == {"hidden", "errors", "reference"}


def test_groups_of_one_kind_keep_their_advantages() -> None:
    """Graded rewards tell rollouts apart that are all right, or all wrong: there is nothing to steer against."""
    graded = scores(1.0, 0.9, 0.7, 0.4, 0.1)
    found = advantages(TokenHiddenReward(p=0.5, over=CENTRED), graded)
    assert found == pytest.approx(CENTRED(graded, rollouts(), Context()).advantages[:, None] * MASK)


def test_the_sign_is_that_of_the_advantage() -> None:
    """A right rollout that did worse than the others of its group counts as one to be lowered."""
    graded = scores(0.6, 1.0, 0.0, 0.0, 0.0)
    found = advantages(TokenHiddenReward(p=1.0, threshold="none", over=CENTRED), graded)
    base = CENTRED(graded, rollouts(), Context()).advantages
    assert base[0] > 0 > base[2]
    mixed = influences(HIDDEN, ERRORS, MASK, np.array([1, 1, 0, 0, 0], dtype=bool), GROUP)
    assert found == pytest.approx((1 + np.sign(mixed * np.sign(base)[:, None])) * base[:, None] * MASK)


def test_what_it_is_made_of_agrees() -> None:
    generator = np.random.default_rng(3)
    features = {"hidden": generator.normal(size=(5, 2, 3)), "errors": generator.normal(size=(5, 2, 4))}
    given = rollouts(features=features, group=np.zeros(5, dtype=int))
    right = np.array([True, False, True, False, False])
    influence = influences(features["hidden"], features["errors"], MASK, right, given.group)
    tau = dominance(influence, MASK, right, given.group, over="mean")
    base = GroupRelative()(scores(*right.astype(float)), given, Context()).advantages[:, None]
    hidden_reward = (2 * right[:, None] - 1) * influence
    expected = (np.abs(hidden_reward) > tau[:, None]) * (1 + 0.2 * np.sign(hidden_reward)) * base * MASK
    found = advantages(TokenHiddenReward(0.2, threshold="mean"), scores(*right.astype(float)), given)
    assert found == pytest.approx(expected) and found.any()


def test_shuffled_signs_repeat_by_seed_and_step() -> None:
    generator = np.random.default_rng(0)
    features = {"hidden": generator.normal(size=(40, 6, 3)), "errors": generator.normal(size=(40, 6, 4))}
    given = Rollouts(
        Text([""] * 40, [""] * 40), group=np.arange(40) // 20, mask=np.ones((40, 6), dtype=bool), features=features
    )
    mixed = scores(*(generator.random(40) < 0.5).astype(float))

    def found(seed: int | None, step: int = 0) -> np.ndarray:
        return TokenHiddenReward(-0.5, shuffled=seed)(mixed, given, Context(step)).advantages

    assert (found(1) == found(1)).all()
    assert not (found(1) == found(2)).all() and not (found(1) == found(1, step=1)).all()
    signs, exchanged = found(None), found(1)
    assert ((signs != 0) == (exchanged != 0)).all()
    assert not (signs == exchanged).all()


def test_wrong_tokens_that_are_shared_are_spared() -> None:
    # q = 1/3: η = 1/3, for the first token of row 1, whose influence is above ½.
    found = NegativeTokenHiddenReward(beta=0.5, over=CENTRED)(RIGHT, rollouts(), Context())
    weights = np.array([[1, 1], [1 / 3, 1], [1, 1], [1, 1], [1, 1]])
    assert found.advantages == pytest.approx(weights * A)
    assert found.metrics["spared_share"] == pytest.approx(1 / 5)


def test_top_entropy_keeps_the_tokens_that_were_least_sure() -> None:
    entropy = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 7.0], [9.0, 9.0], [9.0, 9.0]])
    given = rollouts(features={"entropy": entropy})
    found = TopEntropy(0.4, CENTRED)(RIGHT, given, Context())
    # Of the five tokens of the first prompt; the second teaches nothing, however unsure it was.
    assert found.advantages == pytest.approx(np.array([[1, 0], [0, 1], [0, 0], [0, 0], [0, 0]]) * A)
    assert found.metrics["kept_share"] == pytest.approx(0.4)
    assert advantages(TopEntropy(1.0, CENTRED), of=given) == pytest.approx(A)


def test_overlap_with_entropy_is_told_where_entropy_is_known() -> None:
    entropy = np.array([[0.9, 0.8], [0.2, 0.1], [0.5, 7.0], [9.0, 9.0], [9.0, 9.0]])
    given = rollouts(features={"hidden": HIDDEN, "errors": ERRORS, "entropy": entropy})
    told = TokenHiddenReward(beta=0.5, over=CENTRED)(RIGHT, given, Context()).metrics
    # Four of the five are kept; the four highest entropies hold three of them.
    assert told["entropy_overlap"] == pytest.approx(3 / 4)
    assert "entropy_overlap" not in TokenHiddenReward()(RIGHT, rollouts(), Context()).metrics


def test_pass_at_k_by_hand() -> None:
    # C(2, 2)/C(3, 2) = 1/3 in the first group.
    factor = 0.2 * math.sqrt(1 / 3) + 0.8
    found = advantages(PassAtK(2, 0.2, over=CENTRED))
    assert found == pytest.approx(np.array([2 / 3, -1 / 3, -1 / 3, 0, 0]) * factor)
    assert advantages(PassAtK(2, 0.0)) == pytest.approx(GroupRelative()(RIGHT, rollouts(), Context()).advantages)
    # Nothing is wrong twice among three of which two are right.
    solved = scores(1.0, 1.0, 0.0, 0.0, 0.0)
    assert not advantages(PassAtK(2, 1.0), solved).any()
    with pytest.raises(ValueError, match=r"lies in \[0, 1\]"):
        PassAtK(2, 1.5)


def test_estimators_of_tokens_stack() -> None:
    under = PassAtK(2, 1.0, over=CENTRED)
    found = advantages(TokenHiddenReward(-0.5, beta=0.5, over=under))
    assert found == pytest.approx(advantages(TokenHiddenReward(-0.5, beta=0.5, over=CENTRED)) * math.sqrt(1 / 3))


def test_correct_is_the_upper_half_of_the_declared_range() -> None:
    assert correct(scores(1.0, 0.5, 0.49)).tolist() == [True, True, False]
    assert correct(scores(1.0, 0.5, 0.49), 0.8).tolist() == [True, False, False]
    # 1·[0, 1] − 2·[0, 1] ranges from −2 to 1, so that right begins at −½.
    both = Scores({**scores(1.0, 1.0, 0.0).parts, "cost": scores(0.0, 1.0, 1.0, weight=-2.0).parts["right"]})
    assert correct(both).tolist() == [True, False, False]
    undeclared = Scores({"mine": Part(np.array([1.0]), [Status.OK])})
    with pytest.raises(ValueError, match="'mine' declares no range: give correct_from"):
        correct(undeclared)


def test_rows_without_a_reward_are_neither_right_nor_wrong() -> None:
    status = [Status.OK, Status.UNAVAILABLE, Status.OK, Status.OK, Status.OK]
    lost = Scores({"right": Part(np.array([1.0, math.nan, 0.0, 0.0, 0.0]), status, low=0.0, high=1.0)})
    for estimator in (TokenHiddenReward(0.5, beta=0.01), NegativeTokenHiddenReward(beta=0.01)):
        found = advantages(estimator, lost)
        assert (found[1] == 0).all() and found[0].any()
    # Without it the group has one right and one wrong rollout: C(1, 2) = 0.
    assert not advantages(PassAtK(2, 1.0), lost).any()


def test_what_is_needed_is_asked_for_by_name() -> None:
    for estimator, lacking in ((TokenHiddenReward(), "hidden"), (TopEntropy(), "entropy")):
        with pytest.raises(ValueError, match=rf"needs rollouts.features\['{lacking}'\]"):
            advantages(estimator, of=rollouts(features={}))
    with pytest.raises(ValueError, match=r"needs rollouts\.mask"):
        advantages(TokenHiddenReward(), of=dataclasses.replace(rollouts(), mask=None))
