"""TRL's trainer of reward models with our losses."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
import trl
from transformers import AutoModelForSequenceClassification, PrinterCallback

from trueward.adapters.trl import TruewardRewardTrainer
from trueward.errors import TrainingError
from trueward.objectives.preference import bradley_terry
from trueward.policies.language import LanguagePolicy

PAIRS = [
    {"prompt": "say red : ", "chosen": "red ", "rejected": "blue green ", "margin": 0.5, "label": 1.0, "weight": 1.0},
    {"prompt": "say blue : ", "chosen": "blue ", "rejected": "red ", "margin": 0.0, "label": 0.5, "weight": 2.0},
    {"prompt": "say green : ", "chosen": "blue ", "rejected": "green ", "margin": 1.0, "label": 0.0, "weight": 0.0},
]


def trainer_of(
    model: Path, directory: Path, columns: Sequence[str], *, kind: Any = TruewardRewardTrainer, **given: Any
) -> Any:
    torch.manual_seed(0)
    network = AutoModelForSequenceClassification.from_pretrained(model, num_labels=1, dtype=torch.float32)
    settings = {
        "per_device_train_batch_size": 3, "use_cpu": True, "bf16": False, "report_to": "none", "max_steps": 3,
        "learning_rate": 1e-2, "disable_tqdm": True, "save_strategy": "no", "logging_steps": 1,
        **given.pop("settings", {}),
    }  # fmt: skip
    trainer = kind(
        model=network,
        args=trl.RewardConfig(output_dir=str(directory), **settings),
        train_dataset=datasets.Dataset.from_list(
            [{key: pair[key] for key in ("prompt", "chosen", "rejected", *columns)} for pair in PAIRS]
        ),
        processing_class=LanguagePolicy.load(model).tokenizer,
        **given,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def batch_of(trainer: Any) -> dict[str, Any]:
    trainer.model.eval()
    return trainer.data_collator([trainer.train_dataset[place] for place in range(len(PAIRS))])


def scores_of(trainer: Any, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    found = trainer.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits.squeeze(-1)
    chosen, rejected = found.chunk(2)
    return chosen, rejected


@pytest.mark.parametrize("columns", [(), ("margin",)])
@pytest.mark.parametrize("centring", [None, 0.1])
def test_the_default_is_trls_loss(columns: Sequence[str], centring: float | None, model: Path, tmp_path: Path) -> None:
    losses = []
    for kind in (trl.RewardTrainer, TruewardRewardTrainer):
        settings = {"center_rewards_coefficient": centring}
        trainer = trainer_of(model, tmp_path, columns, kind=kind, settings=settings)
        losses.append(float(trainer.compute_loss(trainer.model, batch_of(trainer))))
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_soft_labels_weights_and_margins_reach_the_loss(model: Path, tmp_path: Path) -> None:
    trainer = trainer_of(model, tmp_path, ("margin", "label", "weight"), loss=partial(bradley_terry, smoothing=0.1))
    batch = batch_of(trainer)
    chosen, rejected = scores_of(trainer, batch)
    gap = (chosen - rejected).detach()
    margin = torch.tensor([0.5, 0.0, 1.0])
    soft = torch.tensor([0.9, 0.5, 0.1])
    each = -soft * torch.nn.functional.logsigmoid(gap - margin) - (1 - soft) * torch.nn.functional.logsigmoid(
        -gap - margin
    )
    expected = (each[0] + 2 * each[1]) / 3
    assert float(trainer.compute_loss(trainer.model, batch)) == pytest.approx(float(expected), abs=1e-6)


def test_it_learns_and_tells_what_the_loss_tells(model: Path, tmp_path: Path) -> None:
    trainer = trainer_of(model, tmp_path, ("margin", "label"), settings={"max_steps": 20})
    trainer.train()
    told = [line for line in trainer.state.log_history if "loss/accuracy" in line]
    assert {"accuracy", "margin", "loss/gap_mean", "loss/active_pairs"} <= told[-1].keys()
    assert told[-1]["loss"] < told[0]["loss"]
    chosen, rejected = scores_of(trainer, batch_of(trainer))
    gap = (chosen - rejected).tolist()
    assert gap[0] > 0.5
    assert gap[2] < -0.5
    assert gap[2] < gap[1] < gap[0]


def test_a_loss_and_trls_own_setting_are_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"partial\(bradley_terry, centring=0.1\)"):
        trainer_of(model, tmp_path, (), loss=bradley_terry, settings={"center_rewards_coefficient": 0.1})
