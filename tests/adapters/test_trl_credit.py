"""Credit inside TRL's trainers: where advantages stand, what they see, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trl
from tests.adapters.trl_trainers import replay, trainer_of
from tests.training.conftest import ROWS, asked_for, policy, reward

from trueward.adapters.trl import TruewardGRPOTrainer, TruewardRLOOTrainer, line_breaks
from trueward.batch import Context, Rollouts, Scores, Text
from trueward.credit import Credited, GeneralisedAdvantage, GreedyBaseline, GroupRelative, SegmentReturns
from trueward.errors import TrainingError
from trueward.objectives.policy_loss import PolicyLoss
from trueward.policies.language import LanguagePolicy
from trueward.rewards.transforms import clip
from trueward.training.rollouts import logprobs_under

DATA = [{"prompt": row.prompt, "answer": row.answer} for row in ROWS]
EIGHT = [DATA[place // 4] for place in range(8)]


@dataclass(frozen=True)
class EveryToken:
    """Credit that tells every token apart: the row's number and the token's place."""

    needs: frozenset[str] = frozenset()

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Credited:
        mask = np.asarray(rollouts.mask)
        places = np.arange(len(mask))[:, None] + np.arange(1, mask.shape[1] + 1) / 100
        return Credited(np.where(mask, places, 0.0), metrics={"rows": float(len(mask))})


def scored(trainer: Any, rows: Sequence[dict[str, Any]] = EIGHT) -> dict[str, Any]:
    trainer.model.train()
    batch: dict[str, Any] = trainer._generate_and_score_completions([dict(row) for row in rows])
    return batch


def test_one_advantage_per_token_is_shuffled_and_split_with_its_row(model: Path, tmp_path: Path) -> None:
    settings = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}
    trainer = trainer_of(model, reward(), DATA, tmp_path, settings=settings, credit=EveryToken())
    trainer.model.train()
    parts = [trainer._prepare_inputs([dict(row) for row in EIGHT])]
    parts += trainer._buffered_inputs[1:]
    assert [len(part["advantages"]) for part in parts] == [2] * 4
    rollouts = trainer.scored.rollouts
    tokens = np.asarray(rollouts.content.token_ids)[:, -np.asarray(rollouts.mask).shape[1] :]
    seen = []
    for part in parts:
        for ids, mask, advantages in zip(
            part["completion_ids"].tolist(), part["completion_mask"].bool(), part["advantages"], strict=True
        ):
            row = int(advantages[0])
            seen.append(row)
            length = int(mask.sum())
            assert tokens[row, :length].tolist() == ids[:length]
            assert advantages[:length].tolist() == pytest.approx([row + (t + 1) / 100 for t in range(length)])
            assert not advantages[length:].any()
    assert sorted(seen) == list(range(8))
    assert seen != list(range(8))
    assert trainer._metrics["train"]["credit/rows"] == [8.0]


def test_the_default_is_trls_own_estimator(model: Path, tmp_path: Path) -> None:
    """Same weights, same seed: the same advantages, losses and weights as the stock trainer."""
    trained = []
    for kind, given in ((trl.GRPOTrainer, reward()), (TruewardGRPOTrainer, reward())):
        trainer = trainer_of(model, given, DATA, tmp_path, kind=kind)
        trainer.train()
        trained.append(([line.get("loss") for line in trainer.state.log_history], trainer.model.state_dict()))
    assert trained[0][0] == trained[1][0]
    assert all(torch.equal(trained[0][1][name], trained[1][1][name]) for name in trained[0][1])


def test_rloo_by_our_credit_is_rloo(model: Path, tmp_path: Path) -> None:
    advantages = []
    for credit in (None, GroupRelative("leave_one_out")):
        trainer = trainer_of(model, reward(), DATA, tmp_path, kind=TruewardRLOOTrainer, credit=credit)
        advantages.append(scored(trainer)["advantages"].tolist())
    assert advantages[0] == pytest.approx(advantages[1], abs=1e-6)
    assert np.count_nonzero(advantages[0]) > 2


def test_rloo_takes_one_advantage_per_token_only_with_an_objective(model: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="objective=PolicyLoss"):
        scored(trainer_of(model, reward(), DATA, tmp_path, kind=TruewardRLOOTrainer, credit=EveryToken()))
    trainer = trainer_of(
        model, reward(), DATA, tmp_path, kind=TruewardRLOOTrainer, credit=EveryToken(), objective=PolicyLoss()
    )
    trainer.train()
    assert trainer.state.global_step == 2


def _sampled(rows: Sequence[dict[str, Any]], lengths: Sequence[int], **columns: Any) -> list[dict[str, Any]]:
    tokenizer = policy().tokenizer
    ends = tokenizer.eos_token_id
    return [
        {
            "prompt": row["prompt"],
            "prompt_ids": tokenizer(row["prompt"], add_special_tokens=False)["input_ids"],
            "completion_ids": [*[place % 5 + 3 for _ in range(length - 1)], ends if length < 5 else 4],
            **{name: values[place] for name, values in columns.items()},
        }
        for place, (row, length) in enumerate(zip(rows, lengths, strict=True))
    ]


def test_what_a_tool_wrote_is_not_credited(model: Path, tmp_path: Path) -> None:
    """Tokens of the environment are outside of the mask of the loss, of credit, and of segments."""
    lengths = [4, 4, 3, 2, 4, 4, 4, 4]
    marks = [[1, 0, 0, 1], [1, 1, 0, 1], [1, 0, 1], [1, 1], *[[1, 1, 1, 1]] * 4]
    rows = _sampled(EIGHT, lengths, env_mask=marks)
    trainer = trainer_of(
        model, reward(), DATA, tmp_path, credit=EveryToken(), objective=PolicyLoss(), rollout_func=replay(rows),
        settings={"pad_to_multiple_of": None},
    )  # fmt: skip
    batch = scored(trainer)
    chosen = np.array([mark + [0] * (4 - len(mark)) for mark in marks], dtype=bool)
    assert np.asarray(trainer.scored.rollouts.mask).tolist() == chosen.tolist()
    assert (batch["advantages"] != 0).tolist() == [[bool(x) for x in row] for row in chosen]
    assert batch["trueward_weight"].tolist() == pytest.approx([1 / chosen.sum()] * 8)
    before = trainer.compute_loss(trainer.model, batch)
    batch["advantages"] = torch.where(torch.from_numpy(chosen), batch["advantages"], 1e3)
    assert float(trainer.compute_loss(trainer.model, batch)) == pytest.approx(float(before), abs=1e-6)


def test_completions_that_were_cut_off_may_be_masked(model: Path, tmp_path: Path) -> None:
    rows = _sampled(EIGHT, [5, 3, 3, 3, 5, 3, 3, 3])
    settings = {"mask_truncated_completions": True, "pad_to_multiple_of": None}
    trainer = trainer_of(
        model, reward(), DATA, tmp_path, credit=EveryToken(), objective=PolicyLoss(over="sequence"),
        settings=settings, rollout_func=replay(rows),
    )  # fmt: skip
    batch = scored(trainer)
    assert trainer.scored.rollouts.features["finished"].tolist() == [False, True, True, True] * 2
    assert not batch["advantages"][[0, 4]].any()
    assert batch["trueward_weight"].tolist() == pytest.approx([0, *[1 / 18] * 3] * 2)


def test_the_reference_is_made_and_beta_stays_out_of_the_loss(model: Path, tmp_path: Path) -> None:
    credit = GroupRelative("none", kl=0.5)
    trainer = trainer_of(model, reward(), DATA, tmp_path, credit=credit)
    assert trainer.args.beta == trainer.beta == 0.0
    with torch.no_grad():
        for weight in trainer.model.parameters():
            weight.add_(0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
    advantages = scored(trainer)["advantages"].numpy()
    rollouts = trainer.scored.rollouts
    now, first = LanguagePolicy(trainer.model, trainer.processing_class), LanguagePolicy.load(model)
    new, old = logprobs_under(now, rollouts, 1.0), logprobs_under(first, rollouts, 1.0)
    divergence = np.where(rollouts.mask, new - old, 0.0).sum(axis=1)
    assert np.abs(divergence).max() > 0.1
    assert advantages == pytest.approx(trainer.scored.scores.total() - 0.5 * divergence, abs=1e-4)


def test_steps_are_cut_where_lines_break() -> None:
    class Tokens:
        eos_token_id = 3

        def __len__(self) -> int:
            return 5

        def decode(self, ids: list[int]) -> str:
            return ("a", ".\n", "\n\n", "", "b")[ids[0]]

    ids = np.array([[9, 0, 1, 4, 2, 3], [9, 0, 0, 4, 3, 9]])
    rollouts = Rollouts(Text(["", ""], ["", ""], ids), mask=np.array([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]], dtype=bool))
    assert line_breaks(Tokens())(rollouts).tolist() == [[0, 0, 1, 1, 1], [0, 0, 0, 0, -1]]


def test_segments_of_the_wrong_shape_are_an_error(model: Path, tmp_path: Path) -> None:
    trainer = trainer_of(
        model, reward(), DATA, tmp_path, credit=SegmentReturns(), segment=lambda rollouts: np.zeros((8, 1))
    )
    with pytest.raises(ValueError, match="one number per token"):
        scored(trainer)


@pytest.mark.parametrize(
    ("given", "settings", "says"),
    [
        ({"credit": GeneralisedAdvantage()}, {}, "no critic"),
        ({"credit": GreedyBaseline()}, {}, "greedy"),
        ({"credit": EveryToken(frozenset({"weather"}))}, {}, "'weather'"),
        ({"credit": GroupRelative()}, {"scale_rewards": "batch"}, "statistic"),
        ({"credit": GroupRelative()}, {"use_liger_kernel": True}, "Liger"),
        ({}, {"multi_objective_aggregation": "normalize_then_sum"}, "separately=True"),
        ({"objective": PolicyLoss()}, {"loss_type": "dr_grpo"}, "loss_type='dr_grpo'"),
        ({"objective": PolicyLoss()}, {"epsilon": 0.3}, "low="),
        ({"objective": PolicyLoss()}, {"beta": 0.1}, "kl=0.1"),
        ({"objective": PolicyLoss()}, {"top_entropy_quantile": 0.2}, "no objective has it"),
        ({"objective": PolicyLoss()}, {"off_policy_mask_threshold": 0.2}, "no objective has it"),
        ({"objective": PolicyLoss()}, {"entropy_coef": 0.2}, "entropy="),
    ],
)
def test_what_cannot_hold_together_is_refused(
    given: dict[str, Any], settings: dict[str, Any], says: str, model: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=says):
        trainer_of(model, reward(), DATA, tmp_path, settings=settings, **given)


def test_rloo_refuses_what_credit_would_ignore(model: Path, tmp_path: Path) -> None:
    settings = {"beta": 0.05, "normalize_advantages": True, "reward_clip_range": (0.0, 1.0)}
    with pytest.raises(TrainingError) as refused:
        trainer_of(model, reward(), DATA, tmp_path, kind=TruewardRLOOTrainer, settings=settings, credit=GroupRelative())
    assert all(word in str(refused.value) for word in ("kl=0.05", "normalize_advantages", "clip(low, high)"))
    assert clip(0.0, 1.0)


def test_the_asynchronous_trainer_is_refused() -> None:
    from trueward.adapters.trl.training import TruewardTraining

    class AsyncGRPOTrainer:
        pass

    with pytest.raises(TrainingError, match="another process"):
        type("Both", (TruewardTraining, AsyncGRPOTrainer), {})


def test_rows_with_images_are_refused(model: Path, tmp_path: Path) -> None:
    trainer = trainer_of(model, [asked_for], DATA, tmp_path)
    with pytest.raises(TrainingError, match="hold text"):
        scored(trainer, [{**row, "image": object()} for row in EIGHT])
