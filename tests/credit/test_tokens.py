"""Scores of tokens by hand, against the double loop, and against the gradient that they stand for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trueward.credit.tokens import (
    dominance,
    influences,
    most_uncertain,
    pass_at_k_factor,
    shuffled_signs,
    steering,
    wrong_token_scale,
)

N, T, D, K = 8, 5, 6, 7


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Hidden states, errors, mask (rows of different length, one empty), correct, and groups in no order."""
    generator = np.random.default_rng(seed)
    mask = np.arange(T) < generator.integers(1, T + 1, N)[:, None]
    mask[3] = False
    hidden, errors = generator.normal(size=(N, T, D)), generator.normal(size=(N, T, K))
    return hidden, errors, mask, generator.random(N) < 0.5, generator.permutation(np.arange(N) // 4)


def double_loop(
    hidden: np.ndarray, errors: np.ndarray, mask: np.ndarray, correct: np.ndarray, group: np.ndarray
) -> np.ndarray:
    found = np.zeros(mask.shape)
    for j, k in np.argwhere(mask):
        for i in np.flatnonzero(correct & (group == group[j])):
            for t in np.flatnonzero(mask[i]):
                product = (errors[i, t] @ errors[j, k]) * (hidden[i, t] @ hidden[j, k])
                found[j, k] += product / mask[i].sum()
    return found


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_the_cheap_form_is_the_double_loop(seed: int) -> None:
    given = drawn(seed)
    assert influences(*given) == pytest.approx(double_loop(*given), rel=1e-4, abs=1e-4)


def test_influences_by_hand() -> None:
    # Two rollouts of one prompt: the first is right and has two tokens, the second is wrong and has one.
    hidden = np.array([[[1.0, 0.0], [0.0, 2.0]], [[1.0, 1.0], [9.0, 9.0]]])
    errors = np.array([[[1.0, -1.0], [0.5, 0.5]], [[1.0, 0.0], [9.0, 9.0]]])
    mask = np.array([[True, True], [True, False]])
    found = influences(hidden, errors, mask, np.array([True, False]), np.array([7, 7]))
    # Row 0: |g|²|h|²/2 = 2·1/2 and .5·4/2, and the tokens are orthogonal; row 1: (1·1 + .5·2)/2.
    assert found == pytest.approx(np.array([[1.0, 1.0], [1.0, 0.0]]))


def test_what_is_outside_the_mask_or_of_another_group_changes_nothing() -> None:
    hidden, errors, mask, correct, group = drawn(1)
    before = influences(hidden, errors, mask, correct, group)
    hidden[~mask], errors[~mask] = math.nan, math.inf
    assert influences(hidden, errors, mask, correct, group) == pytest.approx(before)
    hidden[group == 1] *= 2
    assert influences(hidden, errors, mask, correct, group)[group == 0] == pytest.approx(before[group == 0])
    hidden[group == 1] = math.nan
    with pytest.raises(ValueError, match="not finite"):
        influences(hidden, errors, mask, np.ones(N, dtype=bool), group)


def test_groups_without_a_correct_rollout_have_no_influences() -> None:
    hidden, errors, mask, _, group = drawn(2)
    found = influences(hidden, errors, mask, group == 0, group)
    assert (found[group == 1] == 0).all()
    assert found[group == 0].any()


def test_influences_are_directional_derivatives_through_the_output_layer() -> None:
    """∂/∂η of Σ_{i ∈ P} mean log π(y_i) where the output layer moves by η ∇ log π(y_jt): the definition itself."""
    seed = torch.Generator().manual_seed(0)
    hidden = torch.randn(3, T, D, generator=seed, dtype=torch.float64)
    weight = torch.randn(K, D, generator=seed, dtype=torch.float64, requires_grad=True)
    tokens = torch.randint(K, (3, T), generator=seed)
    mask = torch.arange(T) < torch.tensor([[5], [2], [4]])
    correct = torch.tensor([True, True, False])
    logprobs = torch.log_softmax(hidden @ weight.T, dim=-1)
    chosen = logprobs.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    errors = torch.nn.functional.one_hot(tokens, K) - logprobs.exp()
    found = influences(*(x.detach().numpy() for x in (hidden, errors, mask, correct)), np.zeros(3, dtype=int))
    wanted = ((chosen * mask).sum(dim=1) / mask.sum(dim=1))[correct].sum()
    (slope,) = torch.autograd.grad(wanted, weight, retain_graph=True)
    for row, column in torch.argwhere(mask).tolist():
        (own,) = torch.autograd.grad(chosen[row, column], weight, retain_graph=True)
        assert found[row, column] == pytest.approx((own * slope).sum().item(), rel=1e-4, abs=1e-5)


INFLUENCE = np.array([[3.0, 1.0], [-2.0, 0.0], [0.5, -5.0], [9.0, 9.0]])
MASK = np.array([[1, 1], [1, 0], [1, 1], [1, 1]], dtype=bool)
CORRECT = np.array([True, True, False, False])
GROUP = np.array([0, 0, 0, 1])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 0.0),  # means of the correct rollouts: 2 and −2, the least one floored
        ({"floor": False}, -2.0),
        ({"floor": False, "beta": 0.5}, -1.0),
        ({"over": "mean"}, 0.0),
        ({"over": "none"}, -math.inf),
    ],
)
def test_thresholds_by_hand(settings: dict[str, object], expected: float) -> None:
    found = dominance(INFLUENCE, MASK, CORRECT, GROUP, **settings)  # type: ignore[arg-type]
    # The last row's group has no correct rollout: there everything counts.
    assert found.tolist() == [expected] * 3 + [-math.inf]


def test_thresholds_of_correct_rollouts_above_nothing() -> None:
    higher = np.array([[3.0, 1.0], [4.0, 0.0], [0.5, -5.0], [9.0, 9.0]])
    assert dominance(higher, MASK, CORRECT, GROUP)[0] == 2.0
    assert dominance(higher, MASK, CORRECT, GROUP, over="mean", beta=2.0)[0] == 6.0


def test_steering_by_hand() -> None:
    rewards = np.array([[3.0, -3.0, 1.0, -1.0, 0.0]])
    assert steering(rewards, np.array([1.0]), -0.5).tolist() == [[0.5, 1.5, 0.0, 0.0, 0.0]]
    assert steering(rewards, np.array([0.0]), 0.1) == pytest.approx(np.array([[1.1, 0.9, 1.1, 0.9, 0.0]]))
    assert steering(rewards, np.array([-math.inf]), 0.0).tolist() == [[1.0] * 5]
    for p in (1.1, -1.1, math.nan):
        with pytest.raises(ValueError, match="must lie in"):
            steering(rewards, np.array([1.0]), p)


def test_wrong_tokens_that_correct_rollouts_share_are_spared() -> None:
    influence = np.array([[5.0, 5.0], [5.0, 0.5], [5.0, 5.0], [-5.0, 5.0]])
    threshold = np.array([1.0, 1.0, 1.0, 1.0])
    found = wrong_token_scale(influence, threshold, np.array([True, False, False, False]), np.zeros(4, dtype=int))
    # q = 1/4: η = 2 |1/2 − 1/4| = 1/2.
    assert found.tolist() == [[1.0, 1.0], [0.5, 1.0], [0.5, 0.5], [1.0, 0.5]]
    counted = np.array([True, True, True, False])
    found = wrong_token_scale(
        influence, threshold, np.array([True, False, False, False]), np.zeros(4, dtype=int), counted
    )
    assert found[1, 0] == pytest.approx(2 * (1 / 2 - 1 / 3))
    assert (wrong_token_scale(influence, threshold, np.zeros(4, dtype=bool), np.zeros(4, dtype=int)) == 1.0).all()


def test_shuffled_signs_keep_sizes_and_numbers_of_signs_in_each_group() -> None:
    generator = np.random.default_rng(0)
    rewards, kept = generator.normal(size=(40, 6)), generator.random((40, 6)) < 0.7
    group = np.repeat([3, 1], 20)
    found = shuffled_signs(rewards, kept, group, np.random.default_rng(1))
    assert np.abs(found) == pytest.approx(np.abs(rewards))
    assert (found[~kept] == rewards[~kept]).all()
    for number in (1, 3):
        inside = kept & (group == number)[:, None]
        assert (found[inside] > 0).sum() == (rewards[inside] > 0).sum()
        agreement = (np.sign(found) == np.sign(rewards))[inside].mean()
        assert agreement == pytest.approx(0.5, abs=0.15)


def test_most_uncertain_by_hand() -> None:
    entropy = np.array([[0.1, 0.9, 5.0], [0.5, 0.7, 0.3]])
    mask = np.array([[1, 1, 0], [1, 1, 1]], dtype=bool)
    assert most_uncertain(entropy, mask, 0.4).tolist() == [[False, True, False], [False, True, False]]
    assert not most_uncertain(entropy, mask, 0.0).any()
    assert (most_uncertain(entropy, mask, 1.0) == mask).all()
    assert not most_uncertain(entropy, np.zeros_like(mask), 0.5).any()
    # Equals are not told apart by where they stand.
    assert most_uncertain(np.ones((2, 3)), mask, 0.2).sum() == 5
    with pytest.raises(ValueError, match="lies in"):
        most_uncertain(entropy, mask, 1.2)


def test_pass_at_k_factor_by_hand() -> None:
    correct = np.array([True, False, False, False, True, True, False, False])
    group = np.array([0, 0, 0, 0, 1, 1, 1, 2])
    found = pass_at_k_factor(correct, group, 2)
    # C(3, 2)/C(4, 2) = 1/2; C(1, 2) = 0; a group of one wrong rollout, drawn whole, solves nothing.
    assert found == pytest.approx([math.sqrt(0.5)] * 4 + [0.0] * 3 + [1.0])
    assert pass_at_k_factor(correct, group, 1)[0] == pytest.approx(math.sqrt(3 / 4))
    lost = np.array([True, True, True, False, True, True, True, True])
    assert pass_at_k_factor(correct, group, 2, lost)[0] == pytest.approx(math.sqrt(1 / 3))
    with pytest.raises(ValueError, match="at least 1"):
        pass_at_k_factor(correct, group, 0)


def test_the_factor_is_the_root_of_the_unbiased_estimate_of_failing() -> None:
    from trueward.measures.best_of_n import pass_at_k

    correct = np.arange(9) < 3
    for k in (1, 2, 5, 9):
        solved = pass_at_k(np.array([3]), np.array([9]), [k])[0, 0]
        assert pass_at_k_factor(correct, np.zeros(9, dtype=int), k)[0] ** 2 == pytest.approx(1 - solved)
