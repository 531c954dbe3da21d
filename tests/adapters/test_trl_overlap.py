"""Scoring goes on while the trainer does: shown by who waits for whom, not by a clock."""

from __future__ import annotations

import asyncio
import inspect
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trl
from tests.adapters.trl_trainers import trainer_of
from tests.training.conftest import ROWS, asked_for, reward

from trueward.adapters.trl import as_coroutine
from trueward.adapters.trl.scoring import lane_of
from trueward.batch import Context, Part, Rollouts, Scores
from trueward.credit import GroupRelative
from trueward.objectives.policy_loss import PolicyLoss
from trueward.rewards.base import Reward, as_reward
from trueward.rewards.runner import Runner
from trueward.status import Status

DATA = [{"prompt": row.prompt, "answer": row.answer} for row in ROWS]
EIGHT = [DATA[place // 4] for place in range(8)]
LONG = 20.0  # seconds after which something that never comes is given up


class Waiting(Reward):
    """A model that is not done before something has happened elsewhere."""

    def __init__(self, until: threading.Event) -> None:
        self.until, self.saw, self.threads = until, False, set[str]()

    @property
    def name(self) -> str:
        return "waiting"

    def use(self, runner: Runner) -> bool:
        return False

    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        self.saw = self.until.wait(LONG)
        self.threads.add(threading.current_thread().name)
        return Scores({"waiting": Part(rollouts.mask.sum(axis=1).astype(float), [Status.OK] * len(rollouts))})


def scored(trainer: Any) -> dict[str, Any]:
    trainer.model.train()
    batch: dict[str, Any] = trainer._generate_and_score_completions([dict(row) for row in EIGHT])
    return batch


def test_a_model_scores_while_log_probabilities_are_computed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reward ends only after the reference pass has begun, which would wait for ever if it came afterwards."""
    begun = threading.Event()
    waiting = Waiting(begun)
    trainer = trainer_of(model, waiting, DATA, tmp_path, settings={"beta": 0.1}, credit=GroupRelative())
    plain = trainer._get_per_token_logps_and_entropies

    def passes(*args: Any, **given: Any) -> Any:
        begun.set()
        return plain(*args, **given)

    monkeypatch.setattr(trainer, "_get_per_token_logps_and_entropies", passes)
    scored(trainer)
    assert waiting.saw
    assert all(name.startswith("trueward-reward") for name in waiting.threads)


def test_coroutines_wait_beside_one_another(model: Path, tmp_path: Path) -> None:
    """Two judges that each need the other to have begun."""
    first, second = threading.Event(), threading.Event()

    def judge(mine: threading.Event, other: threading.Event, name: str) -> Any:
        async def ask(completions: list[str], **columns: Any) -> list[float]:
            mine.set()
            met = await asyncio.to_thread(other.wait, LONG)
            return [float(met)] * len(completions)

        ask.__name__ = name
        return ask

    rewards = [judge(first, second, "one"), judge(second, first, "two")]
    trainer = trainer_of(model, rewards, DATA, tmp_path, credit=GroupRelative(), objective=PolicyLoss())
    scored(trainer)
    assert trainer.scored.scores.total().tolist() == [2.0] * 8


def test_plain_functions_stay_on_the_main_thread(model: Path, tmp_path: Path) -> None:
    """As in TRL: one that sets a signal would fail elsewhere, and count every answer wrong."""

    def limited(completion: str, answer: str) -> float:
        before = signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.signal(signal.SIGALRM, before)
        return asked_for(completion, answer)

    def batchwise(completions: Sequence[str], **columns: Any) -> list[float]:
        assert threading.current_thread() is threading.main_thread()
        return [0.0] * len(completions)

    trainer = trainer_of(model, [limited, batchwise], DATA, tmp_path)
    scored(trainer)
    assert {status.value for status in trainer.scored.scores.status} == {"ok"}


def test_who_runs_where() -> None:
    async def ask(completion: str) -> float:
        return 0.0

    class Elsewhere:
        has_deadline = True

        def run(self, *args: Any, **given: Any) -> Any: ...

        def close(self) -> None: ...

    assert lane_of(as_reward(asked_for)) is None
    assert lane_of(Waiting(threading.Event())) == "models"
    assert lane_of(as_reward(ask)) is not None
    assert lane_of(as_reward(ask)) != "models"
    served = as_reward("tests.training.conftest:asked_for")
    assert lane_of(served) is None
    runner: Any = Elsewhere()
    assert served.use(runner)
    assert lane_of(served) == id(runner)
    assert lane_of(as_reward("https://localhost:9/score")) not in (None, "models")


def test_a_coroutine_for_trls_own_trainer(model: Path, tmp_path: Path) -> None:
    """The name and the scores stay; two of them wait beside one another there too."""
    made = as_coroutine(reward())
    assert inspect.iscoroutinefunction(made)
    assert made.__name__ == "asked_for"
    begun, waiting = threading.Event(), threading.Event()

    def first(completion: str, answer: str) -> float:
        begun.set()
        return asked_for(completion, answer) + float(waiting.wait(LONG))

    def second(completion: str) -> float:
        waiting.set()
        return float(begun.wait(LONG))

    trainer = trainer_of(
        model, [as_coroutine(first), as_coroutine(second)], DATA, tmp_path, kind=trl.GRPOTrainer,
        settings={"max_steps": 1},
    )  # fmt: skip
    trainer.train()
    told = trainer.state.log_history[0]
    assert told["rewards/second/mean"] == 1.0
    assert 1.0 <= told["rewards/first/mean"] <= 2.0
