"""Reward distances against plain loops, and how large a world may be.

    python benchmarks/bench_distances.py

The loops are written from the definitions, in the manner of the published code: state values by sweeps, DARD by its sum
over all (S', A, S''), returns by simulated episodes. For a pair of rewards the loops are two canonical forms and six
returns, summed, without the search for the policies, which ours includes. Equality first: canonical forms to 1e-8,
returns within five standard errors. Then ratios at three sizes, and seconds at 2,000 dense and 20,000 sparse states.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
from scipy import sparse

from trueward.measures.distances import (
    canonicalise,
    dard_distance,
    epic_distance,
    normalised_regret,
    starc_distance,
)
from trueward.measures.tabular import TabularMDP, expected_return, optimal

SIZES = ((16, 4), (32, 4), (64, 8))
TARGET = 500  # times faster than the loops, at the largest size
SECONDS = 10.0  # for one distance at 2,000 dense or 20,000 sparse states
DISCOUNT = 0.95


def world(states: int, actions: int, seed: int) -> tuple[TabularMDP, np.ndarray, np.ndarray]:
    """Random transitions of which about a sixth are likely, and two rewards."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(states, actions, states))
    weights = np.exp(np.where(logits > 1, logits, -20))
    mdp = TabularMDP(weights / weights.sum(axis=2, keepdims=True), np.full(states, 1 / states), DISCOUNT)
    a, b = generator.normal(size=(2, states, actions, states))
    return mdp, a, b


def value_by_sweeps(mdp: TabularMDP, reward: np.ndarray, tolerance: float = 1e-8) -> np.ndarray:
    """Value-adjusted levelling under the uniform policy: sweeps over the states until nothing moves."""
    t, values = mdp.transitions, np.zeros(mdp.states)
    moved = math.inf
    while moved >= tolerance:
        before = values.copy()
        for s in range(mdp.states):
            values[s] = (t[s] * (reward[s] + mdp.discount * values)).sum() / mdp.actions
        moved = np.abs(values - before).max()
    canonical = np.empty_like(reward)
    for s in range(mdp.states):
        for a in range(mdp.actions):
            canonical[s, a, :] = (t[s, a] * (reward[s, a] - values[s] + mdp.discount * values)).sum()
    return canonical


def dard_by_sum(mdp: TabularMDP, reward: np.ndarray) -> np.ndarray:
    """DARD with the whole joint distribution of (s', S', A, S'') for each s; for all s at once it would not fit."""
    t, share = mdp.transitions, 1 / mdp.actions
    means = (t * reward).sum(axis=2).mean(axis=1)
    later = np.empty((mdp.states, mdp.states))
    for s in range(mdp.states):
        joint = share * t[s].T[None, :, :, None] * t[:, None, :, :]
        later[s] = (joint * reward[None]).sum(axis=(1, 2, 3))
    return reward + mdp.discount * means - means[:, None, None] - mdp.discount * later[:, None, :]


def simulated_return(mdp: TabularMDP, reward: np.ndarray, policy: np.ndarray, seed: int) -> tuple[float, float]:
    """Mean discounted return of episodes from every state, as many times as there are actions; and its error."""
    generator = np.random.default_rng(seed)
    steps = round(math.log(1e-5) / math.log(mdp.discount))
    returns = []
    for start in list(range(mdp.states)) * mdp.actions:
        s, total, weight = start, 0.0, 1.0
        for _ in range(steps):
            a = policy[s]
            following = generator.choice(mdp.states, p=mdp.transitions[s, a])
            total += weight * reward[s, a, following]
            weight *= mdp.discount
            s = following
        returns.append(total)
    return float(np.mean(returns)), float(np.std(returns) / math.sqrt(len(returns)))


def seconds(task: Callable[[], object], repeat: int = 1) -> float:
    """Fastest of some runs."""
    best = math.inf
    for _ in range(repeat):
        started = time.perf_counter()
        task()
        best = min(best, time.perf_counter() - started)
    return best


def line(name: str, loop: float, ours: float, largest: bool) -> str:
    """A row of the table."""
    ratio = loop / ours
    verdict = f"target >= {TARGET} x  {'ok' if ratio >= TARGET else 'LOST'}" if largest else ""
    return f"  {name:<34} {1000 * loop:10.1f} ms {1000 * ours:10.3f} ms {ratio:10.0f} x  {verdict}".rstrip()


def against_loops(states: int, actions: int, largest: bool) -> None:
    """Equality, then the ratios."""
    mdp, reward, other = world(states, actions, states)
    for kind, loop in (
        ("value", value_by_sweeps(mdp, reward, 1e-12)),
        ("dard", dard_by_sum(mdp, reward)),
    ):
        gap = float(np.abs(canonicalise(reward, kind, mdp) - loop).max())
        if gap > 1e-8:
            raise SystemExit(f"{kind}, {states} x {actions}: differs from the loop by {gap:.1e}")
        print(f"equal to the loop to {gap:.1e}: {kind}, {states} x {actions}")
    solution = optimal(mdp, reward)
    policy = solution.policy.argmax(axis=1)
    started = time.perf_counter()
    mean, error = simulated_return(mdp, reward, policy, 0)
    simulated = time.perf_counter() - started
    exact = expected_return(mdp, reward, solution.policy)
    if abs(mean - exact) > 5 * error:
        raise SystemExit(f"return, {states} x {actions}: exact {exact:.3f}, simulated {mean:.3f} +- {error:.3f}")
    print(f"exact return {exact:.2f}, simulated {mean:.2f} +- {error:.2f}: {states} x {actions}")
    swept = seconds(lambda: value_by_sweeps(mdp, reward))
    summed = seconds(lambda: dard_by_sum(mdp, reward))
    print(f"\n{states} states x {actions} actions" + " " * 27 + "loops" + " " * 10 + "ours")
    rows = (
        ("value canonicalisation", swept, lambda: canonicalise(reward, "value", mdp)),
        ("DARD canonicalisation", summed, lambda: canonicalise(reward, "dard", mdp)),
        ("return of a policy", simulated, lambda: expected_return(mdp, reward, solution.policy)),
        (
            "distance and both regrets, summed",
            2 * swept + 6 * simulated,
            lambda: (starc_distance(reward, other, mdp), normalised_regret(reward, other, mdp)),
        ),
    )
    for name, loop, ours in rows:
        print(line(name, loop, seconds(ours, 9), largest))
    print()


def large(name: str, mdp: TabularMDP, tasks: dict[str, Callable[[], float]]) -> None:
    """Seconds of single distances in a big world."""
    print(f"{name}: {mdp.states:,} states x {mdp.actions} actions")
    for task, work in tasks.items():
        spent = seconds(work)
        print(f"  {task:<52} {spent:7.2f} s  target <= {SECONDS:.0f} s  {'ok' if spent <= SECONDS else 'LOST'}")
    print()


def thin_world(states: int, actions: int, successors: int) -> tuple[TabularMDP, sparse.csr_matrix, sparse.csr_matrix]:
    """Random successors of every pair, and rewards of these."""
    generator = np.random.default_rng(1)
    rows = np.repeat(np.arange(states * actions), successors)
    columns = generator.integers(states, size=len(rows))
    shape = (states * actions, states)
    weights = generator.dirichlet(np.ones(successors), states * actions).ravel()
    transitions = sparse.csr_matrix((weights, (rows, columns)), shape=shape)
    a, b = (sparse.csr_matrix((generator.normal(size=len(rows)), (rows, columns)), shape=shape) for _ in range(2))
    return TabularMDP(transitions, np.full(states, 1 / states), DISCOUNT), a, b


def main() -> None:
    """Print the tables."""
    for states, actions in SIZES:
        against_loops(states, actions, (states, actions) == SIZES[-1])
    mdp, a, b = world(2000, 4, 0)
    large(
        "dense",
        mdp,
        {
            "STARC, value": lambda: starc_distance(a, b, mdp),
            "STARC, value_potential": lambda: starc_distance(a, b, mdp, canonical="value_potential"),
            "STARC, minimal": lambda: starc_distance(a, b, mdp, canonical="minimal"),
            "EPIC": lambda: epic_distance(a, b, mdp),
            "DARD": lambda: dard_distance(a, b, mdp),
            "regrets, both ways": lambda: normalised_regret(a, b, mdp).mean,
        },
    )
    del mdp, a, b
    mdp, thin_a, thin_b = thin_world(20_000, 4, 4)
    large(
        "sparse, 4 successors",
        mdp,
        {
            "STARC, value": lambda: starc_distance(thin_a, thin_b, mdp),
            "STARC, value_potential (a norm over all S x A x S)": lambda: starc_distance(
                thin_a, thin_b, mdp, canonical="value_potential"
            ),
            "EPIC": lambda: epic_distance(thin_a, thin_b, mdp),
            "regrets, both ways": lambda: normalised_regret(thin_a, thin_b, mdp).mean,
        },
    )


if __name__ == "__main__":
    main()
