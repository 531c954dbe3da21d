"""Ways to say how far two rewards are apart, and pairs of rewards on random MDPs with the regret between them.

Regrets are exact, from policies that are best or worst for a reward, and computed once for all arms of a seed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from trueward.measures.ranks import rank_correlation

if TYPE_CHECKING:
    from trueward.evidence.run import Run
    from trueward.measures.tabular import TabularMDP

Distance = Callable[[np.ndarray, np.ndarray], float]
"""Two rewards [S, A, S] → how far they are apart."""

_HAPPENS = 1e-6  # what is less likely does not: random MDPs leave some 1e-10 to every transition
_AT_STAKE = 1e-6  # smaller differences between actions come from what does not happen, or from rounding


def distance_of(
    chosen: Mapping[str, Any], mdp: TabularMDP, generator: np.random.Generator, form: float | str | None = None
) -> Distance:
    """The distance of an arm, in one world.

    Settings: `distance.kind`, a canonicalisation, or "accuracy" or "returns" of fragments; `distance.form`, norm and
    metric, or "pearson" for EPIC and DARD as they are published; `distance.normalised`; `distance.dynamics`, "true" or
    "exchanged"; `fragments.count` and `fragments.length`.

    Args:
        chosen: settings.
        mdp: the world.
        generator: of fragments, and of what is exchanged.
        form: in place of `distance.form`.
    """
    from trueward.measures.distances import dard_distance, epic_distance, starc_distance

    kind, form = chosen["distance.kind"], chosen["distance.form"] if form is None else form
    if kind in _BY_RETURNS:
        steps = fragments(mdp, chosen["fragments.count"], chosen["fragments.length"], generator)
        weights = mdp.discount ** np.arange(chosen["fragments.length"])
        return lambda first, second: _BY_RETURNS[kind](first[steps] @ weights, second[steps] @ weights)
    if form == "pearson":
        published = {"epic": epic_distance, "dard": dard_distance}[kind]
        return lambda first, second: published(first, second, mdp)
    if chosen["distance.dynamics"] == "exchanged":
        mdp = with_exchanged_dynamics(mdp, generator)
    norm = form if chosen["distance.normalised"] else 0
    return lambda first, second: starc_distance(first, second, mdp, canonical=kind, norm=norm, metric=form)


def disorder(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"]) -> float:
    """1 − accuracy: share of pairs that two rewards order differently; a tie on one side counts half.

    Args:
        first, second: what the two rewards say of how much better one side of each pair is.
    """
    return float((1 - np.sign(first) * np.sign(second)).mean() / 2)


def _halves_ordered(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"]) -> float:
    """`disorder` of the pairs that the first and the second half of some fragments make."""
    half = len(first) // 2
    return disorder(first[:half] - first[half:], second[:half] - second[half:])


def _unlike(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"]) -> float:
    """1 − correlation; 1 where one side stands still."""
    found = correlation(first, second)
    return 1.0 if np.isnan(found) else 1.0 - found


_BY_RETURNS: Mapping[str, Distance] = {"accuracy": _halves_ordered, "returns": _unlike}
"""Distances of what two rewards pay for the same fragments of random walks."""


def with_exchanged_dynamics(mdp: TabularMDP, generator: np.random.Generator) -> TabularMDP:
    """The world in which what follows one state follows another; what ends stays as it is."""
    running = np.flatnonzero(~mdp.terminal)
    transitions = mdp.transitions.copy()
    transitions[running] = transitions[generator.permutation(running)]
    return dataclasses.replace(mdp, transitions=transitions)


def fragments(
    mdp: TabularMDP, count: int, length: int, generator: np.random.Generator
) -> tuple[Int[np.ndarray, "n l"], Int[np.ndarray, "n l"], Int[np.ndarray, "n l"]]:
    """State, action and next state of each step of random walks under the uniform policy."""
    cumulative = mdp.transitions.cumsum(axis=-1)
    state = generator.choice(mdp.states, size=count, p=mdp.start)
    steps = np.empty((3, count, length), dtype=np.int64)
    for place in range(length):
        action = generator.integers(mdp.actions, size=count)
        drawn = (generator.random(count)[:, None] >= cumulative[state, action]).sum(axis=1)
        following = np.minimum(drawn, mdp.states - 1)  # rounding may leave the last sum below 1
        steps[:, :, place] = state, action, following
        state = following
    return steps[0], steps[1], steps[2]


@dataclasses.dataclass(frozen=True)
class Line:
    """Rewards on the line between two random ones, in one random MDP.

    Attributes:
        mdp: the world.
        first: where the line begins.
        others: T rewards at equal steps; the last is independent of the first.
    """

    mdp: TabularMDP
    first: Float[np.ndarray, "s a t"]
    others: tuple[Float[np.ndarray, "s a t"], ...]


def lines(run: Run, *, deterministic: bool = False) -> Iterator[Line]:
    """The lines of a seed, the same in every arm.

    Args:
        run: whose settings and seed count: `mdps.…`.
        deterministic: of the next states of each action one is left, drawn as it is likely.
    """
    from trueward.measures.tabular import TabularMDP
    from trueward.tasks.control.tabular import random_mdp, random_reward

    chosen, kind = run.settings, "deterministic" if deterministic else "count"
    states, actions, steps = chosen["mdps.states"], chosen["mdps.actions"], chosen["mdps.steps"]
    for number in range(chosen[f"mdps.{kind}"]):
        generator = run.generator(f"random MDP {kind} {number}")
        mdp = random_mdp(states, actions, generator, discount=chosen["mdps.discount"])
        if deterministic:
            following = (generator.random((states, actions, 1)) >= mdp.transitions.cumsum(axis=-1)).sum(axis=-1)
            mdp = TabularMDP(np.eye(states)[np.minimum(following, states - 1)], mdp.start, mdp.discount)
        for _ in range(chosen["mdps.pairs"]):
            first, last = random_reward(mdp, generator), random_reward(mdp, generator)
            yield Line(mdp, first, tuple(first + (last - first) * step / steps for step in range(1, steps + 1)))


def regrets_of(run: Run, *, deterministic: bool = False) -> Float[np.ndarray, "l t 2"]:
    """Normalised regret of every pair in both directions; computed once for all arms of a seed.

    NaN where nothing is at stake under one of the two: sparse rewards may pay for nothing that happens.
    """
    from trueward.measures.distances import regrets

    def lost(line: Line) -> np.ndarray:
        rewards = [line.first, *line.others]
        table = regrets(rewards, line.mdp)
        idle = [largest_advantage(line.mdp, reward) < _AT_STAKE for reward in rewards]
        table[idle], table[:, idle] = np.nan, np.nan
        return np.stack((table[0, 1:], table[1:, 0]), axis=-1)

    def build(folder: Path) -> None:
        np.save(folder / "regrets.npy", np.stack([lost(line) for line in lines(run, deterministic=deterministic)]))

    settled = {name: value for name, value in run.settings.items() if name.startswith("mdps.")}
    name = "regrets deterministic" if deterministic else "regrets"
    kept: np.ndarray = np.load(run.shared(name, settled, build) / "regrets.npy", allow_pickle=False)
    return kept


def largest_advantage(mdp: TabularMDP, reward: Float[np.ndarray, "s a t"]) -> float:
    """By how much an action is better or worse than the uniform policy at most: 0 where nothing is at stake."""
    from trueward.measures.tabular import action_values, uniform_policy

    values = action_values(mdp, reward, uniform_policy(mdp))
    return float(np.abs(values - values.mean(axis=1, keepdims=True)).max())


def distances(
    run: Run, form: float | str, *, deterministic: bool = False, unreachable: bool = False
) -> Float[np.ndarray, "l t"]:
    """What the distance of an arm says of every pair of which the regret is known; NaN of the others.

    Args:
        run: whose settings and seed count.
        form: see `distance_of`.
        deterministic: see `lines`.
        unreachable: a share of the transitions that do not happen pays ± a large sum, others in each reward.
    """
    chosen, found = run.settings, []
    known = np.isfinite(regrets_of(run, deterministic=deterministic)).all(axis=-1)
    share = chosen["mdps.unreachable_share"] if unreachable else 0.0
    for number, line in enumerate(lines(run, deterministic=deterministic)):
        generator = run.generator(f"distance {number}")
        distance = distance_of(chosen, line.mdp, generator, form)
        first, *others = (
            reward + unreachable_pay(line.mdp, share, chosen["mdps.unreachable_size"], generator)
            for reward in (line.first, *line.others)
        )
        pairs = zip(others, known[number], strict=True)
        found.append([distance(first, other) if usable else np.nan for other, usable in pairs])
    return np.array(found)


def unreachable_pay(
    mdp: TabularMDP, share: float, size: float, generator: np.random.Generator
) -> Float[np.ndarray, "s a t"] | float:
    """A reward of ± a size on a share of the transitions that do not happen, and 0 on all others."""
    if share == 0:
        return 0.0
    shape = mdp.transitions.shape
    paid = (generator.random(shape) < share) & (mdp.transitions < _HAPPENS)
    return np.where(paid, size * generator.choice((-1.0, 1.0), size=shape), 0.0)


def on_random_mdps(run: Run) -> dict[str, float]:
    """How well the distance of an arm foretells regret on random MDPs; see the metrics of the bed."""
    both, only = regrets_of(run), regrets_of(run, deterministic=True)
    regret = both.mean(axis=-1)
    known = np.isfinite(regret)
    own = run.settings["distance.form"]
    by_form = {form: distances(run, form) for form in {own, 2, "weighted_2"}}
    apart, weighted = by_form[own], correlation(by_form["weighted_2"], regret)
    apart_only = distances(run, "weighted_2", deterministic=True)
    deterministic = correlation(apart_only, only.mean(axis=-1))
    return {
        "pearson": correlation(apart, regret),
        "spearman": correlation(apart, regret, ranks=True),
        "pearson_worse": correlation(apart, both.max(axis=-1)),
        "pearson_within": float(np.mean([correlation(a, b) for a, b in zip(apart.T, regret.T, strict=True)])),
        "pearson_l2": correlation(by_form[2], regret),
        "unreachable_pearson": correlation(distances(run, 2, unreachable=True), regret),
        "weighted_pearson": weighted,
        "deterministic_pearson": deterministic,
        "determinism_loss": weighted - deterministic,
        "regret_mean": float(regret[known].mean()),
        "regret_spread": float(regret[known].std()),
    }


def correlation(first: np.ndarray, second: np.ndarray, *, ranks: bool = False) -> float:
    """Pearson's r, or Spearman's ρ, over the pairs of which both numbers are known; NaN where one side stands still."""
    known = np.isfinite(first) & np.isfinite(second)
    one, other = first[known], second[known]
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return rank_correlation(one, other) if ranks else float(np.corrcoef(one, other)[0, 1])
