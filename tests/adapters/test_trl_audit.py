"""A watch over real runs of TRL: it alarms where the reward is hacked, and is silent where it is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trl
from examples import train_trl
from examples.train_trl import WORDS, exactly, mentions
from tests.adapters.trl_trainers import trainer_of

from trueward.adapters.trl import AuditCallback
from trueward.credit import GroupRelative
from trueward.errors import TrainingError
from trueward.objectives.policy_loss import PolicyLoss
from trueward.rewards.base import as_reward
from trueward.rewards.transforms import standardise
from trueward.tasks.text.rollout_formats import read_rollouts

DATA = [{"prompt": f"say {word} :", "answer": word} for word in WORDS]
HACKED: dict[str, Any] = {
    "max_steps": 20,
    "num_generations": 8,
    "per_device_train_batch_size": 64,
    "learning_rate": 1e-3,
    "lr_scheduler_type": "constant_with_warmup",
    "warmup_steps": 20,
    "seed": 1,
}


@pytest.fixture(scope="module")
def obedient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The policy of the example: it mostly says the word, and now and then twice."""
    folder = tmp_path_factory.mktemp("obedient")
    train_trl.obedient().save(folder)
    return folder


def watched(model: Path, paid: Any, directory: Path, audit: AuditCallback, **settings: Any) -> Any:
    trainer = trainer_of(
        model, paid, DATA, directory, settings={**HACKED, **settings}, credit=GroupRelative(), objective=PolicyLoss(),
        callbacks=[audit],
    )  # fmt: skip
    return trainer


@pytest.mark.parametrize("honest", [False, True], ids=["hacked", "honest"])
def test_twenty_steps_with_a_planted_hack_and_without(honest: bool, tmp_path: Path) -> None:
    """The example, which differs between the two in the reward alone."""
    trainer = train_trl.main(tmp_path, honest)
    [audit] = [one for one in trainer.callback_handler.callbacks if isinstance(one, AuditCallback)]
    told = [line for line in trainer.state.log_history if "reward" in line]
    name = (exactly if honest else mentions).__name__
    assert len(told) == 20
    logged = {
        f"rewards/{name}/mean",
        "status/ok",
        "monitor/probe/gold",
        "monitor/probe/checked",
        f"monitor/part/{name}",
    }
    assert all(logged <= line.keys() for line in told)
    alarms = [notice for notice in audit.notices if notice.kind == "alarm"]
    assert len(alarms) == int(not honest)
    gold = [line["monitor/probe/gold"] for line in told]
    assert told[-1]["reward"] > told[0]["reward"]
    assert gold[-1] > 0.9 if honest else gold[-1] < 0.5
    lines = monitored(tmp_path)
    assert [line["step"] for line in lines] == list(range(1, 21))
    assert all({f"part/{name}", "probe/gold"} <= line["metrics"].keys() for line in lines)
    said = [notice for line in lines for notice in line["notices"] if notice["kind"] == "alarm"]
    assert [notice["step"] for notice in said] == [notice.step for notice in alarms]
    for notice in said:
        assert any(one["gold"] == 0.0 and one["completion"].split().count(one["prompt"].split()[1]) > 1
                   for one in notice["examples"])  # fmt: skip
    completions = read_rollouts(tmp_path / "completions").completions
    assert {one.step for one in completions} >= {1, 10, 20}
    assert all(name in one.rewards for one in completions)


def monitored(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "monitor.jsonl").read_text().splitlines()]


def test_an_alarm_ends_the_run_where_it_may(obedient: Path, tmp_path: Path) -> None:
    audit = AuditCallback(gold=exactly, budget=8, detectors=(), stop_on_alarm=True)
    trainer = watched(obedient, mentions, tmp_path, audit)
    trainer.train()
    [alarm] = [notice for notice in audit.notices if notice.kind == "alarm"]
    assert trainer.state.global_step == alarm.step < 20
    assert "alarm" in audit.stopped


def test_a_run_that_goes_on_is_watched_as_if_it_had_not_stopped(obedient: Path, tmp_path: Path) -> None:
    """Watched for 14 steps, cut off, and gone on from the checkpoint of step 12 by another trainer."""
    settings = {"save_strategy": "steps", "save_steps": 12}

    def audit() -> AuditCallback:
        return AuditCallback(gold=exactly, budget=8, detectors=())

    first = audit()
    watched(obedient, mentions, tmp_path, first, **settings, max_steps=14).train()
    before = monitored(tmp_path)
    assert len(before) == 14
    second = audit()
    trainer = watched(obedient, mentions, tmp_path, second, **settings, max_steps=16)
    trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-12"))
    lines = monitored(tmp_path)
    assert [line["step"] for line in lines] == list(range(1, 17))
    assert lines[:12] == before[:12]
    # What it knows of the window is kept: without it there would be no reference before step 22.
    assert lines[12]["metrics"]["probe/reference"] == before[12]["metrics"]["probe/reference"]
    assert lines[12]["metrics"]["probe/checked"] > before[11]["metrics"]["probe/checked"]
    early = [notice for notice in first.notices if notice.step <= 12]
    assert [notice.step for notice in second.notices][: len(early)] == [notice.step for notice in early]
    trainer.add_callback(audit())
    with pytest.raises(TrainingError, match=r"1 audits.*has 2"):
        trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-12"))


def test_running_statistics_of_the_reward_go_on(obedient: Path, tmp_path: Path) -> None:
    settings = {"save_strategy": "steps", "save_steps": 1, "max_steps": 1}
    paid = [as_reward(mentions).transform(standardise()) for _ in range(2)]
    kept = watched(obedient, paid[0], tmp_path, AuditCallback(detectors=()), **settings)
    kept.train()
    assert paid[0].state_dict() != paid[1].state_dict()
    again = watched(obedient, paid[1], tmp_path, AuditCallback(detectors=()), **settings)
    again.train(resume_from_checkpoint=True)
    assert paid[0].state_dict() == paid[1].state_dict()


def test_trls_own_trainer_shows_no_rollouts(obedient: Path, tmp_path: Path) -> None:
    trainer = trainer_of(
        obedient, exactly, DATA, tmp_path, kind=trl.GRPOTrainer, callbacks=[AuditCallback(gold=exactly)]
    )
    with pytest.raises(TrainingError, match="use TruewardGRPOTrainer"):
        trainer.train()


def test_evaluations_are_not_watched_and_steps_are_counted_once(obedient: Path, tmp_path: Path) -> None:
    """Two batches of rollouts for each update: each has a number of its own."""
    audit = AuditCallback(gold=exactly, detectors=())
    settings = {
        "max_steps": 2, "per_device_train_batch_size": 16, "gradient_accumulation_steps": 2, "steps_per_generation": 1,
    }  # fmt: skip
    trainer = watched(obedient, exactly, tmp_path, audit, **settings)
    trainer.train()
    assert [line["step"] for line in monitored(tmp_path)] == [1, 2, 3, 4]
    trainer.model.eval()
    trainer._generate_and_score_completions([dict(DATA[place // 8]) for place in range(16)])
    assert len(monitored(tmp_path)) == 4


def test_entropy_is_told_where_log_probabilities_are_known(obedient: Path, tmp_path: Path) -> None:
    """TRL computes them where a batch is learnt from twice; no pass is made for the watch."""
    for iterations in (1, 2):
        settings = {"max_steps": 2, "num_iterations": iterations}
        watched(obedient, exactly, tmp_path / str(iterations), AuditCallback(detectors=()), **settings).train()
        line = monitored(tmp_path / str(iterations))[0]["metrics"]
        assert ("entropy" in line) == (iterations == 2)
        assert line.get("entropy", 0.5) > 0.0
