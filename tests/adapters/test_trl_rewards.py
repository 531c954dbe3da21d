"""Rewards inside TRL's trainer: what they are handed, what becomes of what they return, and what is logged."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from tests.adapters.trl_trainers import trainer_of
from tests.training.conftest import ROWS, asked_for, reward

from trueward.adapters.trl.reward_functions import environment_reward
from trueward.audit.monitor.logged_steps import paid_of
from trueward.batch import Context, Rollouts, Text
from trueward.credit import GroupRelative
from trueward.errors import RewardError, TrainingError
from trueward.rewards.base import Sum, as_reward
from trueward.rewards.runner import WorkerPool
from trueward.rewards.transforms import centre
from trueward.tasks.text.rollout_formats import read_rollouts

DATA = [{"prompt": row.prompt, "answer": row.answer, "number": place} for place, row in enumerate(ROWS)]
EIGHT = [DATA[place // 4] for place in range(8)]


def scored(trainer: Any, rows: Sequence[dict[str, Any]] = EIGHT) -> dict[str, Any]:
    trainer.model.train()
    batch: dict[str, Any] = trainer._generate_and_score_completions([dict(row) for row in rows])
    return batch


def by_place(values: Sequence[float | None]) -> Any:
    """A function of TRL's convention that returns fixed scores, whatever it is asked."""

    def fixed(completions: list[str], **columns: Any) -> list[float | None]:
        return list(values)

    return fixed


def test_a_function_gets_what_trl_hands_to_it(model: Path, tmp_path: Path) -> None:
    seen: dict[str, Any] = {}

    def noting(
        prompts: list[str], completions: list[str], completion_ids: list[list[int]], answer: list[str],
        trainer_state: Any, log_metric: Any, log_extra: Any,
    ) -> list[float]:  # fmt: skip
        seen.update(prompts=prompts, completions=completions, ids=completion_ids, answer=answer, state=trainer_state)
        log_metric("words", 7.0)
        log_extra("first", [text[:1] for text in completions])
        return [float(place) for place in range(len(completions))]

    trainer = trainer_of(model, noting, DATA, tmp_path)
    batch = scored(trainer)
    assert seen["prompts"] == [row["prompt"] for row in EIGHT]
    assert seen["answer"] == [row["answer"] for row in EIGHT]
    assert seen["state"] is trainer.state
    lengths = batch["completion_mask"].sum(dim=1).tolist()
    assert [len(ids) for ids in seen["ids"]] == lengths
    assert seen["completions"] == trainer.processing_class.batch_decode(seen["ids"], skip_special_tokens=True)
    assert trainer._metrics["train"]["words"] == [7.0]
    assert list(trainer._logs["extra"]["first"]) == [text[:1] for text in seen["completions"]]
    assert trainer.scored.scores.total().tolist() == list(range(8))


def test_every_convention_gives_the_same(model: Path, tmp_path: Path) -> None:
    def batchwise(completions: list[str], answer: list[str], **columns: Any) -> list[float]:
        return [asked_for(text, right) for text, right in zip(completions, answer, strict=True)]

    totals = []
    for given in (reward(), [asked_for], batchwise, "tests.training.conftest:asked_for"):
        trainer = trainer_of(model, given, DATA, tmp_path)
        scored(trainer)
        totals.append(trainer.scored.scores.total())
    for total in totals[1:]:
        assert total == pytest.approx(totals[0])


def test_a_reward_in_workers(model: Path, tmp_path: Path) -> None:
    """It is scored in another process, and an answer over the limit earns the lowest reward instead of hanging."""
    (tmp_path / "rules.py").write_text(
        "import os, time\n"
        "def says(completion, number):\n"
        "    if number == 1:\n"
        "        time.sleep(60)\n"
        "    return os.getpid()\n"
    )
    made = as_reward(f"{tmp_path / 'rules.py'}:says", low=-1.0)
    with WorkerPool(workers=1, deadline=0.5) as pool:
        assert made.use(pool)
        trainer = trainer_of(model, made, DATA, tmp_path, settings={"num_generations": 2})
        scored(trainer, [DATA[0], DATA[0], DATA[1], DATA[1], DATA[0], DATA[0], DATA[2], DATA[2]])
    scores = trainer.scored.scores
    assert [status.value for status in scores.status] == [*["ok"] * 2, *["timed out"] * 2, *["ok"] * 4]
    assert os.getpid() not in scores.total()
    assert scores.total()[2:4].tolist() == [-1.0, -1.0]


def test_a_list_is_a_weighted_sum_of_visible_parts(model: Path, tmp_path: Path) -> None:
    first, second = by_place([0, 1, 2, 3, 4, 5, 6, 7]), by_place([1, 0, 0, 0, 0, 0, 0, 1])
    second.__name__ = "second"
    trainer = trainer_of(model, [first, second], DATA, tmp_path, settings={"reward_weights": [2.0, -1.0]})
    scored(trainer)
    assert isinstance(trainer.reward, Sum)
    assert trainer.scored.scores.total().tolist() == [-1, 2, 4, 6, 8, 10, 12, 13]
    assert trainer.args.reward_weights == [2.0, -1.0]
    told = trainer._metrics["train"]
    assert told["rewards/fixed/mean"] == [3.5]
    assert told["rewards/second/mean"] == [0.25]
    assert told["rewards/second/std"] == pytest.approx([np.std([1, 0, 0, 0, 0, 0, 0, 1], ddof=1)])
    assert told["reward"] == pytest.approx([54 / 8])
    assert told["status/ok"] == [1.0]
    with pytest.raises(TrainingError, match="one each"):
        trainer_of(model, [first, second], DATA, tmp_path, settings={"reward_weights": [1.0]})


@pytest.mark.parametrize("credit", [None, GroupRelative("leave_one_out"), GroupRelative(separately=True)])
def test_a_part_without_a_value_is_no_zero(credit: Any, model: Path, tmp_path: Path) -> None:
    """Row 2 lacks one part of two: it has no reward, no advantage, and the others are compared without it."""
    first, second = by_place([1, 0, 1, 1, 0, 0, 1, 0]), by_place([0.5, 0.5, None, 0, 0, 0, 0, 0])
    second.__name__ = "second"
    trainer = trainer_of(model, [first, second], DATA, tmp_path, credit=credit)
    advantages = scored(trainer)["advantages"].tolist()
    assert advantages[2] == 0.0
    # 1.5, 0.5, 1.0 remain; a silent zero for row 2 would make them 1.5, 0.5, 1.0, 1.0.
    if credit is None:
        assert advantages[:4] == pytest.approx([0.5 / 0.5001, -0.5 / 0.5001, 0.0, 0.0], abs=1e-5)
    elif not credit.separately:
        assert advantages[:4] == pytest.approx([0.75, -0.75, 0.0, 0.0])
    assert sum(advantages[:4]) == pytest.approx(0.0, abs=1e-5)
    told = trainer._metrics["train"]
    assert told["rewards/unscored"] == [0.125]
    assert told["status/abstained"] == [0.125]
    assert told["status/ok"] == [0.875]
    assert math.isclose(told["rewards/second/mean"][0], 1.0 / 7)
    assert list(trainer._logs["extra"]["status of second"])[2] == "abstained"


@pytest.mark.parametrize("returned", [1.0, [1.0], [0.0] * 9])
def test_not_one_score_per_completion_is_an_error_that_names_the_function(
    returned: Any, model: Path, tmp_path: Path
) -> None:
    def broken(completions: list[str], **columns: Any) -> Any:
        return returned if len(completions) > 1 or returned == 1.0 else [*[0.0] * 9]

    with pytest.raises(RewardError, match=r"'broken'.*one score for each"):
        scored(trainer_of(model, broken, DATA, tmp_path))


def test_a_reward_that_fails_on_everything_is_broken(model: Path, tmp_path: Path) -> None:
    def broken(completion: str, answer: str) -> float:
        raise KeyError("nowhere")

    with pytest.raises(RewardError, match=r"none of the first 8.*broken: raised .*nowhere"):
        scored(trainer_of(model, broken, DATA, tmp_path))


def test_networks_are_refused(model: Path, tmp_path: Path) -> None:
    import torch

    with pytest.raises(TrainingError, match="hf:NAME"):
        trainer_of(model, torch.nn.Linear(1, 1), DATA, tmp_path)


def test_messages_are_handed_on_as_messages(model: Path, tmp_path: Path) -> None:
    seen: list[Any] = []

    def noting(prompts: list[Any], completions: list[Any], **columns: Any) -> list[float]:
        seen.append((prompts, completions))
        return [float("red" in one[0]["content"]) for one in completions]

    chat = [{"prompt": [{"role": "user", "content": row["prompt"]}], "answer": row["answer"]} for row in DATA]
    trainer = trainer_of(model, [noting, asked_for], chat, tmp_path)
    trainer.processing_class.chat_template = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
    scored(trainer, [chat[place // 4] for place in range(8)])
    [(prompts, completions)] = seen
    assert prompts[0] == chat[0]["prompt"]
    assert [one["role"] for one in completions[0]] == ["assistant"]
    content = trainer.scored.rollouts.content
    assert isinstance(content, Text)
    assert list(content.completions) == completions
    texts = [one[0]["content"] for one in completions]
    by_hand = [asked_for(text, row["answer"]) for text, row in zip(texts, EIGHT, strict=True)]
    assert trainer.scored.scores.parts["asked_for"].values.tolist() == by_hand


def test_the_table_of_completions_has_parts_and_statuses(model: Path, tmp_path: Path) -> None:
    """It is written by TRL, read by us, and the advantage in it is the one that was learnt from."""
    abstains = by_place([0.5, None, 0, 1, 0, 1, 1, 0])
    trainer = trainer_of(
        model, [asked_for, abstains], DATA, tmp_path, settings={"log_completions": True}, credit=GroupRelative()
    )
    trainer.train()
    logged = read_rollouts(tmp_path / "completions").completions
    assert len(logged) == 16
    assert {name for one in logged for name in one.rewards} == {"reward", "reward/asked_for", "reward/fixed"}
    parts = np.array([[one.rewards[name] for name in ("reward/asked_for", "reward/fixed")] for one in logged], float)
    totals = np.array([one.rewards["reward"] for one in logged], float)
    assert totals == pytest.approx(parts.sum(axis=1), nan_ok=True)
    assert np.isnan(parts).sum(axis=0).tolist() == [0, 2]
    last = list(trainer._logs["advantages"])
    assert [one.advantage for one in logged if one.step == 2] == pytest.approx(last)
    assert last[1] == 0.0
    table = pandas.read_parquet(sorted((tmp_path / "completions").iterdir())[0])
    assert table["status"].tolist() == ["ok", "abstained", *["ok"] * 6]
    assert table["status of asked_for"].tolist() == ["ok"] * 8
    paid = paid_of(["reward", "reward/asked_for", "reward/fixed"], logged, None, "the run")
    assert paid.column == "reward"
    assert paid.weights == pytest.approx({"reward/asked_for": 1.0, "reward/fixed": 1.0})


def test_transforms_see_the_whole_batch(model: Path, tmp_path: Path) -> None:
    def noted(completion: str, value: float) -> float:
        return value

    trainer = trainer_of(model, as_reward(noted).transform(centre()), DATA, tmp_path)
    scored(trainer, [{**row, "value": value} for row, value in zip(EIGHT, [1, 0, 0, 0, 1, 1, 1, 0], strict=True)])
    expected = [0.75, -0.25, -0.25, -0.25, 0.25, 0.25, 0.25, -0.75]
    assert trainer.scored.scores.total() == pytest.approx(expected)
    assert trainer.scored.scores.parts["noted (raw)"].weight == 0.0
    assert trainer._metrics["train"]["rewards/noted (raw)/mean"] == [0.5]


def test_environments_speak_for_their_own_rollouts() -> None:
    """Each of TRL's functions knows one kind of environment; together they are one reward."""
    maze, cave = object(), object()

    def of_mazes(environments: list[Any]) -> list[float | None]:
        return [1.0 if one is maze else None for one in environments]

    async def of_caves(environments: list[Any]) -> list[float | None]:
        return [0.25 if one is cave else None for one in environments]

    made = environment_reward([of_mazes, of_caves], ["Maze", "Cave"])
    rollouts = Rollouts(
        Text(["a", "b", "c"], ["x", "y", "z"]), reference=[{"environments": one} for one in (maze, cave, None)]
    )
    part = made.score(rollouts, Context()).parts["Maze or Cave"]
    assert part.values[:2].tolist() == [1.0, 0.25]
    assert [status.value for status in part.status] == ["ok", "ok", "abstained"]
