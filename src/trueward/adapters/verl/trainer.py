"""verl's trainers with what its estimators are not given: parts of the reward, hidden states, a monitor.

    trainer.v1.trainer_mode=trueward                       # verl's sync
    trainer.v1.trainer_mode=trueward_colocate_async
    trainer.v1.trainer_mode=trueward_separate_async

Everything that verl does it still does itself. Before it computes advantages the batch is read from its queue: texts,
columns, parts and statuses, and, where the estimator asks, hidden states and prediction errors from the actor's
workers. The estimator that verl calls then sees them, and so does the monitor.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import ray
import transfer_queue as tq
from omegaconf import open_dict
from verl.trainer.ppo.utils import Role
from verl.trainer.ppo.v1.trainer_base import register_trainer
from verl.trainer.ppo.v1.trainer_colocate_async import PPOTrainerColocateAsync
from verl.trainer.ppo.v1.trainer_separate_async import PPOTrainerSeparateAsync
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

from trueward.adapters.verl import batches
from trueward.adapters.verl.configured import reward_of, settings_of
from trueward.adapters.verl.estimators import credit_of
from trueward.adapters.verl.monitoring import monitor_of
from trueward.adapters.verl.recorded import replay
from trueward.adapters.verl.registered import check_registered
from trueward.adapters.verl.shown import Shown, showing
from trueward.adapters.verl.worker import WORKERS, refuse_engine
from trueward.batch import Context, Scores
from trueward.errors import TrainingError
from trueward.training.hooks import StopRun

_STATE = "trueward.json"  # in the folder of a checkpoint
_FROM_MODEL = frozenset({"hidden", "errors"})
_logger = logging.getLogger(__name__)


class TruewardTraining:
    """What Trueward adds to a trainer of verl; mixed into each of them.

    Attributes:
        verl_mode: the trainer of verl that it is.
        stopped: why the monitor ended the run; "" while it goes on.
    """

    verl_mode = ""

    def __init__(self, config: Any) -> None:
        with open_dict(config):
            # verl takes decisions by this name, and everything but its own three it holds for asynchronous.
            config.trainer.v1.trainer_mode = self.verl_mode
            if config.reward.reward_manager.name == "trueward":
                config.reward.trueward = {**(config.reward.get("trueward") or {}), "under_trueward_trainer": True}
        check_registered("the trainer of verl", trainers=True)
        self.stopped = ""
        self._credit = credit_of(str(config.algorithm.adv_estimator), config.algorithm)
        self._reward = self._settings = self._segment = None
        if config.reward.reward_manager.name == "trueward":
            self._reward, self._settings = reward_of(config), settings_of(config)
            self._segment = self._settings.segmenter
        self._monitor = monitor_of(config)
        self._rows: dict[str, Mapping[str, Any]] = {}  # of the step, for the file that verl writes
        self._generator = np.random.default_rng([int(config.data.get("seed", None) or 0), 46])
        if self._needs_model:
            refuse_engine(config.actor_rollout_ref)
            if self.verl_mode == "separate_async":
                raise TrainingError(
                    f"{config.algorithm.adv_estimator} asks the policy that sampled, and between the updates of "
                    "separate_async the actor is already another one: choose trainer.v1.trainer_mode=trueward"
                )
        super().__init__(config)  # type: ignore[call-arg]

    @property
    def _needs_model(self) -> bool:
        return self._credit is not None and bool(_FROM_MODEL & self._credit.needs)

    def _init_resource_pool_mgr(self) -> None:
        """As in verl, with Trueward's worker where the actor is."""
        super()._init_resource_pool_mgr()  # type: ignore[misc]
        mapping = self.role_worker_mapping  # type: ignore[attr-defined]
        for role in (Role.ActorRolloutRef, Role.ActorRollout, Role.Actor):
            if role not in mapping:
                continue
            kind = mapping[role].__ray_metadata__.class_name.rpartition(".")[2]
            if kind not in WORKERS:
                raise TrainingError(
                    f"{self.verl_mode} runs the actor in {kind}, which Trueward does not know; it extends "
                    f"{', '.join(WORKERS)} of verl 0.9"
                )
            mapping[role] = ray.remote(WORKERS[kind])

    def on_init_end(self) -> None:
        """Ask every worker of the actor whether it knows the loss that it will be asked for, and wait for rewards."""
        name = self.config.actor_rollout_ref.actor.policy_loss.loss_mode  # type: ignore[attr-defined]
        self.actor_rollout_wg.check_trueward(name)  # type: ignore[attr-defined]
        all_started(self.reward_loop_manager.reward_loop_workers)  # type: ignore[attr-defined]
        super().on_init_end()  # type: ignore[misc]

    def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
        """As in verl, while its estimator is shown the batch; then the monitor looks at it."""
        (shown, scores), keys = self._shown(batch), list(batch.keys)
        with showing(shown):
            batch = super()._compute_advantage(batch, metrics)  # type: ignore[misc]
        metrics.update({f"trueward/{name}": value for name, value in shown.metrics.items()})
        metrics.update(batches.told(scores))
        if self.config.trainer.get("rollout_data_dir", None):  # type: ignore[attr-defined]
            self._rows |= batches.by_key(keys, shown, scores)
        if self._monitor is not None:
            try:
                seen = self._monitor.after_rollouts(shown.rollouts, scores, shown.context)
                metrics.update({f"monitor/{name}": float(value) for name, value in seen.items()})
            except StopRun as reason:
                self._stop(str(reason))
        return batch

    def _shown(self, batch: Any) -> tuple[Shown, Scores]:
        """The batch as it stands in verl's queue, and its scores, of one part where another manager gave them."""
        step = self.global_steps  # type: ignore[attr-defined]
        per_step = self.parameter_sync_step  # type: ignore[attr-defined]
        context = Context(
            step=(step - 1) * per_step + self.local_trigger_step + 1,  # type: ignore[attr-defined]
            total_steps=self.total_training_steps * per_step,
            training=True,
            generator=self._generator,
        )
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=list(batches.FIELDS))
        longest = int(self.config.data.max_response_length)  # type: ignore[attr-defined]
        seen = batches.seen_in(data, batch.keys, batch.tags, self.tokenizer, longest)  # type: ignore[attr-defined]
        rollouts = batches.with_segments(seen.rollouts, self._segment)
        if self._reward is not None:
            scores = replay(self._reward, seen.recorded, rollouts, context)
            self._put_totals(batch, seen, scores)
        else:
            scores = batches.from_rm_scores(data, seen)
        if self._needs_model:
            rollouts = batches.with_features(rollouts, self._from_model(batch, data, seen))
        told = scores if self._reward is not None else None
        return Shown(rollouts, told, context, seen.place, seen.last), scores

    def _put_totals(self, batch: Any, seen: batches.Seen, scores: Scores) -> None:
        """Final rewards into verl's queue: its reward workers saw one row at a time."""
        unscored = None if self._settings is None else self._settings.unscored
        keys, fields = batches.final_rewards(batch.keys, seen, scores, unscored)
        tq.kv_batch_put(keys=keys, partition_id=batch.partition_id, fields=fields)

    def _from_model(self, batch: Any, data: Any, seen: batches.Seen) -> Mapping[str, np.ndarray]:
        """Hidden states and prediction errors, computed by the actor's workers."""
        from trueward.adapters.verl import worker

        fields, extra = batches.question(data, seen, len(self.tokenizer))  # type: ignore[attr-defined]
        tq.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=fields)
        batch.extra_info.update({**extra, "temperature": float(self.config.actor_rollout_ref.rollout.temperature)})  # type: ignore[attr-defined]
        self.actor_rollout_wg.compute_hidden_and_errors(batch)  # type: ignore[attr-defined]
        names = {"hidden": worker.HIDDEN, "errors": worker.ERRORS}
        found = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=list(names.values()))
        return {name: batches.padded(found[field], seen) for name, field in names.items()}

    def _stop(self, reason: str) -> None:
        self.stopped = reason
        _logger.warning("Trueward ends the run after this step: %s", reason)
        self.total_training_steps = self.global_steps  # type: ignore[attr-defined]

    def on_step_end(self) -> None:
        """As in verl; a run that ends here is saved, where runs are saved."""
        super().on_step_end()  # type: ignore[misc]
        every = self.config.trainer.save_freq  # type: ignore[attr-defined]
        if self.stopped and every > 0 and self.global_steps % every:  # type: ignore[attr-defined]
            self._save_checkpoint()

    def _compute_metrics(self, batch: Any, metrics: dict[str, Any], *arguments: Any, **named: Any) -> None:
        """As in verl, with the statistics of rewards over rows that have one."""
        super()._compute_metrics(batch, metrics, *arguments, **named)  # type: ignore[misc]
        if any(isinstance(value, float) and np.isnan(value) for value in metrics.values()):
            data = tq.kv_batch_get(
                keys=batch.keys, partition_id=batch.partition_id, select_fields=["rm_scores", "token_level_rewards"]
            )
            metrics.update(batches.of_scored_rows(data, batch.tags))

    def _dump_generations(self, *arguments: Any, **named: Any) -> None:
        """As in verl, with parts and statuses of each rollout of training."""
        infos = named.get("reward_extra_infos_dict")
        if infos is not None and self._rows:
            rows = [self._rows.get(str(key), {}) for key in infos.get("uid", ())]
            names = dict.fromkeys(name for row in rows for name in row)
            named["reward_extra_infos_dict"] = {**infos, **{name: [row.get(name) for row in rows] for name in names}}
            if any(rows):
                self._rows = {}
        super()._dump_generations(*arguments, **named)  # type: ignore[misc]

    def _val_metrics_update(self, sources: Any, uids: Any, infos: Any, turns: Any) -> dict[str, float]:
        """As in verl, over the rows that could be scored, and how many could not."""
        kept = [row for row, value in enumerate(infos["reward"]) if not np.isnan(value)]
        lost = len(infos["reward"]) - len(kept)
        chosen_infos = {name: [values[row] for row in kept] for name, values in infos.items()}
        found: dict[str, float] = super()._val_metrics_update(  # type: ignore[misc]
            [sources[row] for row in kept], [uids[row] for row in kept], chosen_infos, turns
        )
        return {**found, "val-aux/trueward/unscored": float(lost)}

    def _save_checkpoint(self) -> None:
        """As in verl, and what reward and monitor have learnt of the run."""
        super()._save_checkpoint()  # type: ignore[misc]
        state = {
            "reward": {} if self._reward is None else self._reward.state_dict(),
            "monitor": None if self._monitor is None else self._monitor.state_dict(),
            "generator": self._generator.bit_generator.state,
        }
        self._state_file().write_text(json.dumps(state))

    def _load_checkpoint(self) -> None:
        """As in verl, and what was saved beside it.

        Raises:
            TrainingError: the run was not one of Trueward's trainers, and the reward or the monitor keep statistics.
        """
        super()._load_checkpoint()  # type: ignore[misc]
        if not self.global_steps:  # type: ignore[attr-defined]
            return
        file = self._state_file(saved=True)
        if not file.exists():
            if self._monitor is not None or (self._reward is not None and self._reward.state_dict()):
                raise TrainingError(
                    f"{file} is missing: this checkpoint was written without Trueward's trainer, and a monitor or a "
                    "reward with running statistics cannot go on from it. Start anew, or leave them out"
                )
            return
        state = json.loads(file.read_text())
        self._generator.bit_generator.state = state["generator"]
        if self._reward is not None:
            self._reward.load_state_dict(state["reward"])
        if self._monitor is not None and state["monitor"] is not None:
            self._monitor.load_state_dict(state["monitor"])

    def _state_file(self, *, saved: bool = False) -> Path:
        trainer = self.config.trainer  # type: ignore[attr-defined]
        if saved and trainer.resume_mode == "resume_path":
            return Path(trainer.resume_from_path) / _STATE
        return Path(trainer.default_local_dir) / f"global_step_{self.global_steps}" / _STATE  # type: ignore[attr-defined]


def all_started(workers: Sequence[Any]) -> None:
    """Wait until the reward workers are up, self-tests included.

    verl does not: a worker that fails as it starts is noticed when it is asked, and then its rollouts are thrown away
    and made again.

    Raises:
        TrainingError: one did not start.
    """
    try:
        ray.get([worker.__ray_ready__.remote() for worker in workers])
    except ray.exceptions.RayError as error:
        raise TrainingError(f"a reward worker of verl did not start: {error}") from error


@register_trainer("trueward")
class TruewardTrainerSync(TruewardTraining, PPOTrainerSync):  # type: ignore[misc]
    """verl's synchronous trainer."""

    verl_mode = "sync"


@register_trainer("trueward_colocate_async")
class TruewardTrainerColocateAsync(TruewardTraining, PPOTrainerColocateAsync):  # type: ignore[misc]
    """verl's asynchronous trainer on shared devices."""

    verl_mode = "colocate_async"


@register_trainer("trueward_separate_async")
class TruewardTrainerSeparateAsync(TruewardTraining, PPOTrainerSeparateAsync):  # type: ignore[misc]
    """verl's asynchronous trainer on devices of its own."""

    verl_mode = "separate_async"
