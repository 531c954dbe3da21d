"""Learnt rewards, and what their distance from the true one foretells: in gridworlds, and among reward models of text.

In gridworlds a reward is learnt for every possible step from fewer and fewer preferences with more and more noise; a
policy is then trained on it, and its regret is what a distance should foretell. Reward models of text are trained on
more or fewer pairs of better and worse annotators; what should be foretold is gold of the best of 64 answers.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from trueward.evidence.language_bed import under
from trueward.recipes.beds.starc_mdps import correlation, disorder, distance_of, fragments

if TYPE_CHECKING:
    from trueward.evidence.run import Run
    from trueward.measures.tabular import TabularMDP


def grid_world(run: Run, number: int) -> tuple[TabularMDP, Float[np.ndarray, "s a t"]]:
    """A slippery gridworld and what is wanted in it: to reach and keep the good cell, and to keep out of the bad ones.

    Episodes begin anywhere and do not end; acting in the good cell pays 4, in a bad one −1 to −4.
    """
    from trueward.measures.tabular import as_transition_reward
    from trueward.tasks.control.tabular import gridworld

    chosen, generator = run.settings, run.generator(f"grid {number}")
    side = chosen["use.side"]
    grid = gridworld(["." * side] * side, slip=chosen["use.slip"], stay=True, discount=chosen["use.discount"])
    cells, paid = generator.permutation(side * side), np.zeros(side * side)
    bad = cells[1 : 1 + chosen["use.bad_cells"]]
    paid[cells[0]], paid[bad] = 4.0, -generator.integers(1, 5, size=len(bad))
    return grid.mdp, as_transition_reward(paid, grid.mdp)


def learned_reward(
    mdp: TabularMDP,
    true: Float[np.ndarray, "s a t"],
    labels: int,
    noise: float,
    length: int,
    ridge: float,
    generator: np.random.Generator,
) -> Float[np.ndarray, "s a t"]:
    """A reward for every step, learnt from preferences between fragments of random walks.

    An annotator prefers the first of two fragments with probability σ(z), z the difference of what the true reward pays
    them, in standard deviations; labels are then turned round with a probability. Fitted is the maximum of
    Σ log σ(±(R̂(first) − R̂(second))) − λ/2 ‖R̂‖²; steps that were not seen get 0.

    Args:
        mdp: the world.
        true: what annotators want.
        labels: number of pairs.
        noise: share of labels that are turned round.
        length: steps of a fragment.
        ridge: λ.
        generator: of walks and labels.
    """
    from scipy.sparse import csr_matrix

    steps = np.ravel_multi_index(fragments(mdp, 2 * labels, length, generator), true.shape)
    side, pair = np.repeat((1.0, -1.0), labels * length), np.repeat(np.tile(np.arange(labels), 2), length)
    differences = csr_matrix((side, (pair, steps.ravel())), shape=(labels, true.size))
    gap = differences @ true.ravel()
    preferred = generator.random(labels) < 1 / (1 + np.exp(-gap / max(gap.std(), 1e-9)))
    turned = generator.random(labels) < noise
    return logistic_fit(differences, (preferred ^ turned).astype(np.float64), ridge).reshape(true.shape)


def logistic_fit(features: Any, labels: Float[np.ndarray, " n"], ridge: float) -> Float[np.ndarray, " d"]:
    """The w [D] that maximises Σ log P(label) − λ/2 ‖w‖² with P(1) = σ(x·w).

    Args:
        features: x of each pair, [N, D], dense or sparse.
        labels: 1 or 0.
        ridge: λ > 0; the maximum is unique.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        score = features @ weights
        value = np.logaddexp(0.0, score).sum() - labels @ score + ridge / 2 * weights @ weights
        return float(value), features.T @ (expit(score) - labels) + ridge * weights

    found: np.ndarray = minimize(loss, np.zeros(features.shape[1]), jac=True, method="L-BFGS-B", tol=1e-10).x
    return found


def trained_regret(
    mdp: TabularMDP, true: Float[np.ndarray, "s a t"], learned: Float[np.ndarray, "s a t"], temperature: float
) -> float:
    """Share of what can be won that is lost by a policy that was trained on a learnt reward.

    Trained means: best with a price on entropy, T times what can be won per step, as policies are that no training
    has made certain of everything.
    """
    from trueward.measures.tabular import expected_return, optimal, soft_optimal, worst

    def ends(reward: Float[np.ndarray, "s a t"]) -> tuple[float, float]:
        return float(mdp.start @ worst(mdp, reward).values), float(mdp.start @ optimal(mdp, reward).values)

    low, high = ends(learned)
    policy = soft_optimal(mdp, learned, temperature * (high - low) * (1 - mdp.discount)).policy
    low, high = ends(true)
    return (high - expected_return(mdp, true, policy)) / (high - low)


def learned_rewards(run: Run) -> tuple[Float[np.ndarray, "w k s a t"], Float[np.ndarray, "w k 2"]]:
    """K learnt rewards in each of W gridworlds, and what optimising them costs; computed once for all arms of a seed.

    Returns:
        The rewards; and the regret of what was trained on them (`trained_regret`) and of what is exactly best.
    """
    from trueward.measures.distances import normalised_regret

    chosen = under(run.settings, "use")
    kinds = [(labels, noise) for labels in chosen["labels"] for noise in chosen["noise"]]

    def build(folder: Path) -> None:
        rewards, regrets = [], []
        for number in range(chosen["worlds"]):
            mdp, true = grid_world(run, number)
            for labels, noise in kinds:
                generator = run.generator(f"preferences {number} {labels} {noise}")
                learned = learned_reward(mdp, true, labels, noise, chosen["length"], chosen["ridge"], generator)
                lost = trained_regret(mdp, true, learned, chosen["temperature"])
                rewards.append(learned)
                regrets.append((lost, normalised_regret(true, learned, mdp).first))
        shape = (chosen["worlds"], len(kinds))
        np.save(folder / "rewards.npy", np.reshape(rewards, (*shape, *rewards[0].shape)))
        np.save(folder / "regrets.npy", np.reshape(regrets, (*shape, 2)))

    folder = run.shared("learnt rewards", chosen, build)
    rewards, regrets = (np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("rewards", "regrets"))
    return rewards, regrets


def on_learned_rewards(run: Run) -> dict[str, float]:
    """How well the distance of an arm from the true reward foretells the regret of what is trained on a learnt one."""
    rewards, regrets = learned_rewards(run)
    ranks, straight, exact = [], [], []
    for number, (learned, regret) in enumerate(zip(rewards, regrets, strict=True)):
        mdp, true = grid_world(run, number)
        distance = distance_of(run.settings, mdp, run.generator(f"distance in grid {number}"))
        apart = np.array([distance(true, one) for one in learned])
        ranks.append(correlation(apart, regret[:, 0], ranks=True))
        straight.append(correlation(apart, regret[:, 0]))
        exact.append(correlation(apart, regret[:, 1], ranks=True))
    return {
        "use_spearman": float(np.mean(ranks)),
        "use_pearson": float(np.mean(straight)),
        "use_exact_spearman": float(np.mean(exact)),
        "use_regret_mean": float(regrets[..., 0].mean()),
        "use_regret_spread": float(regrets[..., 0].std(axis=1).mean()),
    }


def on_reward_models(run: Run) -> dict[str, float]:
    """How well the distance of reward models from gold, on one pool of answers, foretells gold of the best of 64."""
    from trueward.evidence.ensemble_bed import member, pool_of
    from trueward.measures.best_of_n import best_of_n
    from trueward.tasks.text.procedural.replies import ReviewReplies

    task = ReviewReplies(**under(run.settings, "task"))
    pool = pool_of(run, task)
    gold = pool.measured()
    closeness, best, held_out = [], [], []
    for labels, pairs in run.settings["models.kinds"]:
        trained_on = dataclasses.replace(run, settings={**run.settings, "preferences.pairs": pairs})
        folder = member(trained_on, task, 0, 0, labels=labels, centring=0.01)
        scores = np.load(folder / "scores.npy", allow_pickle=False).reshape(gold.shape)
        closeness.append(-answer_distance(run, gold, scores))
        best.append(float(best_of_n(scores, gold, (pool.samples,)).mean()))
        held_out.append(json.loads((folder / "accuracy.json").read_text()))
    near, worth, accuracy = np.array(closeness), np.array(best), np.array(held_out)
    return {
        "models_spearman": correlation(near, worth, ranks=True),
        "models_pearson": correlation(near, worth),
        "models_gold_spread": float(worth.std()),
        "models_held_out": correlation(accuracy, worth, ranks=True),
    }


def answer_distance(run: Run, first: Float[np.ndarray, "p s"], second: Float[np.ndarray, "p s"]) -> float:
    """The distance of an arm between two scorings of S answers to each of P prompts.

    A prompt is a state, an answer an action that ends the episode. Accuracy is that of all pairs of answers to a
    prompt.
    """
    from trueward.measures.tabular import as_transition_reward

    if run.settings["distance.kind"] == "accuracy":
        one, other = np.triu_indices(first.shape[1], 1)
        return disorder((first[:, one] - first[:, other]).ravel(), (second[:, one] - second[:, other]).ravel())
    mdp = answering(*first.shape)
    rewards = (
        as_transition_reward(np.append(scores, np.zeros((1, scores.shape[1])), 0), mdp) for scores in (first, second)
    )
    return distance_of(run.settings, mdp, run.generator("answers"))(*rewards)


def answering(prompts: int, answers: int) -> TabularMDP:
    """The world of one step: states are prompts, each of which may come first, and the end; actions are answers."""
    from trueward.measures.tabular import TabularMDP

    transitions = np.zeros((prompts + 1, answers, prompts + 1))
    transitions[:, :, prompts] = 1.0
    end = np.arange(prompts + 1) == prompts
    return TabularMDP(transitions, np.where(end, 0.0, 1 / prompts), 0.0, end)
