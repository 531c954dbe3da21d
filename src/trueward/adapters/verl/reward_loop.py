"""verl's reward manager, scoring with a Trueward reward.

verl starts several processes for rewards and sends each rollout to one of them as soon as it is finished. There the
reward runs under limits, after a self-test. What verl gets back is one number and, beside it, the parts and statuses:
in its validation metrics and its queue, and from there in Trueward's trainers.

A row that could not be scored, and is not to blame, has no number. verl carries a reward as it is, so it gets NaN, and
Trueward's estimators leave the row out. Any other estimator would make a gradient of it that is not a number, and is
refused unless `reward.trueward.unscored` names a number.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from verl import DataProto
from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase
from verl.experimental.reward_loop.reward_manager.registry import register

from trueward.adapters.verl.configured import (
    RewardSettings,
    needs_batch,
    reward_of,
    runner_of,
    settings_of,
    undeclared,
)
from trueward.adapters.verl.estimators import credit_of
from trueward.adapters.verl.recorded import FIELD, Recorder
from trueward.adapters.verl.registered import ESTIMATORS, check_registered
from trueward.adapters.verl.rows import columns_of, prompt_of
from trueward.adapters.verl.self_test import self_test
from trueward.batch import Context, Rollouts, Scores, Text
from trueward.credit.estimators import token_rewards
from trueward.errors import TrainingError
from trueward.rewards.base import Reward


@register("trueward")
class TruewardRewardManager(RewardManagerBase):  # type: ignore[misc]
    """Scores rollouts with the reward at `reward.custom_reward_function`; see the module.

    Args:
        config: verl's configuration.
        tokenizer: of the policy.
        compute_score: the same reward as verl loaded it; not used.
        reward_router_address, reward_model_tokenizer: of a reward model that verl serves.

    Raises:
        TrainingError: the reward, its settings or the estimator do not fit together, or the self-test failed.
    """

    def __init__(
        self,
        config: Any,
        tokenizer: Any,
        compute_score: Any = None,
        reward_router_address: str | None = None,
        reward_model_tokenizer: Any = None,
    ) -> None:
        super().__init__(config, tokenizer, compute_score)
        self.settings = settings_of(config)
        reward = reward_of(config)
        check_combination(config, self.settings, reward)
        self_test(reward, runner_of(self.settings, reward), self.settings.self_test, _files(config))
        self._recorder = Recorder(reward)
        self._segment = self.settings.segmenter
        self._waiting: list[tuple[Rollouts, asyncio.Future[dict[str, Any]]]] = []
        self._scoring: asyncio.Task[None] | None = None
        self._by_token = _by_token(config)

    @classmethod
    def init_class(cls, config: Any, tokenizer: Any) -> None:
        """Prove that verl knows Trueward in this process."""
        if not cls._class_initialized:
            check_registered("a reward worker of verl")
        super().init_class(config, tokenizer)

    async def run_single(self, data: DataProto) -> dict[str, Any]:
        """The reward of a rollout: of its last output, where it has several.

        Rows that arrive while others are scored are scored together next, so that all processes of the reward work.
        """
        rollouts = await asyncio.get_running_loop().run_in_executor(None, self._rollout, data[-1:])
        waits: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting.append((rollouts, waits))
        if self._scoring is None or self._scoring.done():
            self._scoring = asyncio.create_task(self._score_waiting())
        return await waits

    async def _score_waiting(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting, []
            try:
                found = await asyncio.get_running_loop().run_in_executor(None, self._score, [row for row, _ in taken])
            except BaseException as error:  # whoever waits must hear of it
                for _, waits in taken:
                    if not waits.done():
                        waits.set_exception(error)
                if not isinstance(error, Exception):
                    raise
                continue
            for (_, waits), row in zip(taken, found, strict=True):
                if not waits.done():
                    waits.set_result(row)

    def _rollout(self, data: DataProto) -> Rollouts:
        fields = {name: values[0] for name, values in data.non_tensor_batch.items()}
        width = data.batch["responses"].shape[-1]
        attention = data.batch["attention_mask"][0].bool()
        asked, response = data.batch["prompts"][0], data.batch["responses"][0]
        prompt, written = asked[attention[:-width]], response[attention[-width:]]
        content = Text(
            [prompt_of(fields, self.tokenizer.decode(prompt, skip_special_tokens=True))],
            [self.tokenizer.decode(written, skip_special_tokens=True)],
            torch.cat([prompt, written])[None].numpy(),
            np.ones((1, len(prompt) + len(written)), dtype=bool),
        )
        mask = np.ones((1, len(written)), dtype=bool)
        rollouts = Rollouts(content, mask=mask, reference=[columns_of(fields)])
        return rollouts if self._segment is None else dataclasses.replace(rollouts, segments=self._segment(rollouts))

    def _score(self, rows: Sequence[Rollouts]) -> list[dict[str, Any]]:
        """Rows of steps have as many columns as they have tokens, and are scored one by one."""
        if self._segment is not None:
            return [self._results(row)[0] for row in rows]
        return self._results(_together(rows))

    def _results(self, rollouts: Rollouts) -> list[dict[str, Any]]:
        scores = self._recorder.reward.score(rollouts, Context())
        totals = scores.total()
        placed = token_rewards(scores, rollouts, rollouts.mask) if self._segment and self._by_token else None
        results = []
        for row, text in enumerate(self._recorder.texts()):
            total = float(totals[row])
            if np.isnan(total) and self.settings.unscored is not None:
                total = self.settings.unscored
            score = total if placed is None or np.isnan(total) else placed[row].tolist()
            results.append({"reward_score": score, "reward_extra_info": _told(scores, row, total, text)})
        return results

    @classmethod
    def assemble_rm_scores(cls, data: DataProto, scores: Sequence[float | Sequence[float]]) -> Float[Tensor, "b t"]:
        """Rewards at the tokens that earned them, where verl scores whole batches on the trainer's own devices.

        Args:
            data: prompts, responses and attention of the batch.
            scores: one number per row, for its last token, or one per token.
        """
        plain = [0.0 if isinstance(score, Sequence) else float(score) for score in scores]
        placed: Tensor = super().assemble_rm_scores(data, plain)
        for row, score in enumerate(scores):
            if isinstance(score, Sequence):
                placed[row, : len(score)] = placed.new_tensor(score)
        return placed


def check_combination(config: Any, settings: RewardSettings, reward: Reward) -> None:
    """Refuse what would go wrong later, or silently.

    Raises:
        TrainingError: a transform needs the batch and the trainer will not show it, or rows that were not scored would
            reach an estimator that does not know them.
    """
    name = str(config.algorithm.adv_estimator)
    batchwise = needs_batch(reward)
    if batchwise and not settings.under_trueward_trainer:
        raise TrainingError(
            f"the transforms {', '.join(batchwise)} look at other rows, and verl's reward workers see one row at a "
            "time: set trainer.v1.trainer_mode=trueward, which applies them to the whole batch"
        )
    if undeclared(reward) and not settings.under_trueward_trainer:
        raise TrainingError(
            f"{', '.join(undeclared(reward))} declares no range, so an answer that breaks it could not be given the "
            "lowest score and would come off better than a wrong one: set +reward.trueward.low=0.0 "
            "+reward.trueward.high=1.0 (or whatever holds), give low and high to as_reward, or set "
            "trainer.v1.trainer_mode=trueward"
        )
    if settings.unscored is None and credit_of(name, config.algorithm) is None:
        raise TrainingError(
            f"algorithm.adv_estimator={name} does not know rows that could not be scored: one of them would make the "
            "whole group's gradient NaN. Choose one of Trueward's estimators "
            f"({', '.join(ESTIMATORS)}), or name a number for such rows: +reward.trueward.unscored=0.0"
        )


def _together(rows: Sequence[Rollouts]) -> Rollouts:
    """Rows of whole rollouts as one batch; tokens are padded as everywhere, prompts left and completions right."""
    texts = [row.content for row in rows if isinstance(row.content, Text)]
    lengths = [np.asarray(row.mask).shape[1] for row in rows]
    asked = [np.asarray(text.token_ids).shape[1] - length for text, length in zip(texts, lengths, strict=True)]
    before, after = max(asked), max(lengths)
    ids = np.zeros((len(rows), before + after), dtype=np.int64)
    attention = np.zeros(ids.shape, dtype=bool)
    for row, (text, prompt, length) in enumerate(zip(texts, asked, lengths, strict=True)):
        columns = slice(before - prompt, before + length)
        ids[row, columns], attention[row, columns] = np.asarray(text.token_ids)[0], True
    content = Text([text.prompts[0] for text in texts], [text.completions[0] for text in texts], ids, attention)
    return Rollouts(content, mask=attention[:, before:], reference=[row.reference[0] for row in rows])


def _told(scores: Scores, row: int, total: float, text: str) -> Mapping[str, Any]:
    """What verl logs and keeps: text is left out of its metrics, numbers are averaged."""
    parts = {}
    for name, part in scores.parts.items():
        parts[f"reward/{name}"] = float(part.filled()[row] if part.level == "rollout" else part.filled()[row].sum())
    return {"score": total, **parts, "status": scores.status[row].value, FIELD: text}


def _by_token(config: Any) -> bool:
    """True where verl asks `assemble_rm_scores`; elsewhere it can place one number only."""
    model = config.reward.reward_model
    return bool(model.enable and not model.enable_resource_pool)


def _files(config: Any) -> list[str]:
    files = config.data.get("train_files", None)
    return [] if files is None else [files] if isinstance(files, str) else [str(file) for file in files]
