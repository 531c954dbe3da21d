"""Where correlated proxies are put to the test: tomato worlds, whose every quantity is known exactly.

The reference policy is the soft-optimal one of the true reward, mixed with uniform actions. Policies in training begin
as it, so that a fall of the true reward is a fall below what was there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trueward.errors import EvidenceError
from trueward.evidence.recipe import Arm, Metric, Settings

if TYPE_CHECKING:
    from trueward.measures.proxies import Correlated
    from trueward.tasks.control.tabular.task import TabularTask

_AT_THE_END = 5  # evaluations whose mean is "the end"

METRICS = (
    Metric("gain_end", "true return: 0 as the reference, 1 as the optimum; last five updates", unit="share"),
    Metric("gain_peak", "the same, at its best", unit="share"),
    Metric("gain_mean", "the same, over the run", unit="share"),
    Metric("proxy_gain_end", "proxy return above the reference, in deviations of the proxy under it", None),
    Metric("correlation_start", "of proxy and true reward under the reference", None),
    Metric("correlation_end", "of proxy and true reward under the policy", None),
    Metric("log_chi_squared_end", "log10 of 1 + χ² from the reference", None),
    Metric("certificate_slack", "true gain above what is promised, least over the run, in true deviations"),
    Metric("alarmed", "whether the gold probe alarms", None, "share"),
)

SETTINGS: Settings = {
    "solver": "ppo",
    "world.level": 2,
    "world.temperature": 0.5,
    "world.mixed": 0.1,
    "penalty": "none",
    "penalty.c": 0.5,
    "penalty.over": "state_action",
    "penalty.trim": 0.01,
    "penalty.clip": 100.0,
    "penalty.fit_first": True,
    "penalty.shuffled": False,
    "ratio.width": 64,
    "ratio.epochs": 8,
    "ratio.batch": 128,
    "ratio.learning_rate": 2e-3,
    "stop.divergence": None,
    "reward": "proxy",
    "environments": 32,
    "environments.of_reference": 0,
    "policy.width": 64,
    "policy.steps": 400,
    "train.steps": 60,
    "train.horizon": 100,
    "train.epochs": 6,
    "train.minibatches": 4,
    "train.learning_rate": 1e-3,
    "train.clip": 0.1,
    "train.entropy": 0.05,
    "train.discount": 0.95,
    "train.trace": 0.95,
    "train.evaluate_every": 4,
    "train.evaluation_episodes": 32,
    "train.checkpoint_every": 20,
    "exact.steps": 250,
    "running.environments": 16,
    "running.steps": 200,
    "running.reference_steps": 25,
    "running.base_steps": 500,
    "running.train.horizon": 256,
    "running.train.epochs": 8,
    "running.train.minibatches": 8,
    "running.train.learning_rate": 3e-4,
    "running.train.discount": 0.99,
    "language.penalty": "none",
    "language.penalty.weight": 0.0,
    "language.policy.layers": 2,
    "language.policy.width": 48,
    "language.policy.heads": 4,
    "language.policy.positions": 80,
    "language.policy.demonstrations": 3000,
    "language.policy.steps": 500,
    "language.policy.batch_size": 48,
    "language.policy.learning_rate": 3e-3,
    "language.preferences.pairs": 600,
    "language.reward_model.epochs": 3,
    "language.reward_model.learning_rate": 1e-3,
    "language.sampling.max_new_tokens": 32,
    "language.rows.train": 256,
    "language.rows.held out": 64,
    "language.train.steps": 120,
    "language.train.prompts": 16,
    "language.train.group": 8,
    "language.train.learning_rate": 1e-3,
    "language.train.evaluate_every": 10,
    "language.train.evaluation_samples": 2,
    "language.train.checkpoint_every": 60,
    "language.train.tensorboard": False,
}

SCALES: Mapping[str, Settings] = {
    "smoke": {
        "world.temperature": 1.0,
        "environments": 16,
        "policy.steps": 150,
        "train.steps": 24,
        "train.epochs": 4,
        "train.learning_rate": 2e-3,
        "train.evaluate_every": 12,
        "train.evaluation_episodes": 16,
        "exact.steps": 30,
        "running.environments": 4,
        "running.steps": 2,
        "running.reference_steps": 1,
        "running.base_steps": 30,
        "running.train.horizon": 32,
        "language.policy.width": 32,
        "language.policy.demonstrations": 600,
        "language.policy.steps": 120,
        "language.preferences.pairs": 200,
        "language.rows.train": 64,
        "language.rows.held out": 16,
        "language.train.steps": 4,
        "language.train.evaluate_every": 2,
    },
    "small": {},
    "full": {"train.steps": 200},
}

OCCUPANCY: Settings = {"penalty": "sqrt_chi2", "environments.of_reference": 16}
"""Half of the environments are the reference's, so that the policy learns from half as many steps as in other arms."""

LEVEL_4: Settings = {"world.level": 4, "world.temperature": 1.0, "policy.steps": 0, "train.steps": 100}
"""The bucket is so far away that a policy that begins as the reference never comes to it: here it begins at random."""

WEIGHTS = {
    "sqrt_chi2": (0.5, 0.2, 1.0, 0.1),
    "om_kl": (2.0, 1.0, 5.0, 0.5),
    "action_kl": (8.0, 5.0, 15.0, 3.0),
    "budget": (0.04, 0.02, 0.08, 0.16),
}
"""What is tried: coefficients c in deviations of the proxy, and nats per step. Of χ² and KL they cannot be compared."""

_EXACT = {
    "none": ("optimises the proxy", (1.0,)),
    "action kl": (
        "KL of the actions in each state",
        (20.0, 50.0, 10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1, 100.0, 200.0, 0.05),
    ),
    "kl": ("KL of the occupancy", (2.0, 5.0, 1.0, 0.5, 10.0, 20.0, 0.2, 0.1, 0.05, 50.0, 100.0, 0.02)),
    "chi2": ("χ² of the occupancy", (0.2, 0.1, 0.5, 0.05, 1.0, 0.02, 2.0, 5.0, 10.0, 0.01, 20.0, 50.0)),
    "sqrt_chi2": ("√χ² of the occupancy", (0.5, 0.2, 1.0, 0.1, 2.0, 0.05, 0.02, 0.01, 5.0, 10.0, 0.3, 0.7)),
}


def exact_arms() -> tuple[Arm, ...]:
    """The regularised optimum without learning, on both levels; the best of twelve coefficients each."""
    arms = []
    for level in (2, 4):
        for kind, (what, tried) in _EXACT.items():
            settings = {"solver": "exact", "world.level": level, "world.temperature": 0.3, "penalty": kind}
            name = f"exact_{kind.replace(' ', '_')}_{level}"
            about = f"exact, level {level}: {what}"
            tuned = {"penalty.c": tried} if kind != "none" else {}
            arms.append(Arm(name, about, "reference", settings, tuned, full=True))
        state = {"solver": "exact", "world.level": level, "world.temperature": 0.3, "penalty": "sqrt_chi2"}
        arms.append(
            Arm(
                f"exact_states_{level}",
                f"exact, level {level}: √χ² of the states alone",
                "reference",
                {**state, "penalty.over": "state"},
                {"penalty.c": _EXACT["sqrt_chi2"][1]},
                full=True,
            )
        )
    return tuple(arms)


def language_arms() -> tuple[Arm, ...]:
    """A policy that writes replies, on a reward model that learnt courtesy with what was wanted."""

    def arm(kind: str, about: str, tried: tuple[float, ...]) -> Arm:
        name = f"replies_{kind.replace(' ', '_')}"
        settings = {"solver": "language", "language.penalty": kind}
        tuned = {"language.penalty.weight": tried} if tried else {}
        return Arm(name, f"replies: {about}", "reference", settings, tuned, full=True)

    return (
        arm("none", "the reward model alone", ()),
        arm("token kl", "KL of each token", (0.1, 0.03, 0.3, 0.01)),
        arm("sqrt_chi2", "√χ² of whole answers, in the loss", (0.1, 0.03, 0.3, 0.01)),
        arm("chi2", "χ² of whole answers, in the loss", (0.1, 0.03, 0.3, 0.01)),
        arm("kl", "KL of whole answers, in the loss", (0.1, 0.03, 0.3, 0.01)),
    )


# fmt: off
FULL_ARMS = (
    Arm("states", "√χ² of the states alone", "ablation", {**OCCUPANCY, "penalty.over": "state"}, full=True),
    Arm("untrimmed", "the mean of the ratios as it is", "ablation", {**OCCUPANCY, "penalty.trim": 0.0}, full=True),
    Arm("fit_after", "the classifier learns after it is asked", "ablation", {**OCCUPANCY, "penalty.fit_first": False},
        full=True),
    Arm("chi2", "χ² without the root", "reference", {**OCCUPANCY, "penalty": "chi2", "penalty.c": 0.2}, full=True),
    Arm("tv", "total variation", "reference", {**OCCUPANCY, "penalty": "tv", "penalty.c": 1.0}, full=True),
    Arm("wasserstein", "Wasserstein distance", "reference", {**OCCUPANCY, "penalty": "wasserstein", "penalty.c": 10.0},
        full=True),
    Arm("action_chi2", "χ² of the actions in each state", "reference", {"penalty": "action chi2", "penalty.c": 1.0},
        full=True),
    Arm("action_sqrt_chi2", "√χ² of the actions in each state", "reference",
        {"penalty": "action sqrt_chi2", "penalty.c": 1.0}, full=True),
    Arm("true", "trained on the true reward: the ceiling", "reference", {"reward": "true"}, full=True),
    Arm("none_4", "level 4: the proxy alone", "reference", LEVEL_4, full=True),
    Arm("sqrt_chi2_4", "level 4: √χ² of the occupancy", "method",
        {**OCCUPANCY, **LEVEL_4}, {"penalty.c": WEIGHTS["sqrt_chi2"]}, full=True),
    Arm("action_kl_4", "level 4: KL of the actions in each state", "baseline",
        {**LEVEL_4, "penalty": "action kl"}, {"penalty.c": WEIGHTS["action_kl"]},
        full=True),
    *language_arms(),
    Arm("running_none", "HalfCheetah: speed alone", "reference", {"solver": "running"}, full=True),
    Arm("running_action_kl", "HalfCheetah: KL of the actions in each state", "baseline",
        {"solver": "running", "penalty": "action kl"}, {"penalty.c": (0.1, 0.03, 0.3, 0.01)}, full=True),
    Arm("running_sqrt_chi2", "HalfCheetah: √χ² of the occupancy", "method",
        {"solver": "running", "penalty": "sqrt_chi2"}, {"penalty.c": WEIGHTS["sqrt_chi2"]}, full=True),
    *exact_arms(),
)
# fmt: on


@dataclass(frozen=True)
class World:
    """A task and everything that is known of it exactly.

    Attributes:
        task: the world with its rewards.
        reference: π_ref, probabilities.
        nu: its occupancy.
        true, proxy: rewards [S, A].
        base: how they go together under the reference.
        best: true return of the best policy.
    """

    task: TabularTask
    reference: np.ndarray
    nu: np.ndarray
    true: np.ndarray
    proxy: np.ndarray
    base: Correlated
    best: float

    def measured(self, mu: np.ndarray) -> dict[str, float]:
        """What a policy with this occupancy earns by either reward, and what was promised of it."""
        from trueward.measures.divergences import chi_squared
        from trueward.measures.proxies import correlation

        true_gain = float((mu * self.true).sum()) - self.base.true_mean
        proxy_gain = float((mu * self.proxy).sum()) - self.base.proxy_mean
        apart = chi_squared(mu, self.nu)
        slack = (true_gain - self.base.promised(proxy_gain, apart)) / self.base.true_deviation
        return {
            "gain": true_gain / (self.best - self.base.true_mean),
            "proxy_gain": proxy_gain / self.base.proxy_deviation,
            "correlation": correlation(self.proxy, self.true, mu).correlation,
            "log_chi_squared": math.log10(1.0 + apart),
            # Nothing promised is a promise that cannot be broken.
            "certificate_slack": min(slack, 1e6),
        }


def world_of(chosen: Mapping[str, Any]) -> World:
    """The world of `world.level`, with the reference of `world.temperature` and `world.mixed`."""
    from trueward.measures.proxies import correlation
    from trueward.measures.tabular import occupancy, optimal, soft_optimal
    from trueward.tasks.control.tabular.reachable import without_unreachable
    from trueward.tasks.control.tabular.tomato import tomato

    task = without_unreachable(tomato(chosen["world.level"], discount=chosen["train.discount"]))
    mdp = task.mdp
    true, proxy = mdp.expected(task.reward("true")), mdp.expected(task.reward("proxy"))
    soft = soft_optimal(mdp, true, chosen["world.temperature"]).policy
    reference = (1 - chosen["world.mixed"]) * soft + chosen["world.mixed"] / mdp.actions
    nu = occupancy(mdp, reference)
    best = float((occupancy(mdp, optimal(mdp, true).policy) * true).sum())
    return World(task, reference, nu, true, proxy, correlation(proxy, true, nu), best)


def solved(world: World, chosen: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of the exactly regularised policy.

    Raises:
        EvidenceError: this penalty has no exact solution here.
    """
    from trueward.measures.tabular import occupancy, optimal
    from trueward.training.control.regularised import action_regularised, occupancy_regularised

    mdp, kind = world.task.mdp, chosen["penalty"]
    reward, weight = world.proxy, chosen["penalty.c"] * world.base.proxy_deviation
    if kind == "none":
        mu = occupancy(mdp, optimal(mdp, reward).policy)
    elif kind == "action kl":
        mu = occupancy(mdp, action_regularised(mdp, reward, world.reference, weight))
    elif kind in ("chi2", "sqrt_chi2", "kl", "tv"):
        mu = occupancy_regularised(
            mdp,
            reward,
            world.reference,
            weight,
            kind,
            over=chosen["penalty.over"],
            steps=chosen["exact.steps"],
        ).occupancy
    else:
        raise EvidenceError(f"penalty={kind!r} is not solved exactly")
    return summary(world, [world.measured(mu)], alarmed=math.nan)


def summary(world: World, seen: Sequence[Mapping[str, float]], alarmed: float) -> dict[str, float]:
    """What `METRICS` declares, from what was measured after every update."""
    last = {name: float(np.mean([one[name] for one in seen[-_AT_THE_END:]])) for name in seen[0]}
    return {
        "gain_end": last["gain"],
        "gain_peak": max(one["gain"] for one in seen),
        "gain_mean": float(np.mean([one["gain"] for one in seen])),
        "proxy_gain_end": last["proxy_gain"],
        "correlation_start": world.base.correlation,
        "correlation_end": last["correlation"],
        "log_chi_squared_end": last["log_chi_squared"],
        "certificate_slack": min(one["certificate_slack"] for one in seen),
        "alarmed": alarmed,
    }
