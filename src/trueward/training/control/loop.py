"""The loop for control: collect → (bonus, hooks) → advantages → update, with evaluation against gold.

One process on the CPU, any Gymnasium vector environment, readable in one sitting, resumable exactly.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from trueward.batch import Context
from trueward.errors import TrainingError
from trueward.policies.control import ActorCritic
from trueward.rewards.control import ControlReward, as_control_reward
from trueward.rewards.intrinsic.normalisers import BonusNormaliser
from trueward.rewards.intrinsic.novelty import Novelty
from trueward.rewards.shaping import check_discount
from trueward.training import checkpoint
from trueward.training.control.collected import Collected
from trueward.training.control.collecting import Collector
from trueward.training.control.episodes import Episodes, EpisodeSums
from trueward.training.control.evaluation import evaluate
from trueward.training.control.hooks import ControlHook, PolicyPenalty, ReferencePolicy
from trueward.training.control.record import ControlRecord, described
from trueward.training.control.settings import ControlSettings
from trueward.training.control.update import batch_of, update
from trueward.training.ended import Ended
from trueward.training.hooks import StopRun
from trueward.training.metric_lines import Laps
from trueward.training.seeds import stream, stream_number

if TYPE_CHECKING:
    from gymnasium.vector import VectorEnv


@dataclass(frozen=True)
class ControlTrained:
    """A run that has ended.

    Attributes:
        policy: trained.
        metrics: one mapping per step, from step 0 (the evaluation before any update).
        episodes: all that ended in training; see `Episodes`.
        directory: with its files; None where none were written.
        stopped: why it ended early; "" where it did not.
    """

    policy: ActorCritic
    metrics: list[dict[str, float]]
    episodes: Episodes
    directory: Path | None = None
    stopped: str = ""


def train_policy(
    env: VectorEnv[Any, Any, Any] | Callable[[], VectorEnv[Any, Any, Any]],
    reward: Any = None,
    *,
    policy: ActorCritic,
    settings: ControlSettings,
    directory: str | Path | None = None,
    gold: Any = None,
    bonus: Novelty | None = None,
    penalty: PolicyPenalty | None = None,
    hooks: Sequence[ControlHook] = (),
    drivers: Mapping[range, ReferencePolicy] | None = None,
    features: Sequence[str] = (),
) -> ControlTrained:
    """Train a policy on a reward with PPO; a run that was killed goes on where it was, to the bit-identical result.

    Args:
        env: a vector environment, or what makes one. Only with what makes one is there an evaluation, on environments
            of its own.
        reward: what is optimised: a `ControlReward`, or anything that `as_control_reward` takes; None for the
            environment's own.
        policy: trained in place. A run that goes on needs the same first weights: its checkpoint says so.
        settings: everything else.
        directory: of the run; None to write nothing.
        gold: what is really wanted, in the same forms. It is measured, and never read by anything that trains.
        bonus: novelty, learnt with a value head and a discount of its own: the policy needs `value_heads=2`.
        penalty: a term of the loss that depends on the policy's distribution.
        hooks: see `ControlHook`.
        drivers: policies that act in some of the environments in place of the policy in training, which learns nothing
            from there; hooks see all of them (`Collected.source`).
        features: numeric entries of the environment's `info` that hooks read; what rewards read is read anyway.

    Raises:
        RewardError: reward or gold cannot be found or called, or shaping has another discount than the settings.
        TrainingError: policy, environment and settings do not fit each other, or the directory holds another run.
    """
    paid, true = as_control_reward(reward), None if gold is None else as_control_reward(gold)
    check_discount(paid, settings.discount)
    read = (*features, *paid.needs(), *(() if true is None else true.needs()))
    run = _Run(
        policy=policy,
        reward=paid,
        gold=true,
        settings=settings,
        bonus=bonus,
        penalty=penalty,
        hooks=hooks,
        features=tuple(dict.fromkeys(read)),
    )
    run.check()
    made = [env() if callable(env) else env]
    if callable(env) and settings.evaluation_episodes:
        made.append(env())
    try:
        return run.go(made, drivers, None if directory is None else Path(directory))
    finally:
        if callable(env):
            for one in made:
                one.close()


@dataclass
class _Run:
    """A run with all its parts."""

    policy: ActorCritic
    reward: ControlReward
    gold: ControlReward | None
    settings: ControlSettings
    bonus: Novelty | None
    penalty: PolicyPenalty | None
    hooks: Sequence[ControlHook]
    features: tuple[str, ...]
    optimizer: torch.optim.Optimizer = field(init=False)
    scale: BonusNormaliser = field(init=False)
    ended: Ended = field(init=False)
    collector: Collector = field(init=False)
    sums: EpisodeSums = field(init=False)
    evaluation_env: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.optimizer = torch.optim.Adam(
            self.policy.parameters(), lr=self.settings.learning_rate, eps=1e-5, fused=True
        )
        self.scale, self.ended = BonusNormaliser(self.settings.bonus_discount), Ended()

    def check(self) -> None:
        """Raises `TrainingError` where the policy has not one value head per stream of reward."""
        needed = 1 if self.bonus is None else 2
        if self.policy.value_heads != needed:
            raise TrainingError(
                f"the policy has {self.policy.value_heads} value heads, and the run needs {needed}: one for the reward"
                f"{'' if needed == 1 else ' and one for the bonus'}. Build it with value_heads={needed}"
            )

    def go(
        self,
        envs: Sequence[VectorEnv[Any, Any, Any]],
        drivers: Mapping[range, ReferencePolicy] | None,
        directory: Path | None,
    ) -> ControlTrained:
        """All steps that are not done yet."""
        settings = self.settings
        self.collector = Collector(
            envs[0], self.reward, gold=self.gold, bonus=self.bonus, drivers=drivers, features=self.features
        )
        self.sums = EpisodeSums(self.collector.stepper.count)
        self.evaluation_env = envs[1] if len(envs) > 1 else None
        kept = self._kept()
        found = None if directory is None else checkpoint.latest(directory / "checkpoints")
        done = 0 if found is None else checkpoint.restore(found, kept)
        # Without a checkpoint not even the first evaluation counts as recorded.
        record = ControlRecord(directory, step=-1 if found is None else done, tensorboard=settings.tensorboard)
        try:
            if found is None:
                record.write(0, self._evaluated(), {})
                self._keep(record, kept, 0)
            self._begin(done)
            for step in range(done + 1, settings.steps + 1):
                if self.ended.why:
                    break
                self._step(step, record)
                last = step == settings.steps or bool(self.ended.why)
                if last or step % settings.checkpoint_every == 0:
                    record.episodes(self.sums.cut(step, self.collector.source))
                    self._keep(record, kept, step)
                    if not last:
                        self._begin(step)
        finally:
            record.close()
        return ControlTrained(self.policy, record.metrics(), record.all_episodes(), directory, self.ended.why)

    def _begin(self, step: int) -> None:
        """New episodes everywhere: what an environment is in cannot be saved, so it begins anew with a checkpoint."""
        self.collector.begin(stream_number(self.settings.seed, "environments", step) % 2**31)

    def _keep(self, record: ControlRecord, kept: checkpoint.Resumable, step: int) -> None:
        record.write_episodes(step)
        if record.directory is not None:
            checkpoint.save(record.directory / "checkpoints", step, kept)

    def _kept(self) -> checkpoint.Resumable:
        modules: dict[str, torch.nn.Module] = {"policy": self.policy}
        optimizers = {"policy": self.optimizer}
        states: dict[str, Any] = {"reward": self.reward, "ended": self.ended}
        parts: dict[str, Novelty | ControlHook] = {f"hook {place}": hook for place, hook in enumerate(self.hooks)}
        if self.bonus is not None:
            parts["bonus"], states["bonus scale"] = self.bonus, self.scale
        states |= parts
        # The state of a novelty inside the reward is that of the reward; its networks are not.
        for name, part in {**parts, **_novelties(self.reward)}.items():
            modules |= {f"{name} {inner}": network for inner, network in part.modules().items()}
            optimizers |= {f"{name} {inner}": optimizer for inner, optimizer in part.optimizers().items()}
        # What falls to 0 over the run depends on its length.
        free = set() if self.settings.anneal else {"steps"}
        identity = {
            "settings": {key: value for key, value in dataclasses.asdict(self.settings).items() if key not in free},
            "first weights": checkpoint.fingerprint(self.policy),
            "reward": self.reward.name,
            "bonus": None if self.bonus is None else self.bonus.name,
            "penalty": None if self.penalty is None else getattr(self.penalty, "name", type(self.penalty).__name__),
            "hooks": [type(hook).__name__ for hook in self.hooks],
            "environments": self.collector.stepper.count,
            "sources": self.collector.source.tolist(),
        }
        return checkpoint.Resumable(modules, optimizers, states, identity)

    def _step(self, step: int, record: ControlRecord) -> None:
        lap = Laps()
        settings = self.settings
        # Networks with dropout draw from torch's own generator.
        torch.manual_seed(stream_number(settings.seed, "dropout", step))
        context = Context(step, settings.steps, True, self.policy, None, stream(settings.seed, "context", step))
        collected = self.collector.collect(self.policy, settings.horizon, stream(settings.seed, "actions", step))
        lap("collect")
        collected = self._after_collecting(collected, context)
        lap("hooks")
        metrics = self._learn(collected, step)
        lap("update")
        metrics |= self._after_update(collected, context)
        lap("hooks after")
        episodes = self.sums.take(collected, step)
        record.episodes(episodes)
        metrics = {**described(collected, episodes), **metrics}
        if step % settings.evaluate_every == 0 or step == settings.steps or self.ended.why:
            metrics |= self._evaluated()
        lap("record")
        record.write(step, metrics, lap.seconds)

    def _after_collecting(self, collected: Collected, context: Context) -> Collected:
        # Gold is taken out and put back, so that nothing that changes the reward can read it.
        seen = collected.without_gold()
        for hook in self.hooks:
            try:
                seen = hook.after_collecting(seen, context)
            except StopRun as request:
                self.ended.why = str(request) or type(hook).__name__
        return dataclasses.replace(seen, gold=collected.gold)

    def _after_update(self, collected: Collected, context: Context) -> dict[str, float]:
        metrics: dict[str, float] = {}
        for hook in self.hooks:
            try:
                told = hook.after_update(collected, context)
            except StopRun as request:
                self.ended.why = str(request) or type(hook).__name__
            else:
                metrics |= {f"hook/{name}": float(value) for name, value in told.items()}
        return metrics

    def _learn(self, collected: Collected, step: int) -> dict[str, float]:
        settings = self.settings
        told: dict[str, float] = {}
        bonus = None
        if self.bonus is not None and collected.bonus is not None:
            bonus = collected.bonus
            own = collected.source == 0
            if settings.normalise_bonus:
                self.scale.update(bonus[:, own], collected.exists[:, own])
                bonus = self.scale.normalised(bonus)
            told["bonus/raw"] = float(collected.bonus[collected.learns].mean())
            told["bonus/scale"] = float(self.scale.scale)
            told |= {f"bonus/{name}": float(value) for name, value in self.bonus.learn().items()}
        batch = batch_of(self.policy, collected, bonus, settings)
        if settings.anneal:
            for group in self.optimizer.param_groups:
                group["lr"] = settings.learning_rate * (1.0 - (step - 1) / settings.steps)
        generator = stream(settings.seed, "minibatches", step)
        learnt = update(self.policy, self.optimizer, batch, settings, generator, self.penalty)
        if self.policy.scale is not None and step <= (settings.observation_updates or step):
            self.policy.scale.observe(collected.observation[collected.learns])
        return {**told, **{f"update/{name}": value for name, value in learnt.items()}}

    def _evaluated(self) -> dict[str, float]:
        """Always with the same draws, so that what changes between evaluations is the policy."""
        if self.evaluation_env is None:
            return {}
        found = evaluate(
            self.policy,
            self.evaluation_env,
            self.reward,
            episodes=self.settings.evaluation_episodes,
            seed=stream_number(self.settings.seed, "evaluation") % 2**31,
            gold=self.gold,
            greedy=self.settings.evaluate_greedily,
            features=self.features,
        )
        return {name: float(values.mean()) for name, values in found.items()}


def _novelties(reward: ControlReward, place: str = "reward") -> dict[str, Novelty]:
    """Novelties inside a reward, by their place."""
    found = getattr(reward, "novelty", None)
    inside = {place: found} if isinstance(found, Novelty) else {}
    for number, piece in enumerate(reward.pieces()):
        inside |= _novelties(piece, f"{place} {number}")
    return inside
