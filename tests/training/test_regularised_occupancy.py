"""Exact policies near a reference: against a general solver, in limits, and with a certificate that always holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from trueward.measures.divergences import chi_squared
from trueward.measures.proxies import correlation
from trueward.measures.tabular import TabularMDP, occupancy, optimal, soft_optimal, uniform_policy
from trueward.tasks.control.tabular.tomato import tomato
from trueward.training.control.regularised import (
    OccupancyDivergence,
    Over,
    action_regularised,
    occupancy_divergence,
    occupancy_regularised,
)


def _world(
    seed: int, states: int = 4, actions: int = 2, terminal: bool = False
) -> tuple[TabularMDP, np.ndarray, np.ndarray]:
    """A random MDP, a reward, and a reference policy that does everything."""
    generator = np.random.default_rng(seed)
    transitions = generator.dirichlet(np.ones(states), size=(states, actions))
    ends = np.zeros(states, dtype=bool)
    if terminal:
        ends[-1] = True
        transitions[-1] = np.eye(states)[-1]
    mdp = TabularMDP(transitions, generator.dirichlet(np.ones(states)), 0.8, ends)
    reference = 0.5 * generator.dirichlet(np.ones(actions), size=states) + 0.5 / actions
    return mdp, generator.normal(size=(states, actions)), reference


def _solved(
    mdp: TabularMDP,
    reward: np.ndarray,
    reference: np.ndarray,
    weight: float,
    divergence: OccupancyDivergence,
    over: Over,
) -> float:
    """The same problem as a general one: over occupancies that flow as the MDP lets them."""
    nu, shape = occupancy(mdp, reference), (mdp.states, mdp.actions)
    expected = mdp.expected(reward)

    def loss(flat: np.ndarray) -> float:
        mu = np.maximum(flat.reshape(shape), 1e-12)
        if divergence == "sqrt_chi2":
            d = math.sqrt(occupancy_divergence(mu, nu, "chi2", over) + 1e-4) - 1e-2
        else:
            d = occupancy_divergence(mu, nu, divergence, over)
        return -float((mu * expected).sum()) + weight * d

    flat_transitions = mdp.flat

    def flow(flat: np.ndarray) -> np.ndarray:
        mu = flat.reshape(shape)
        balance: np.ndarray = mu.sum(axis=1) - (1 - mdp.discount) * mdp.start - mdp.discount * flat_transitions.T @ flat
        return balance

    found = minimize(
        loss,
        nu.ravel(),
        bounds=[(0, 1)] * nu.size,
        constraints={"type": "eq", "fun": flow},
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-12},
    )
    return -float(found.fun)


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("over", ["state_action", "state"])
@pytest.mark.parametrize("divergence", ["chi2", "sqrt_chi2", "kl"])
def test_agrees_with_a_general_solver(divergence: OccupancyDivergence, over: Over, terminal: bool) -> None:
    mdp, reward, reference = _world(1, terminal=terminal)
    for weight in (0.1, 0.5):
        found = occupancy_regularised(mdp, reward, reference, weight, divergence, over=over)
        assert found.objective == pytest.approx(_solved(mdp, reward, reference, weight, divergence, over), abs=2e-4)
        assert found.gap >= -1e-9


@pytest.mark.parametrize("divergence", ["chi2", "sqrt_chi2", "kl", "tv"])
def test_without_weight_it_optimises_and_with_much_it_stays(divergence: OccupancyDivergence) -> None:
    mdp, reward, reference = _world(3)
    best = occupancy(mdp, optimal(mdp, reward).policy)
    free = occupancy_regularised(mdp, reward, reference, 0.0, divergence)
    assert free.objective == pytest.approx(float((best * reward).sum()), abs=1e-4)
    held = occupancy_regularised(mdp, reward, reference, 1000.0, divergence)
    assert held.occupancy == pytest.approx(occupancy(mdp, reference), abs=0.01)


def test_one_state_by_hand() -> None:
    # A bandit: χ² gives μ = ν (1 + (R − mean) / 2λ); action KL gives π ∝ ν exp(R / λ).
    mdp = TabularMDP(np.ones((1, 2, 1)), np.ones(1), 0.5)
    reward, reference = np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]])
    found = occupancy_regularised(mdp, reward, reference, 1.0, "chi2")
    assert found.policy == pytest.approx(np.array([[0.625, 0.375]]), abs=1e-4)
    assert found.objective == pytest.approx(0.625 - 0.0625, abs=1e-6)
    tilted = action_regularised(mdp, reward, reference, 1.0)
    assert tilted[0, 0] == pytest.approx(math.e / (1 + math.e))


def test_where_the_reference_never_goes_the_result_never_goes() -> None:
    mdp = TabularMDP(np.ones((1, 3, 1)), np.ones(1), 0.5)
    found = occupancy_regularised(mdp, np.array([[0.0, 1.0, 5.0]]), np.array([[0.5, 0.5, 0.0]]), 0.1, "chi2")
    assert found.policy[0, 2] == 0


def test_an_end_counts_as_often_as_it_lasts() -> None:
    """A reference that ends at once: going on is far from it, however little mass the steps before the end have."""
    transitions = np.zeros((2, 2, 2))
    transitions[0, 0, 0] = transitions[0, 1, 1] = transitions[1, :, 1] = 1.0
    mdp = TabularMDP(transitions, np.array([1.0, 0.0]), 0.9, np.array([False, True]))
    reference = np.array([[0.1, 0.9], [0.5, 0.5]])
    reward = np.array([[1.0, 0.0], [0.0, 0.0]])
    found = occupancy_regularised(mdp, reward, reference, 0.3, "chi2")
    assert found.objective == pytest.approx(_solved(mdp, reward, reference, 0.3, "chi2", "state_action"), abs=1e-4)


def test_tomato_level_two() -> None:
    """What the source of the task reports of its own exact runs, up to how tomatoes dry (see `tomato`)."""
    task = tomato(2)
    mdp = task.mdp
    true, proxy = mdp.expected(task.reward("true")), mdp.expected(task.reward("proxy"))
    reference = 0.9 * soft_optimal(mdp, true, 0.3).policy + 0.1 * uniform_policy(mdp)
    nu = occupancy(mdp, reference)
    base = correlation(proxy, true, nu)
    hacked = occupancy(mdp, optimal(mdp, proxy).policy)

    def earns(mu: np.ndarray) -> float:
        return float((mu * true).sum())

    assert base.true_mean == pytest.approx(0.0631, abs=0.003)
    assert earns(occupancy(mdp, optimal(mdp, true).policy)) == pytest.approx(0.0861, abs=0.002)
    assert earns(hacked) == pytest.approx(0.0226, abs=0.001)
    assert base.correlation == pytest.approx(0.904, abs=0.04)
    assert correlation(proxy, true, hacked).correlation < -0.7

    runs: dict[str, list[np.ndarray]] = {"action": [], "sqrt_chi2": [], "kl": []}
    for scale in (0.5, 2.0, 20.0):
        weight = scale * base.proxy_deviation
        runs["action"].append(occupancy(mdp, action_regularised(mdp, proxy, reference, weight)))
        for name in ("sqrt_chi2", "kl"):
            runs[name].append(occupancy_regularised(mdp, proxy, reference, weight, name, steps=60).occupancy)
    for mu in [nu, hacked, *(mu for found in runs.values() for mu in found)]:
        promised = base.promised(float((mu * proxy).sum()) - base.proxy_mean, chi_squared(mu, nu))
        assert earns(mu) - base.true_mean >= promised - 1e-12
    best = {name: max(earns(mu) for mu in found) for name, found in runs.items()}
    assert best["sqrt_chi2"] > best["action"] + 0.008
    assert best["sqrt_chi2"] > best["kl"] > base.true_mean


def test_refuses_what_it_does_not_know() -> None:
    mdp, reward, reference = _world(0)
    with pytest.raises(ValueError, match="expected a weight"):
        occupancy_regularised(mdp, reward, reference, -1.0)
    with pytest.raises(ValueError, match="sqrt_chi2"):
        occupancy_regularised(mdp, reward, reference, 1.0, "hellinger")  # type: ignore[arg-type]
