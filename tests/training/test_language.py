"""The loop: that it learns, that it refuses, and that a run which was killed ends as if it had not been."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.kill_and_resume import killed_until_done
from tests.training.conftest import ROWS, gold, policy, reward

from trueward.batch import Context, Rollouts, Scores
from trueward.credit import GeneralisedAdvantage, GreedyBaseline, GroupRelative
from trueward.errors import TrainingError
from trueward.objectives.policy_loss import PolicyLoss
from trueward.policies.sampling import Sampling
from trueward.policies.scorer import TokenScorer
from trueward.rewards.base import as_reward
from trueward.tasks.text.rollout_formats import read_rollouts
from trueward.training.language import StopRun, Trained, TrainSettings, train
from trueward.training.record import read_metrics

SETTINGS = TrainSettings(
    steps=6,
    prompts=2,
    group=4,
    sampling=Sampling(max_new_tokens=4),
    learning_rate=3e-3,
    warm_up=2,
    evaluate_every=3,
    checkpoint_every=2,
    tensorboard=False,
)


def run(directory: Path, settings: TrainSettings = SETTINGS, **given: Any) -> Trained:
    known: dict[str, Any] = {
        "gold": gold,
        "held_out": ROWS,
        "credit": GroupRelative(),
        "objective": PolicyLoss(kl=0.01),
    }
    learns = given.pop("policy", None) or policy()
    optimised = given.pop("reward", None) or reward()
    return train(learns, ROWS, optimised, settings=settings, directory=directory, **{**known, **given})


def test_a_policy_learns_what_is_rewarded(tmp_path: Path) -> None:
    long = dataclasses.replace(SETTINGS, steps=60, prompts=3, group=16, evaluate_every=60, evaluation_samples=32)
    found = run(tmp_path, dataclasses.replace(long, learning_rate=1e-2), objective=PolicyLoss()).metrics
    assert found[0]["gold"] < 0.4
    assert found[-1]["gold"] > 0.8
    assert found[-1]["kl"] > 0.5


@pytest.mark.parametrize("credit", [GreedyBaseline(), GroupRelative("leave_one_out", kl=0.01), GeneralisedAdvantage()])
def test_every_credit_raises_the_reward(credit: Any, tmp_path: Path) -> None:
    critic = TokenScorer.from_policy(policy()) if "value" in credit.needs else None
    long = dataclasses.replace(
        SETTINGS, steps=50, prompts=3, group=8, learning_rate=1e-2, evaluate_every=50, evaluation_samples=32
    )
    found = run(tmp_path, long, credit=credit, objective=PolicyLoss(), critic=critic).metrics
    assert found[-1]["gold"] > found[0]["gold"] + 0.25


def test_epochs_minibatches_and_micro_batches(tmp_path: Path) -> None:
    """Micro-batches change memory and nothing else."""
    several = dataclasses.replace(SETTINGS, epochs=2, minibatches=2)
    whole = run(tmp_path / "whole", several).metrics
    cut = run(tmp_path / "cut", dataclasses.replace(several, micro_batch=3)).metrics
    assert whole[-1]["gold"] == pytest.approx(cut[-1]["gold"], abs=1e-5)
    assert whole[3]["update/loss"] == pytest.approx(cut[3]["update/loss"], abs=1e-5)
    assert whole[3]["update/approx_kl"] != 0.0


def test_the_record_of_a_run(tmp_path: Path) -> None:
    found = run(tmp_path, dataclasses.replace(SETTINGS, tensorboard=True))
    assert [line["step"] for line in found.metrics] == list(range(7))
    assert {"proxy", "gold", "kl", "length", "finished", "measure/words"} <= found.metrics[3].keys()
    assert "gold" not in found.metrics[2]
    assert found.metrics[0]["kl"] == pytest.approx(0.0, abs=1e-4)
    logged = read_rollouts(tmp_path / "rollouts")
    assert len(logged.completions) == 6 * 8
    one = logged.completions[0]
    assert one.gold == pytest.approx(one.rewards["reward"])
    assert {c.step for c in logged.completions} == {1, 2, 3, 4, 5, 6}
    assert len({c.group for c in logged.completions}) == 6 * 2
    assert list((tmp_path / "tensorboard").iterdir())


def test_every_prompt_comes_once_an_epoch(tmp_path: Path) -> None:
    run(tmp_path)
    prompts = [c.prompt for c in read_rollouts(tmp_path / "rollouts").completions]
    for epoch in range(4):
        assert len(set(prompts[epoch * 12 : epoch * 12 + 12])) == 3


def test_gold_changes_nothing_but_what_is_written(tmp_path: Path) -> None:
    """The same run measured by another gold ends with the same weights."""

    def inverted(rows: Any, completions: Any) -> Any:
        measured = gold(rows, completions)
        return dataclasses.replace(measured, values=1.0 - measured.values)

    plain, other = run(tmp_path / "a"), run(tmp_path / "b", gold=inverted)
    assert weights(plain) == weights(other)
    assert plain.metrics[-1]["gold"] == pytest.approx(1.0 - other.metrics[-1]["gold"])


def test_a_failed_answer_never_earns_more_than_a_wrong_one(tmp_path: Path) -> None:
    def brittle(completion: str, answer: str) -> float:
        if completion.startswith("say"):
            raise ValueError("no")
        return 1.0 if completion.startswith(answer) else 0.25

    run(tmp_path, reward=as_reward(brittle, low=0.0, high=1.0))
    logged = read_rollouts(tmp_path / "rollouts").completions
    failed = [c.rewards["reward"] for c in logged if c.status == "raised"]
    assert failed
    assert max(failed) <= min(c.rewards["reward"] for c in logged if c.status == "ok")
    for group in {c.group for c in logged}:
        members = [c for c in logged if c.group == group]
        lost = [c.advantage for c in members if c.status == "raised"]
        assert not lost or max(lost) <= min(c.advantage for c in members)


def test_what_is_missing_is_said_before_the_first_step(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="critic"):
        run(tmp_path, credit=GeneralisedAdvantage())
    with pytest.raises(TrainingError, match="at least one"):
        run(tmp_path, held_out=[])
    with pytest.raises(TrainingError, match="group=0"):
        TrainSettings(group=0)
    assert not list(tmp_path.iterdir())


def test_another_run_in_the_directory_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(TrainingError, match="learning_rate"):
        run(tmp_path, dataclasses.replace(SETTINGS, learning_rate=1.0))
    with pytest.raises(TrainingError, match="first weights"):
        run(tmp_path, policy=policy(seed=1))
    with pytest.raises(TrainingError, match="objective"):
        run(tmp_path, objective=PolicyLoss())


def test_a_finished_run_is_not_run_again_and_can_be_extended(tmp_path: Path) -> None:
    first, longer = run(tmp_path), dataclasses.replace(SETTINGS, steps=8)
    again = run(tmp_path)
    assert weights(first) == weights(again)
    assert run(tmp_path, longer).metrics[-1]["step"] == 8
    straight = run(tmp_path.parent / f"{tmp_path.name}-straight", longer)
    assert weights(straight) == weights(run(tmp_path, longer))


class Watch:
    """Stops a run at a step, and counts."""

    def __init__(self, at: int) -> None:
        self.at, self.seen = at, 0

    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {}

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        return {}

    def state_dict(self) -> Mapping[str, Any]:
        return {"seen": self.seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.seen = state["seen"]

    def after_rollouts(self, rollouts: Rollouts, scores: Scores, context: Context) -> Mapping[str, float]:
        self.seen += len(rollouts)
        if context.step == self.at:
            raise StopRun("seen enough")
        return {"seen": float(self.seen)}


def test_a_hook_is_told_and_can_stop_the_run_for_good(tmp_path: Path) -> None:
    found = run(tmp_path, hooks=[Watch(3)])
    assert found.stopped == "seen enough"
    assert found.metrics[-1]["step"] == 3
    assert found.metrics[2]["hook/seen"] == 16.0
    assert "gold" in found.metrics[-1]
    again = run(tmp_path, hooks=[watch := Watch(3)])
    assert (again.stopped, len(again.metrics), watch.seen) == ("seen enough", 4, 24)


def weights(trained: Trained) -> str:
    digest = hashlib.sha256()
    for value in trained.policy.model.state_dict().values():
        digest.update(value.detach().numpy().tobytes())
    return digest.hexdigest()


def test_five_kills_end_in_the_same_bits(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert killed_until_done(cut, 5, steps=100) == killed_until_done(whole, 0, steps=100)
    assert (cut / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    there, here = (read_rollouts(folder / "rollouts").completions for folder in (whole, cut))
    assert here
    assert [dataclasses.replace(one, where="") for one in here] == [dataclasses.replace(one, where="") for one in there]


def test_a_line_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    run(tmp_path)
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text() + '{"step": 7, "gol')
    assert [line["step"] for line in read_metrics(tmp_path)] == list(range(7))
    run(tmp_path, dataclasses.replace(SETTINGS, steps=7))
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == list(range(8))


def test_numbers_in_metrics_are_finite_or_null(tmp_path: Path) -> None:
    run(tmp_path, reward=as_reward(lambda completion: None))
    lines = (tmp_path / "metrics.jsonl").read_text()
    assert "NaN" not in lines
    assert json.loads(lines.splitlines()[1])["train/reward"] is None
    assert np.isfinite(json.loads(lines.splitlines()[1])["update/skipped_updates"])
