"""Advantages of environments side by side: by hand, with resets in place of steps, against Stable-Baselines3."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer

from trueward.credit.environments import continuing, episodic

NO = np.zeros((3, 1), dtype=bool)


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)[:, None]


def at(place: int) -> np.ndarray:
    flags = NO.copy()
    flags[place] = True
    return flags


def test_ends_by_hand() -> None:
    """γ = ½, λ = 1, V = 1 everywhere, V' = 4 of the last observation, 2 where the second step was cut off."""
    rewards, values = column(1.0, 2.0, 3.0), column(1.0, 1.0, 1.0)
    goes_on = episodic(rewards, values, column(1.0, 1.0, 4.0), NO, NO, discount=0.5, trace=1.0)
    # 3 + ½·4 = 5; 2 + ½·5 = 4.5; 1 + ½·4.5 = 3.25.
    assert goes_on.returns[:, 0].tolist() == [3.25, 4.5, 5.0]
    dead = episodic(rewards, values, column(1.0, 2.0, 4.0), at(1), NO, discount=0.5, trace=1.0)
    assert dead.returns[:, 0].tolist() == [2.0, 2.0, 5.0]
    cut = episodic(rewards, values, column(1.0, 2.0, 4.0), NO, at(1), discount=0.5, trace=1.0)
    assert cut.returns[:, 0].tolist() == [2.5, 3.0, 5.0]
    assert cut.advantages[:, 0].tolist() == [1.5, 2.0, 4.0]


def test_both_at_once_is_an_end() -> None:
    rewards, values = column(1.0, 2.0, 3.0), column(1.0, 1.0, 1.0)
    both = episodic(rewards, values, column(1.0, 9.0, 4.0), at(1), at(1), discount=0.5, trace=1.0)
    assert both.returns[:, 0].tolist() == [2.0, 2.0, 5.0]


def test_a_reset_in_place_of_a_step_changes_nothing_around_it() -> None:
    rng = np.random.default_rng(0)
    rewards, values, after = rng.normal(size=(3, 6, 2))
    terminated, truncated = np.zeros((2, 6, 2), dtype=bool)
    terminated[2, 0], truncated[3, 1] = True, True
    whole = episodic(rewards, values, after, terminated, truncated, discount=0.9, trace=0.8)
    # The same steps with a reset after each end; what stands there is noise.
    places = np.array([[0, 0], [1, 1], [2, 2], [-1, 3], [3, -1], [4, 4], [5, 5]])
    there = places >= 0

    def spaced(matrix: np.ndarray) -> np.ndarray:
        out = rng.normal(size=there.shape).astype(matrix.dtype)
        if matrix.dtype == bool:
            out[:] = False
        for row in range(2):
            out[there[:, row], row] = matrix[places[there[:, row], row], row]
        return out

    apart = episodic(
        spaced(rewards),
        spaced(values),
        spaced(after),
        spaced(terminated),
        spaced(truncated),
        there,
        discount=0.9,
        trace=0.8,
    )
    for row in range(2):
        np.testing.assert_allclose(apart.advantages[there[:, row], row], whole.advantages[:, row], rtol=1e-12)
        np.testing.assert_allclose(apart.returns[there[:, row], row], whole.returns[:, row], rtol=1e-12)
    assert (apart.advantages[~there] == 0).all() and (apart.returns[~there] == 0).all()


def test_a_bonus_goes_on_through_ends_and_skips_resets() -> None:
    """γ = ½, λ = 1: the bonus of the next episode counts for the last step of this one, a reset costs no discount."""
    paid = column(1.0, 0.0, 4.0)
    plain = continuing(paid, column(0.0, 0.0, 0.0), np.array([8.0]), discount=0.5, trace=1.0)
    assert plain.returns[:, 0].tolist() == [1.0 + 0.5 * 4.0, 4.0, 8.0]
    skipped = continuing(
        column(1.0, 77.0, 4.0), column(0.0, 55.0, 0.0), np.array([8.0]), ~at(1), discount=0.5, trace=1.0
    )
    assert skipped.returns[:, 0].tolist() == [1.0 + 0.5 * 8.0, 0.0, 8.0]
    one_step = continuing(paid, column(1.0, 2.0, 3.0), np.array([8.0]), discount=0.5, trace=0.0)
    assert one_step.advantages[:, 0].tolist() == [1.0 + 1.0 - 1.0, 0.0 + 1.5 - 2.0, 4.0 + 4.0 - 3.0]


@pytest.mark.parametrize("trace", [0.0, 0.95, 1.0])
def test_equal_to_stable_baselines(trace: float) -> None:
    """SB3 adds γ V(final observation) to the reward of a truncated step itself; given that, the numbers agree."""
    rng, steps, count, discount = np.random.default_rng(1), 40, 5, 0.97
    rewards = rng.normal(size=(steps, count)).astype(np.float32)
    values = rng.normal(size=(steps, count)).astype(np.float32)
    terminated = rng.random((steps, count)) < 0.1
    truncated = (rng.random((steps, count)) < 0.1) & ~terminated
    final, last = rng.normal(size=(steps, count)).astype(np.float32), rng.normal(size=count).astype(np.float32)
    after = np.concatenate([values[1:], last[None]])
    after[truncated] = final[truncated]
    ours = episodic(rewards, values, after, terminated, truncated, discount=discount, trace=trace)

    buffer = RolloutBuffer(
        steps, spaces.Box(-1, 1, (1,)), spaces.Discrete(2), gae_lambda=trace, gamma=discount, n_envs=count
    )
    starts = np.ones(count)
    nothing = np.zeros((count, 1))
    for t in range(steps):
        paid = rewards[t] + discount * final[t] * truncated[t]
        buffer.add(nothing, nothing, paid, starts, torch.from_numpy(values[t]), torch.zeros(count))
        starts = (terminated[t] | truncated[t]).astype(np.float64)
    buffer.compute_returns_and_advantage(torch.from_numpy(last), starts)
    np.testing.assert_allclose(ours.advantages, buffer.advantages, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.returns, buffer.returns, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_summed_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        episodic(column(1.0, np.nan, 2.0), column(0.0, 0.0, 0.0), column(0.0, 0.0, 0.0), NO, NO)
    with pytest.raises(ValueError, match="must lie in"):
        continuing(column(1.0), column(0.0), np.array([0.0]), discount=1.5)
