"""One of several processes that share a batch; run as a module by `test_trl_processes`.

    python -m tests.adapters.trl_processes FOLDER

FOLDER holds the fixture of `same_rollouts`. The process scores and credits its own rows, trains for a step, and writes
`process-<rank>.npz`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.adapters.same_rollouts import DECISIONS, SIZE, TEMPERATURE, cases
from tests.adapters.trl_trainers import replay, trainer_of
from tests.training.conftest import ROWS as QUESTIONS
from tests.training.conftest import reward

from trueward.adapters.trl import AuditCallback
from trueward.credit import GroupRelative
from trueward.objectives.policy_loss import PolicyLoss
from trueward.policies.language import LanguagePolicy

SHARED = 12  # rows: three groups of four, of which the second straddles two processes of six rows
BACKEND = {"ddp_backend": "gloo"} if "WORLD_SIZE" in os.environ else {}
STEP = {
    "optim": "sgd",
    "learning_rate": 0.5,
    "max_grad_norm": 0.0,
    "max_steps": 1,
    "pad_to_multiple_of": None,
    "lr_scheduler_type": "constant",
    "save_strategy": "steps",
    "save_steps": 1,
}


def main(folder: Path) -> None:
    """Everything that the test compares, in one start of Python, which is what takes long."""
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    own = slice(rank * SHARED // world, (rank + 1) * SHARED // world)
    found: dict[str, Any] = {}
    for name in cases():
        found |= {f"{what}/{name}": value for what, value in shared(folder, name, own).items()}
    found |= {f"step/{name}": value for name, value in step(folder, own).items()}
    found |= {f"free/{name}": value for name, value in free(folder, own).items()}
    np.savez(folder / f"process-{world}-{rank}.npz", **found)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """Prompt, columns and tokens of the shared rows."""
    import json

    rows: list[dict[str, Any]] = json.loads((folder / "rows.json").read_text())
    return rows[:SHARED]


def shared(folder: Path, name: str, own: slice) -> dict[str, Any]:
    """Scores, advantages, weights and loss of a case on the rows of this process."""
    case, rows = cases()[name], rows_of(folder)[own]
    segments = [row["segments"] for row in rows]
    width = max(map(len, segments))
    cut = np.array([one + [-1] * (width - len(one)) for one in segments])
    plain = [{key: row[key] for key in ("prompt", "correct", "style", "process")} for row in rows]
    trainer = trainer_of(
        folder / "policy",
        case.reward,
        plain,
        folder / "run",
        settings={
            "num_generations": SIZE,
            "per_device_train_batch_size": len(rows),
            "temperature": TEMPERATURE,
            "max_completion_length": DECISIONS,
            "pad_to_multiple_of": None,
            **BACKEND,
        },
        credit=case.credit,
        objective=case.objective,
        segment=lambda rollouts: cut,
        rollout_func=replay(rows),
    )
    trainer.model.train()
    batch = trainer._generate_and_score_completions(plain)
    old = [row["old_logprobs"] for row in rows]
    width = batch["completion_ids"].shape[1]
    batch["old_per_token_logps"] = torch.tensor([one + [0.0] * (width - len(one)) for one in old])
    loss = trainer.compute_loss(trainer.model, batch)
    return {
        "total": trainer.scored.scores.total(),
        "advantages": batch["advantages"].numpy(),
        "weight": batch["trueward_weight"].numpy(),
        "loss": float(loss.detach()),
        "logged": np.array(list(trainer._logs["advantages"])),
        "metric": trainer._metrics["train"]["objective/approx_kl"][0],
    }


def step(folder: Path, own: slice) -> dict[str, Any]:
    """The weights after an update on rollouts that are known, and who watched."""
    policy = LanguagePolicy.load(folder / "asker")
    tokenizer = policy.tokenizer
    rows = [
        {
            "prompt": QUESTIONS[place // SIZE].prompt,
            "prompt_ids": tokenizer(QUESTIONS[place // SIZE].prompt, add_special_tokens=False)["input_ids"],
            "completion_ids": [3 + place % 3, *[3 + place % 5] * (place % 4), tokenizer.eos_token_id],
        }
        for place in range(SHARED)
    ]
    audit = AuditCallback(gold=reward(), budget=4, detectors=())
    trainer = trainer_of(
        folder / "asker",
        reward(),
        [{"prompt": row.prompt, "answer": row.answer} for row in QUESTIONS],
        folder / "trained",
        settings={**STEP, "per_device_train_batch_size": own.stop - own.start, **BACKEND},
        credit=GroupRelative(),
        objective=PolicyLoss(),
        rollout_func=replay(rows[own]),
        callbacks=[audit],
    )
    trainer.train()
    return {
        "weights": np.concatenate([weight.detach().numpy().ravel() for weight in trainer.model.parameters()]),
        "watches": audit.monitor is not None,
        "first": trainer.scored.own.start,
    }


def free(folder: Path, own: slice) -> dict[str, Any]:
    """Two steps on completions of the policy's own."""
    trainer = trainer_of(
        folder / "asker",
        reward(),
        [{"prompt": row.prompt, "answer": row.answer} for row in QUESTIONS],
        folder / "free",
        settings={"per_device_train_batch_size": own.stop - own.start, **BACKEND},
        credit=GroupRelative(kl=0.01),
        objective=PolicyLoss(kl=0.01),
    )
    trainer.train()
    return {
        "weights": np.concatenate([weight.detach().numpy().ravel() for weight in trainer.model.parameters()]),
        "total": trainer.scored.scores.total(),
        "own": np.array([trainer.scored.own.start, trainer.scored.own.stop]),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
