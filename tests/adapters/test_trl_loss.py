"""The loss inside TRL's trainers: how a batch is cut changes nothing, and known settings give TRL's own losses."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from tests.adapters.trl_trainers import trainer_of
from tests.training.conftest import ROWS, reward

from trueward.adapters.trl import TruewardGRPOTrainer, TruewardRLOOTrainer
from trueward.credit import GroupRelative
from trueward.objectives.policy_loss import PolicyLoss

DATA = [{"prompt": row.prompt, "answer": row.answer} for row in ROWS]
EIGHT = [DATA[place // 4] for place in range(8)]
PLAIN = {"optim": "sgd", "learning_rate": 0.5, "max_grad_norm": 0.0, "lr_scheduler_type": "constant"}


def gradient(trainer: Any) -> torch.Tensor:
    return torch.cat([weight.grad.flatten() for weight in trainer.model.parameters() if weight.grad is not None])


def learnt(trainer: Any, rows: list[dict[str, Any]]) -> tuple[float, torch.Tensor]:
    """Summed loss and gradient of all micro-batches of one generation batch, as the trainer gets them."""
    trainer.model.train()
    trainer.model.zero_grad()
    total = 0.0
    for _ in range(trainer.args.steps_per_generation):
        inputs = trainer._prepare_inputs([dict(row) for row in rows])
        loss = trainer.compute_loss(trainer.model, inputs)
        if not trainer.loss_is_scaled_for_ga:
            loss = loss / trainer.args.gradient_accumulation_steps
        loss.backward()
        total += float(loss.detach())
        trainer._step += 1
    return total, gradient(trainer)


@pytest.mark.parametrize("kind", [TruewardGRPOTrainer, TruewardRLOOTrainer])
@pytest.mark.parametrize(
    "objective",
    [
        PolicyLoss(kl=0.1, entropy=0.01),
        PolicyLoss("sequence"),
        PolicyLoss("group"),
        PolicyLoss("fixed_length", length=6),
    ],
    ids=lambda objective: objective.over,
)
def test_micro_batches_change_nothing(kind: Any, objective: PolicyLoss, model: Path, tmp_path: Path) -> None:
    found = []
    for size in (8, 2):
        settings = {"per_device_train_batch_size": size, "gradient_accumulation_steps": 8 // size}
        trainer = trainer_of(
            model, reward(), DATA, tmp_path, kind=kind, settings=settings, credit=GroupRelative(), objective=objective
        )
        # The same draws for both: the trainers seed generation alike.
        found.append(learnt(trainer, EIGHT))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-6)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-6)
    assert found[0][1].abs().max() > 1e-3


def test_trls_loss_does_depend_on_how_a_batch_is_cut(model: Path, tmp_path: Path) -> None:
    """What the test above would see otherwise: a mean of means over micro-batches of other lengths."""
    found = []
    for size in (8, 2):
        settings = {
            "per_device_train_batch_size": size, "gradient_accumulation_steps": 8 // size, "loss_type": "bnpo",
        }  # fmt: skip
        trainer = trainer_of(model, reward(), DATA, tmp_path, settings=settings, credit=GroupRelative())
        found.append(learnt(trainer, EIGHT)[1])
    assert not torch.allclose(found[0], found[1], atol=1e-4)


def test_several_updates_from_one_batch_have_the_size_of_one(model: Path, tmp_path: Path) -> None:
    """Two windows of two micro-batches: each is worth the whole batch, as in TRL."""
    settings = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "steps_per_generation": 4}
    given: dict[str, Any] = {"credit": GroupRelative(), "objective": PolicyLoss()}
    one = learnt(trainer_of(model, reward(), DATA, tmp_path, **given), EIGHT)
    cut = trainer_of(model, reward(), DATA, tmp_path, settings=settings, **given)
    two = learnt(cut, EIGHT)
    assert torch.allclose(2 * one[1], two[1], atol=1e-6)
    assert "old_per_token_logps" in cut._buffered_inputs[0]


@pytest.mark.parametrize(
    ("theirs", "objective"),
    [
        ({"loss_type": "grpo"}, PolicyLoss("sequence")),
        ({"loss_type": "dapo"}, PolicyLoss()),
        ({"loss_type": "dr_grpo"}, PolicyLoss("fixed_length", length=6)),
        (
            {"loss_type": "grpo", "importance_sampling_level": "sequence", "num_iterations": 2},
            PolicyLoss("sequence", ratio="sequence"),
        ),
    ],
    ids=["grpo", "dapo", "dr_grpo", "gspo"],
)
def test_known_settings_are_trls_losses(
    theirs: dict[str, Any], objective: PolicyLoss, model: Path, tmp_path: Path
) -> None:
    """Three updates by plain gradient descent end at the same weights, with two micro-batches each."""
    settings: dict[str, Any] = {
        **PLAIN, "per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "max_steps": 3,
    }  # fmt: skip
    settings |= {name: value for name, value in theirs.items() if name == "num_iterations"}
    stock = trainer_of(model, reward(), DATA, tmp_path, kind=trl.GRPOTrainer, settings={**settings, **theirs})
    before = {name: weight.clone() for name, weight in stock.model.state_dict().items()}
    stock.train()
    ours = trainer_of(
        model, reward(), DATA, tmp_path, settings=settings, credit=GroupRelative(epsilon=1e-4), objective=objective
    )
    ours.train()
    moved = stock.model.state_dict()
    for name, weight in ours.model.state_dict().items():
        assert torch.allclose(weight, moved[name], atol=1e-6)
    assert any((weight - before[name]).abs().max() > 1e-3 for name, weight in moved.items())


def test_the_correction_for_another_sampler_is_multiplied_in(model: Path, tmp_path: Path) -> None:
    """vLLM's importance ratio weighs the surrogate and leaves the divergence, as in TRL."""
    objective = PolicyLoss(kl=0.1)
    trainer = trainer_of(model, reward(), DATA, tmp_path, credit=GroupRelative(), objective=objective)
    trainer.model.train()
    batch = trainer._generate_and_score_completions([dict(row) for row in EIGHT])
    batch["ref_per_token_logps"] = batch["ref_per_token_logps"] - 0.3
    plain = float(trainer.compute_loss(trainer.model, batch))
    divergence = float(trainer.compute_loss(trainer.model, {**batch, "advantages": torch.zeros(8)}))
    ratio = torch.full((8, 1), 0.5)
    halved = float(trainer.compute_loss(trainer.model, {**batch, "importance_sampling_ratio": ratio}))
    assert halved - divergence == pytest.approx((plain - divergence) / 2, abs=1e-6)
    assert divergence > 1e-3
    ratio[batch["advantages"] > 0] = 0.0
    blamed = {**batch, "advantages": batch["advantages"].clamp(max=0.0)}
    left = float(trainer.compute_loss(trainer.model, {**batch, "importance_sampling_ratio": ratio * 2}))
    assert left == pytest.approx(float(trainer.compute_loss(trainer.model, blamed)), abs=1e-6)


def test_entropy_and_reference_reach_the_objective(model: Path, tmp_path: Path) -> None:
    told = []
    for objective in (PolicyLoss(), PolicyLoss(entropy=1.0), PolicyLoss(kl=1.0)):
        trainer = trainer_of(model, reward(), DATA, tmp_path, credit=GroupRelative(), objective=objective)
        with torch.no_grad():
            for weight in trainer.model.parameters():
                weight.add_(0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
        trainer.model.train()
        batch = trainer._generate_and_score_completions([dict(row) for row in EIGHT])
        told.append((float(trainer.compute_loss(trainer.model, batch)), dict(trainer._metrics["train"])))
    spread = told[0][1]["entropy"][0]
    assert told[1][0] == pytest.approx(told[0][0] - spread, abs=1e-5)
    assert told[2][0] == pytest.approx(told[0][0] + told[2][1]["objective/kl"][0], abs=1e-5)
    assert told[2][1]["objective/kl"][0] > 0.01


def test_evaluation_has_the_loss_of_its_batch(model: Path, tmp_path: Path) -> None:
    settings = {"per_device_eval_batch_size": 4, "gradient_accumulation_steps": 3, "per_device_train_batch_size": 4}
    trainer = trainer_of(
        model, reward(), DATA, tmp_path, settings=settings, credit=GroupRelative(), objective=PolicyLoss(),
        eval_dataset=None,
    )  # fmt: skip
    trainer.model.eval()
    batch = trainer._prepare_inputs([dict(row) for row in EIGHT[:4]])
    loss = float(trainer.compute_loss(trainer.model, batch))
    mask = batch["completion_mask"].bool()
    by_hand = -(batch["advantages"][:, None] * mask).sum() / mask.sum()
    assert loss == pytest.approx(float(by_hand), abs=1e-6)
    assert trainer.scored.context.training is False
    assert dataclasses.is_dataclass(trainer.scored)
