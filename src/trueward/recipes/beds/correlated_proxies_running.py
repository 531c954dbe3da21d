"""Correlated proxies on a MuJoCo robot: speed is the proxy, speed without effort and jumps is what is wanted.

The reference is an early policy of PPO on the true reward. Nothing is exact here: occupancies are estimated by the
classifier, and returns from the steps of training.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.torch import load_file, save_file

from trueward.batch import Context
from trueward.evidence.language_bed import under
from trueward.evidence.run import Run
from trueward.measures.proxies import Correlated, correlation
from trueward.policies.control import ActorCritic
from trueward.report.atomic import write_whole
from trueward.rewards.control import as_control_reward
from trueward.rewards.models.density_ratio import DensityRatio
from trueward.tasks.control.running import Running
from trueward.training.control import Collected, ControlHook, ControlSettings, train_policy
from trueward.training.control.action_divergence import ActionDivergence
from trueward.training.control.collecting import Collector
from trueward.training.control.occupancy_penalty import OccupancyPenalty
from trueward.training.density_ratio import RatioSettings

_AT_THE_END = 5


def on_running(run: Run) -> dict[str, float]:
    """PPO on speed: what `correlated_proxies.METRICS` declares, gains in deviations under the reference.

    What is known exactly in the tomato world alone is NaN.
    """
    chosen, task = run.settings, Running()
    policy, base = _reference(run, task)
    reference = _network(run, task)
    reference.load_state_dict(policy.state_dict())
    count = chosen["running.environments"]
    driven = count // 2 if chosen["penalty"] == "sqrt_chi2" else 0
    hooks: list[ControlHook] = [Together(base)]
    if driven:
        hooks.insert(0, _penalty(run, task, base))
    trained = train_policy(
        lambda: task.make(count),
        task.proxy,
        policy=policy,
        settings=_settings(run, "training", chosen["running.steps"]),
        directory=run.directory,
        gold=task.true,
        penalty=ActionDivergence(
            reference.distribution, chosen["penalty.c"] * base.proxy_deviation, "kl", chosen["running.train.discount"]
        )
        if chosen["penalty"] == "action kl"
        else None,
        hooks=hooks,
        drivers={range(count - driven, count): reference.distribution} if driven else None,
        features=task.features,
    )
    seen = [line for line in trained.metrics if "hook/gain" in line]
    told = [name for name in seen[-1] if name.startswith("hook/") and seen[-1][name] is not None]
    last = {name: float(np.mean([line[name] for line in seen[-_AT_THE_END:]])) for name in told}
    gains = [line["hook/gain"] for line in seen]
    divergence = last.get("hook/divergence", math.nan)
    return {
        "gain_end": last["hook/gain"],
        "gain_peak": max(gains),
        "gain_mean": float(np.mean(gains)),
        "proxy_gain_end": last["hook/proxy gain"],
        "correlation_start": base.correlation,
        "correlation_end": last["hook/correlation"],
        "log_chi_squared_end": math.log10(1.0 + max(0.0, divergence)),
        "certificate_slack": math.nan,
        "alarmed": math.nan,
    }


@dataclasses.dataclass
class Together(ControlHook):
    """Measures what the policy's steps earn by either reward, and how the two go together."""

    base: Correlated

    def after_update(self, collected: Collected, context: Context) -> Mapping[str, float]:
        """Gains in deviations under the reference."""
        own = collected.learns
        assert collected.gold is not None
        found = correlation(collected.raw[own], collected.gold[own])
        return {
            "gain": (found.true_mean - self.base.true_mean) / self.base.true_deviation,
            "proxy gain": (found.proxy_mean - self.base.proxy_mean) / self.base.proxy_deviation,
            "correlation": found.correlation,
        }


def _reference(run: Run, task: Running) -> tuple[ActorCritic, Correlated]:
    """An early policy on the true reward, and how the rewards go together under it; built once for all arms."""
    chosen = run.settings

    def build(folder: Path) -> None:
        made = _network(run, task)
        settings = _settings(run, "reference", chosen["running.reference_steps"])
        count = chosen["running.environments"]
        train_policy(lambda: task.make(count), task.true, policy=made, settings=settings, features=task.features)
        save_file(made.state_dict(), folder / "policy.safetensors")
        env = task.make(count)
        collector = Collector(
            env, as_control_reward(task.proxy), gold=as_control_reward(task.true), features=task.features
        )
        collector.begin(run.seed_for("base") % 2**31)
        steps = collector.collect(made, chosen["running.base_steps"], run.generator("base actions"))
        env.close()
        assert steps.gold is not None
        base = correlation(steps.raw[steps.exists], steps.gold[steps.exists])
        write_whole(folder / "base.json", json.dumps(dataclasses.asdict(base)).encode())

    folder = run.shared("running reference", {**under(chosen, "running"), "task": repr(task)}, build)
    policy = _network(run, task)
    policy.load_state_dict(load_file(folder / "policy.safetensors"))
    return policy, Correlated(**json.loads((folder / "base.json").read_text()))


def _network(run: Run, task: Running) -> ActorCritic:
    env = task.make(1)
    env.close()
    return ActorCritic.for_spaces(env, (64, 64), scale_observations=True, seed=run.seed_for("running") % 2**32)


def _settings(run: Run, name: str, steps: int) -> ControlSettings:
    return ControlSettings(
        steps=steps, seed=run.seed_for(name), evaluation_episodes=0, **under(run.settings, "running.train")
    )


def _penalty(run: Run, task: Running, base: Correlated) -> OccupancyPenalty:
    chosen = run.settings
    env = task.make(1)
    env.close()
    ratio = DensityRatio(
        env.single_observation_space.shape, env.single_action_space, (64, 64), seed=run.seed_for("ratio") % 2**32
    )
    return OccupancyPenalty(
        ratio,
        chosen["penalty.c"],
        deviation=base.proxy_deviation,
        discount=chosen["running.train.discount"],
        settings=RatioSettings("logistic", chosen["ratio.epochs"], chosen["ratio.batch"], noise=0.05),
        learning_rate=chosen["ratio.learning_rate"],
        seed=run.seed_for("penalty"),
    )
