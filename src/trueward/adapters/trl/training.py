"""What the trainers share: rewards in parts, credit, objectives, and the groups of all processes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trueward.adapters.trl.audit_callback import AuditCallback
from trueward.adapters.trl.crediting import (
    ScoredBatch,
    own_advantages,
    per_row,
    with_features,
    with_known_logprobs,
    with_learnt_mask,
)
from trueward.adapters.trl.gathering import gathered_objects
from trueward.adapters.trl.passes import check_needs
from trueward.adapters.trl.policy_loss import add_loss_inputs, policy_loss
from trueward.adapters.trl.refusals import check_settings, check_sharding, check_text
from trueward.adapters.trl.reward_functions import COMPLETION_IDS, ENVIRONMENT, environment_reward, one_reward
from trueward.adapters.trl.sampled import SampledRow, as_rollouts, sampled_rows, with_segments
from trueward.adapters.trl.scoring import Pending, Scorer, check_first, context_of
from trueward.adapters.trl.telling import tell_credit, tell_scores
from trueward.batch import Scores
from trueward.credit.estimators import Estimator
from trueward.errors import TrainingError
from trueward.objectives.policy_loss import PolicyObjective
from trueward.report.atomic import write_whole
from trueward.rewards.base import Reward, Sum
from trueward.training.rollouts import Segmenter

_STATE = "trueward.json"

if TYPE_CHECKING:
    _Trainer = Any
else:
    _Trainer = object


@dataclasses.dataclass(frozen=True)
class _Begun:
    """A batch of this process that has been sampled and is being scored."""

    rows: list[SampledRow]
    pending: Pending


class TruewardTraining(_Trainer):  # type: ignore[misc]
    """Goes before one of TRL's trainers in the list of bases.

    Attributes:
        reward: what is optimised; None until the trainer is made.
        credit: scores to advantages; None for TRL's own estimator, on the total.
        policy_objective: advantages to a loss; None for TRL's own loss.
        segment: cuts completions into steps.
        scored: the last batch, of all processes.
    """

    config_class: Any
    kl_in_reward: bool
    reward: Reward
    reward_funcs: list[Any]
    reward_func_names: list[str]
    scored: ScoredBatch | None = None

    def __init_subclass__(cls, **given: Any) -> None:
        """Refuses to be joined with the asynchronous trainer."""
        super().__init_subclass__(**given)
        if any(base.__name__ == "AsyncGRPOTrainer" for base in cls.__mro__):
            raise TrainingError(
                "TRL's asynchronous trainer scores rollouts in another process and keeps one number for each: parts, "
                "groups and tokens are gone before credit could see them. Use TruewardGRPOTrainer, or give that "
                "trainer reward functions only"
            )

    def __init__(
        self,
        model: Any,
        reward_funcs: Any = None,
        args: Any = None,
        *others: Any,
        credit: Estimator | None = None,
        objective: PolicyObjective | None = None,
        segment: Segmenter | None = None,
        **given: Any,
    ) -> None:
        args = self._default_args(model) if args is None else args
        check_settings(args, credit, objective, self.kl_in_reward)
        self.needs = check_needs(credit, objective)
        self.credit, self.policy_objective, self.segment = credit, objective, segment
        reward = one_reward(reward_funcs, args.reward_weights, self._supplied)
        self._begun: _Begun | None = None
        self._inputs: Sequence[Mapping[str, Any]] = ()
        self._statuses: set[str] = set()
        with self._during(args, "reference" in self.needs):
            super().__init__(model, None if reward is None else [reward], args, *others, **given)
        # TRL reads its own β afterwards, too: what is built for credit or objective must not enter its loss.
        self.beta = args.beta
        own = [] if reward is None else [reward]
        environments = self.reward_funcs[len(own) :]
        if environments:
            own.append(environment_reward(environments, self.reward_func_names[len(own) :]))
        self.reward = own[0] if len(own) == 1 else Sum(tuple((1.0, one) for one in own))
        # One column with the total: parts and statuses are told here, and one that is missing is no zero.
        self.reward_funcs, self.reward_func_names, self.reward_processing_classes = [self.reward], [], [None]
        self.reward_weights = torch.ones(1)
        self._scorer = Scorer(self.reward)
        if objective is not None:
            self.loss_is_scaled_for_ga = True
        check_sharding(self, self.needs)
        self._attach()

    @classmethod
    def _default_args(cls, model: Any) -> Any:
        from trl.trainer.utils import get_config_model_id

        name = model if isinstance(model, str) else get_config_model_id(model.config)
        return cls.config_class(f"{name.split('/')[-1]}-{cls._name}")

    @contextlib.contextmanager
    def _during(self, args: Any, reference: bool) -> Iterator[None]:
        """TRL is made with one reward, and with a reference where credit or objective need one."""
        weights, beta = args.reward_weights, args.beta
        args.reward_weights = None
        if reference and not beta:
            args.beta = 1.0
        try:
            yield
        finally:
            args.reward_weights, args.beta = weights, beta

    def _supplied(self) -> Mapping[str, Any]:
        return {
            "trainer_state": self.state,
            "log_extra": self._log_completion_extra,
            "log_metric": self._log_metric,
        }

    @property
    def _mode(self) -> str:
        return "train" if self.model.training else "eval"

    def _generate_and_score_completions(self, inputs: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """TRL's batch, with the advantages and weights of credit and objective."""
        check_text(inputs)
        self._inputs = inputs
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        assert self.scored is not None
        batch = with_learnt_mask(self, self.scored, output)
        if self.credit is not None:
            seen = with_features(self, batch, output, frozenset(self.credit.needs)).rollouts
            credited = self.credit(batch.scores, seen, batch.context)
            # Hidden states are not kept: they are by far the largest thing here.
            batch = dataclasses.replace(batch, credited=credited)
            output["advantages"] = own_advantages(batch, output["completion_mask"])
            tell_credit(self, self._mode, per_row(batch), credited.metrics)
        self._check_advantages(output["advantages"])
        if self.policy_objective is not None:
            add_loss_inputs(self, batch, output)
        if self._mode == "train" and self._audits():
            batch = with_known_logprobs(self, batch, output)
            self._show(batch)
        self.scored = batch
        return output

    def _check_advantages(self, advantages: torch.Tensor) -> None:
        """Whether TRL's own loss can take them; see the trainers."""

    def _generate(self, prompts: list[Any]) -> Any:
        """TRL's completions; scoring them begins here and goes on while TRL computes log-probabilities."""
        found = super()._generate(prompts)
        self._begun = self._begin(prompts, found)
        return found

    def _begin(self, prompts: list[Any], found: tuple[Any, ...]) -> _Begun:
        endings = [*self.eos_token_ids, self._tokenizer.pad_token_id]
        rows = sampled_rows(self._inputs, prompts, **self._generated(found), endings=endings)
        first = self.accelerator.process_index * len(rows)
        if self.segment is not None:
            rows = with_segments(rows, self.segment(self._as_rollouts(rows, first)))
        supplied: dict[str, Sequence[Any]] = {}
        if self._scorer.calls_functions:
            supplied[COMPLETION_IDS] = [row.completion_ids.tolist() for row in rows]
        if getattr(self, "environments", None) is not None:
            supplied[ENVIRONMENT] = self.environments
        context = self._context(self.accelerator.process_index + 1)
        return _Begun(rows, self._scorer.start(self._as_rollouts(rows, first), context, supplied))

    def _generated(self, found: tuple[Any, ...]) -> dict[str, Any]:
        """What the trainer's `_generate` returns, by the names of `sampled_rows`."""
        raise NotImplementedError

    def _as_rollouts(self, rows: Sequence[SampledRow], first: int) -> Any:
        size = self.num_generations if self.model.training else self.num_generations_eval
        return as_rollouts(rows, size, self._tokenizer.pad_token_id, first)

    def _context(self, stream: int) -> Any:
        seed = (self.args.seed, self.state.global_step, int(self.model.training), stream)
        return context_of(self.state.global_step + 1, self.state.max_steps, self.model.training, seed)

    def _calculate_rewards(
        self, inputs: Any, prompts: Sequence[Any], completions: Sequence[Any], completion_ids_list: Any
    ) -> torch.Tensor:
        """The total of every row of all processes, NaN where there is none, as one column."""
        begun, self._begun = self._begun, None
        if begun is None:
            raise TrainingError("rewards are scored from where the completions come to be: call _generate first")
        leaves = self._scorer.collect(begun.pending)
        scores = self._complete(begun.rows, leaves)
        tell_scores(self, self._mode, scores, self._statuses)
        total = torch.from_numpy(np.ascontiguousarray(scores.total()))
        return total.to(self.accelerator.device, torch.float32).unsqueeze(1)

    def _complete(self, rows: list[SampledRow], leaves: list[Scores]) -> Scores:
        """Scores of the rows of all processes."""
        whole = gathered_objects(self.accelerator, rows)
        processes = gathered_objects(self.accelerator, [leaves])
        context, rollouts = self._context(0), self._as_rollouts(whole, 0)
        scores = self._scorer.complete(processes, rollouts, context)
        if self.scored is None:
            check_first(scores)
        first = self.accelerator.process_index * len(rows)
        self.scored = ScoredBatch(rollouts, scores, context, slice(first, first + len(rows)))
        return scores

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """The objective's loss, or TRL's own."""
        if self.policy_objective is not None:
            return policy_loss(self, model, inputs)
        loss: torch.Tensor = super()._compute_loss(model, inputs)
        return loss

    def add_callback(self, callback: Any) -> None:
        """As TRL's; one that audits is shown the rollouts from now on."""
        super().add_callback(callback)
        self._attach()

    def _audits(self) -> list[AuditCallback]:
        return [one for one in self.callback_handler.callbacks if isinstance(one, AuditCallback)]

    def _attach(self) -> None:
        for audit in self._audits():
            audit.attached = True

    def _show(self, batch: ScoredBatch) -> None:
        """Show the batch to who audits. Gold is checked by one process, and all of them stop where it says so."""
        audits = self._audits()
        if self.accelerator.is_main_process:
            for audit in audits:
                for name, value in audit.observe(batch.rollouts, batch.scores, batch.context).items():
                    self._metrics["train"][f"monitor/{name}"].append(float(value))
        reasons = gathered_objects(self.accelerator, [[audit.stopped for audit in audits]])[0]
        for audit, reason in zip(audits, reasons, strict=True):
            audit.stopped = reason

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """TRL's checkpoint, with running statistics of the reward and what audits have seen."""
        super()._save_checkpoint(model, trial)
        if self.args.should_save:
            folder = Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}"
            state = {
                "reward": self.reward.state_dict(),
                "audits": [audit.state_dict() for audit in self._audits()],
                "statuses": sorted(self._statuses),
            }
            write_whole(folder / _STATE, json.dumps(state).encode())

    def _load_optimizer_and_scheduler(self, checkpoint: Any) -> None:
        """TRL's, and what `_save_checkpoint` added."""
        super()._load_optimizer_and_scheduler(checkpoint)
        file = None if checkpoint is None else Path(checkpoint) / _STATE
        if file is None or not file.exists():
            return
        state = json.loads(file.read_text())
        self.reward.load_state_dict(state["reward"])
        self._statuses = set(state["statuses"])
        audits = self._audits()
        if len(audits) != len(state["audits"]):
            raise TrainingError(
                f"{file}: the checkpoint knows {len(state['audits'])} audits, and this trainer has {len(audits)}: "
                "go on with the callbacks that it began with"
            )
        for audit, seen in zip(audits, state["audits"], strict=True):
            audit.load_state_dict(seen)
