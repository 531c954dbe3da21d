"""One reward, one credit function, one objective: the same rollouts give the same numbers in every engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.adapters.conftest import VERL, Verl
from tests.adapters.same_rollouts import DECISIONS, ROWS, SIZE, TEMPERATURE, UNSCORED, Same, cases, fixture

from trueward.batch import Context
from trueward.objectives.policy_loss import PolicyLoss

CASES = tuple(cases())


@pytest.fixture(scope="module")
def same(tmp_path_factory: pytest.TempPathFactory) -> Same:
    torch.set_num_threads(1)
    return fixture(tmp_path_factory.mktemp("same"))


def test_the_rollouts_say_something(same: Same) -> None:
    """A case in which nothing can be learnt, or nothing differs between them, would agree for no reason."""
    seen = []
    for name in CASES:
        advantages = np.broadcast_to(same.arrays[f"advantages/{name}"].T, (DECISIONS, ROWS)).T
        assert not advantages[UNSCORED].any()
        assert np.count_nonzero(np.abs(advantages).max(axis=1)) >= ROWS // 2
        seen.append(advantages * same.arrays["mask"])
    assert all(np.abs(a - b).max() > 1e-2 for place, a in enumerate(seen) for b in seen[:place])


@pytest.mark.parametrize("name", CASES)
def test_trl(same: Same, name: str, tmp_path: Path) -> None:
    found = in_trl(same, name, tmp_path)
    expected = same.arrays[f"advantages/{name}"]
    assert found["advantages"].shape[1:] == expected.shape[1:]
    assert found["advantages"] == pytest.approx(expected, abs=1e-6)
    assert found["weight"] == pytest.approx(same.arrays[f"weight/{name}"], abs=1e-6)
    assert found["loss"] == pytest.approx(float(same.arrays[f"loss/{name}"]), abs=1e-6)


@VERL
@pytest.mark.parametrize("name", CASES)
def test_verl(same: Same, verl: Verl, name: str) -> None:
    """Through verl's reward manager, queue, trainer and registry; losses through its registry."""
    mask = same.arrays["mask"]
    expected = np.broadcast_to(same.arrays[f"advantages/{name}"].T, mask.T.shape).T * mask
    assert verl.arrays[f"advantages/{name}"] == pytest.approx(expected, abs=1e-6)
    loss = float(same.arrays[f"loss/{name}"])
    if name == "grpo_lambda":
        # verl calls a loss without the prompts of its rows, so it has no mean over prompts: over tokens instead.
        loss = over_tokens(same, verl.arrays["new_logprobs"], expected)
    assert verl.arrays[f"loss/{name}"] == pytest.approx(loss, abs=1e-6)


def over_tokens(same: Same, new_logprobs: np.ndarray, advantages: np.ndarray) -> float:
    new, old, given = (torch.from_numpy(array) for array in (new_logprobs, same.arrays["old_logprobs"], advantages))
    mask = torch.from_numpy(same.arrays["mask"])
    objective = PolicyLoss()
    loss, _ = objective(new, old, given, mask, objective.weight(mask, None))
    return float(loss)


@VERL
def test_verl_stores_the_totals_of_whole_batches(same: Same, verl: Verl) -> None:
    """Its reward workers see one row at a time; what a switch over the batch pays is written back."""
    case = cases()["grpo_lambda"]
    totals = case.reward.score(same.rollouts, Context(1)).total()
    alone = cases()["thr"].reward.score(same.rollouts, Context(1)).total()
    assert np.isnan(verl.arrays["totals/z_score"][UNSCORED])
    kept = ~np.isnan(totals)
    assert np.abs(totals[kept] - alone[kept]).max() > 0.1
    assert verl.arrays["totals/switched"][kept] == pytest.approx(totals[kept], abs=1e-6)


def in_trl(same: Same, name: str, directory: Path) -> dict[str, Any]:
    """What TRL's trainer makes of the rollouts."""
    from tests.adapters.trl_trainers import replay, trainer_of

    case, mask = cases()[name], same.arrays["mask"]
    rows = same.rows()
    sampled = [
        {
            "prompt": row["prompt"],
            "prompt_ids": same.arrays["prompt_ids"][place][same.arrays["prompt_mask"][place]].tolist(),
            "completion_ids": same.arrays["completion_ids"][place][mask[place]].tolist(),
        }
        for place, row in enumerate(rows)
    ]
    settings = {
        "num_generations": SIZE,
        "per_device_train_batch_size": ROWS,
        "temperature": TEMPERATURE,
        "max_completion_length": DECISIONS,
        "pad_to_multiple_of": None,
    }
    trainer = trainer_of(
        same.folder / "policy",
        case.reward,
        rows,
        directory,
        settings=settings,
        credit=case.credit,
        objective=case.objective,
        segment=lambda rollouts: same.rollouts.segments,
        rollout_func=replay(sampled),
    )
    trainer.model.train()
    batch = trainer._generate_and_score_completions([dict(row) for row in rows])
    assert batch["completion_ids"].tolist() == same.arrays["completion_ids"].tolist()
    batch["old_per_token_logps"] = torch.from_numpy(same.arrays["old_logprobs"])
    loss = trainer.compute_loss(trainer.model, batch)
    return {
        "advantages": batch["advantages"].numpy(),
        "weight": batch["trueward_weight"].numpy(),
        "loss": float(loss.detach()),
    }
