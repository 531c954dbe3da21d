"""The loop for language models: sample → score → credit → update, with evaluation against gold.

One process, CPU or one GPU, readable in one sitting, resumable exactly. Anything larger runs on TRL or verl.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trueward.batch import Context, Rollouts
from trueward.credit.estimators import Credited, Estimator, log_ratios
from trueward.errors import TrainingError
from trueward.objectives.policy_loss import PolicyObjective
from trueward.policies.language import LanguagePolicy
from trueward.policies.sampling import Sampling
from trueward.policies.scorer import TokenScorer
from trueward.rewards.base import Reward
from trueward.tasks.text.rows import Row
from trueward.training import checkpoint
from trueward.training.ended import Ended
from trueward.training.hooks import Hook, StopRun
from trueward.training.metric_lines import Laps
from trueward.training.record import GoldMeasure, Record, described, read_metrics
from trueward.training.rollouts import Segmenter, gather, logprobs_under, prediction_errors_of, values_of
from trueward.training.seeds import stream, stream_number, torch_stream
from trueward.training.update import Learner, UpdateSettings, learner, update

_FROM_POLICY = frozenset({"entropy", "hidden"})
_FROM_LOOP = frozenset({"reference", "value", "greedy", "errors"})


@dataclass(frozen=True)
class TrainSettings:
    """How a policy is trained.

    Attributes:
        steps: updates.
        prompts: prompts per update.
        group: rollouts per prompt.
        sampling: how rollouts are drawn.
        learning_rate, warm_up, weight_decay: of AdamW; constant after a linear warm-up of so many optimiser steps.
        critic_learning_rate: of the critic.
        epochs, minibatches, micro_batch, gradient_clip, value_clip: see `UpdateSettings`.
        seed: of every draw.
        evaluate_every: updates between evaluations; the first is before any update, the last after all.
        evaluation_samples: rollouts per held-out prompt.
        checkpoint_every: updates between checkpoints.
        keep_rollouts: write every rollout to Parquet.
        tensorboard: write for TensorBoard.
    """

    steps: int = 250
    prompts: int = 16
    group: int = 8
    sampling: Sampling = field(default_factory=lambda: Sampling(max_new_tokens=32))
    learning_rate: float = 1e-3
    warm_up: int = 10
    weight_decay: float = 0.0
    critic_learning_rate: float = 1e-3
    epochs: int = 1
    minibatches: int = 1
    micro_batch: int | None = None
    gradient_clip: float = 1.0
    value_clip: float = 0.2
    seed: int = 0
    evaluate_every: int = 25
    evaluation_samples: int = 1
    checkpoint_every: int = 25
    keep_rollouts: bool = True
    tensorboard: bool = True

    def __post_init__(self) -> None:
        """Raises `TrainingError` for counts below 1."""
        counts = ("steps", "prompts", "group", "epochs", "minibatches", "evaluate_every", "checkpoint_every")
        wrong = [f"{name}={getattr(self, name)!r}" for name in counts if getattr(self, name) < 1]
        if wrong:
            raise TrainingError(f"{', '.join(wrong)}: must be at least 1")


@dataclass(frozen=True)
class Trained:
    """A run that has ended.

    Attributes:
        policy: trained.
        directory: with its files; see `record`.
        metrics: one mapping per step.
        stopped: why it ended early; "" where it did not.
    """

    policy: LanguagePolicy
    directory: Path
    metrics: list[dict[str, float]]
    stopped: str = ""


def train(
    policy: LanguagePolicy,
    rows: Sequence[Row],
    reward: Reward,
    *,
    gold: GoldMeasure,
    held_out: Sequence[Row],
    credit: Estimator,
    objective: PolicyObjective,
    settings: TrainSettings,
    directory: str | Path,
    proxy: Reward | None = None,
    segment: Segmenter | None = None,
    critic: TokenScorer | None = None,
    reference: LanguagePolicy | None = None,
    hooks: Sequence[Hook] = (),
) -> Trained:
    """Train a policy on a reward; a run that was killed goes on where it was, to the bit-identical result.

    Args:
        policy: trained in place. A run that goes on needs the same first weights: its checkpoint says so.
        rows: prompts to train on, in a new order every epoch.
        reward: what is optimised.
        gold: what is really wanted. It is measured, on the rollouts of training too, and never read by anything here.
        held_out: prompts to evaluate on.
        credit: scores to advantages.
        objective: advantages to a loss.
        settings: everything else.
        directory: of the run.
        proxy: the reward that evaluations report as `proxy`; by default the one that is optimised. Runs with different
            shaping of one reward are comparable in that reward.
        segment: cuts rollouts into steps, for rewards that judge steps.
        critic: values before each decision, trained along.
        reference: what the policy must stay near; by default the policy as it comes in.
        hooks: see `Hook`.

    Raises:
        TrainingError: the directory holds another run, or credit or objective need what is not there.
    """
    run = _Run(
        policy=policy,
        rows=rows,
        reward=reward,
        held_out=held_out,
        credit=credit,
        objective=objective,
        settings=settings,
        proxy=proxy or reward,
        segment=segment,
        critic=critic,
        reference=policy.copy() if reference is None else reference,
        hooks=hooks,
    )
    run.check()
    return run.go(Path(directory), gold)


@dataclass
class _Run:
    """A run with all its parts."""

    policy: LanguagePolicy
    rows: Sequence[Row]
    reward: Reward
    held_out: Sequence[Row]
    credit: Estimator
    objective: PolicyObjective
    settings: TrainSettings
    proxy: Reward
    segment: Segmenter | None
    critic: TokenScorer | None
    reference: LanguagePolicy
    hooks: Sequence[Hook]
    actor: Learner = field(init=False)
    critic_learner: Learner | None = field(init=False)
    ended: Ended = field(init=False)

    def __post_init__(self) -> None:
        chosen = self.settings
        self.actor = learner(self.policy.model, chosen.learning_rate, chosen.warm_up, chosen.weight_decay)
        self.critic_learner, self.ended = None, Ended()
        if self.critic is not None:
            self.critic_learner = learner(self.critic, chosen.critic_learning_rate, chosen.warm_up)

    def check(self) -> None:
        """Raises `TrainingError` where something is missing that credit or objective need."""
        needs = self.credit.needs | self.objective.needs
        unknown = needs - _FROM_POLICY - _FROM_LOOP
        if unknown:
            raise TrainingError(f"credit or objective need {', '.join(sorted(unknown))}, which this loop cannot give")
        if "value" in needs and self.critic is None:
            raise TrainingError("this credit needs a critic: give critic=TokenScorer.from_policy(policy)")
        if not self.rows or not self.held_out:
            raise TrainingError(f"{len(self.rows)} rows and {len(self.held_out)} held-out rows: both need at least one")

    def go(self, directory: Path, gold: GoldMeasure) -> Trained:
        """All steps that are not done yet."""
        kept = self._kept()
        found = checkpoint.latest(directory / "checkpoints")
        done = 0 if found is None else checkpoint.restore(found, kept)
        settings = self.settings
        record = Record(
            directory,
            gold,
            # Without a checkpoint not even the first evaluation counts as recorded.
            step=-1 if found is None else done,
            tensorboard=settings.tensorboard,
            keep_rollouts=settings.keep_rollouts,
        )
        try:
            if found is None:
                # A checkpoint of step 0 says that the first evaluation was made.
                record.write(0, self._evaluate(record), {})
                checkpoint.save(directory / "checkpoints", 0, kept)
            first = done + 1
            for step in range(done + 1, settings.steps + 1):
                if self.ended.why:
                    break
                self._step(step, record)
                if step == settings.steps or self.ended.why or step % settings.checkpoint_every == 0:
                    record.write_rollouts(first, step)
                    checkpoint.save(directory / "checkpoints", step, kept)
                    first = step + 1
        finally:
            record.close()
        return Trained(self.policy, directory, read_metrics(directory), self.ended.why)

    def _kept(self) -> checkpoint.Resumable:
        modules: dict[str, torch.nn.Module] = {"policy": self.policy.model}
        optimizers = {"policy": self.actor.optimizer}
        states: dict[str, Any] = {"reward": self.reward, "actor": self.actor, "ended": self.ended}
        if self.critic is not None and self.critic_learner is not None:
            modules["critic"], optimizers["critic"] = self.critic, self.critic_learner.optimizer
            states["critic"] = self.critic_learner
        for place, hook in enumerate(self.hooks):
            modules |= {f"hook {place} {name}": network for name, network in hook.modules().items()}
            optimizers |= {f"hook {place} {name}": optimizer for name, optimizer in hook.optimizers().items()}
            states[f"hook {place}"] = hook
        identity = {
            "settings": {key: value for key, value in dataclasses.asdict(self.settings).items() if key != "steps"},
            "first weights": checkpoint.fingerprint(self.policy.model),
            "reference": checkpoint.fingerprint(self.reference.model),
            "prompts": len(self.rows),
            "reward": self.reward.name,
            "credit": repr(self.credit),
            "objective": repr(self.objective),
        }
        return checkpoint.Resumable(modules, optimizers, states, identity)

    def _step(self, step: int, record: Record) -> None:
        lap = Laps()
        # Networks with dropout draw from torch's own generator.
        torch.manual_seed(stream_number(self.settings.seed, "dropout", step))
        context = self._context(step, training=True)
        rows = self._prompts(step)
        rollouts = self._gather(rows, step)
        lap("sample")
        scores = self.reward.score(rollouts, context)
        rollouts = self._with_greedy(rollouts, rows, context)
        lap("score")
        credited = self.credit(scores, rollouts, context)
        metrics = {**described(rollouts, scores), **_prefixed("credit", credited.metrics)}
        metrics |= _prefixed("update", self._learn(rollouts, credited, step))
        lap("update")
        for hook in self.hooks:
            try:
                metrics |= _prefixed("hook", hook.after_rollouts(rollouts, scores, context))
            except StopRun as request:
                self.ended.why = str(request) or type(hook).__name__
        lap("hooks")
        repeated = [row for row in rows for _ in range(self.settings.group)]
        record.training(repeated, rollouts, scores, credited.advantages, step)
        if step % self.settings.evaluate_every == 0 or step == self.settings.steps or self.ended.why:
            metrics |= self._evaluate(record)
        lap("record")
        record.write(step, metrics, lap.seconds)

    def _context(self, step: int, *, training: bool) -> Context:
        generator = stream(self.settings.seed, "context" if training else "evaluation context", step)
        return Context(step, self.settings.steps, training, self.policy, self.reference, generator)

    def _prompts(self, step: int) -> list[Row]:
        """The prompts of a step: rows in an order of their own every epoch, none left out."""
        first = (step - 1) * self.settings.prompts
        chosen: list[Row] = []
        epoch, order = -1, np.zeros(0, dtype=int)
        for place in range(first, first + self.settings.prompts):
            if place // len(self.rows) != epoch:
                epoch = place // len(self.rows)
                order = stream(self.settings.seed, "order", epoch).permutation(len(self.rows))
            chosen.append(self.rows[order[place % len(self.rows)]])
        return chosen

    def _gather(self, rows: Sequence[Row], step: int) -> Rollouts:
        needs = self.credit.needs | self.objective.needs
        rollouts = gather(
            self.policy,
            rows,
            self.settings.sampling,
            torch_stream(self.settings.seed, "rollouts", step),
            group=self.settings.group,
            want=sorted(self.credit.needs & _FROM_POLICY),
            segment=self.segment,
        )
        features = dict(rollouts.features)
        if self.critic is not None:
            features["value"] = values_of(self.critic, rollouts)
        if "errors" in needs:
            features |= prediction_errors_of(self.policy, rollouts, self.settings.sampling.temperature)
        reference = None
        if "reference" in needs:
            reference = logprobs_under(self.reference, rollouts, self.settings.sampling.temperature)
        return dataclasses.replace(rollouts, features=features, ref_logprobs=reference)

    def _with_greedy(self, rollouts: Rollouts, rows: Sequence[Row], context: Context) -> Rollouts:
        if "greedy" not in self.credit.needs:
            return rollouts
        sampling = dataclasses.replace(self.settings.sampling, greedy=True)
        greedy = gather(self.policy, rows, sampling, torch.Generator(), segment=self.segment)
        # A baseline is a measurement: it must not move the statistics of the reward.
        total = self.reward.score(greedy, dataclasses.replace(context, training=False)).total()
        features = {**rollouts.features, "greedy": np.repeat(total, self.settings.group)}
        return dataclasses.replace(rollouts, features=features)

    def _learn(self, rollouts: Rollouts, credited: Credited, step: int) -> dict[str, float]:
        settings = self.settings
        return update(
            self.policy,
            self.actor,
            rollouts,
            credited,
            self.objective,
            UpdateSettings(
                epochs=settings.epochs,
                minibatches=settings.minibatches,
                micro_batch=settings.micro_batch,
                gradient_clip=settings.gradient_clip,
                value_clip=settings.value_clip,
                temperature=settings.sampling.temperature,
            ),
            stream(settings.seed, "minibatches", step),
            critic=self.critic,
            critic_learner=self.critic_learner,
        )

    def _evaluate(self, record: Record) -> dict[str, float]:
        """Held-out prompts, always with the same draws, so that what changes between evaluations is the policy."""
        settings = self.settings
        rollouts = gather(
            self.policy,
            self.held_out,
            settings.sampling,
            torch_stream(settings.seed, "evaluation"),
            group=settings.evaluation_samples,
            segment=self.segment,
        )
        reference = logprobs_under(self.reference, rollouts, settings.sampling.temperature)
        rollouts = dataclasses.replace(rollouts, ref_logprobs=reference)
        context = self._context(0, training=False)
        scores = self.proxy.score(rollouts, context)
        record.evaluation([row for row in self.held_out for _ in range(settings.evaluation_samples)], rollouts)
        mask = np.asarray(rollouts.mask)
        return {
            "proxy": float(np.nanmean(scores.total())) if not np.isnan(scores.total()).all() else float("nan"),
            "kl": float(log_ratios(rollouts).sum(axis=1).mean()),
            "length": float(mask.sum(axis=1).mean()),
            "finished": float(np.mean(rollouts.features["finished"])),
        }


def _prefixed(prefix: str, metrics: Mapping[str, float]) -> dict[str, float]:
    return {f"{prefix}/{name}": float(value) for name, value in metrics.items()}
