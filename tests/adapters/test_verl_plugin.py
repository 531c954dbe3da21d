"""The parts of the adapter for verl that need no verl."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from trueward.adapters.verl.after_import import after_import
from trueward.adapters.verl.estimators import ESTIMATORS, chosen, estimator, from_token_rewards, segments_in
from trueward.adapters.verl.recorded import Recorder, replay
from trueward.adapters.verl.registered import check_registered
from trueward.adapters.verl.settings import refuse_unknown, section
from trueward.batch import Context, Part, Rollouts, Scores, Text
from trueward.credit import GroupRelative
from trueward.errors import MissingExtra, TrainingError
from trueward.rewards.base import Reward
from trueward.rewards.runner import Runner
from trueward.rewards.transforms import centre
from trueward.status import Status


def test_the_entry_point_is_light() -> None:
    """It runs in every process that imports verl, and must be able to fail at nothing."""
    code = (
        "import sys, trueward.adapters.verl.plugin; "
        "print([name for name in ('numpy', 'torch', 'verl', 'ray', 'trueward.batch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_follows_an_import_and_raises_where_it_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "late_one.py").write_text("value = 7\n")
    (tmp_path / "late_two.py").write_text("value = 8\n")
    monkeypatch.syspath_prepend(tmp_path)
    seen: list[int] = []

    def read() -> None:
        seen.append(sys.modules["late_one"].value)

    def fail() -> None:
        raise RuntimeError("not registered")

    after_import("late_one", read)
    assert seen == []
    late_one = __import__("late_one")
    assert seen == [7] and type(late_one.__loader__).__name__ == "SourceFileLoader"
    after_import("late_one", read)
    assert seen == [7, 7]
    after_import("late_two", fail)
    with pytest.raises(RuntimeError, match="not registered"):
        __import__("late_two")
    assert not [finder for finder in sys.meta_path if getattr(finder, "name", "").startswith("late_")]


@pytest.mark.skipif(find_spec("verl") is not None, reason="verl is installed here, so nothing is missing")
def test_without_verl_the_check_names_what_to_install() -> None:
    with pytest.raises(MissingExtra, match="pip install 'verl"):
        check_registered()


def test_settings_are_used_or_refused() -> None:
    assert section(None) == {} and section({"trueward": {"p": 0.5}}) == {"p": 0.5}
    with pytest.raises(TrainingError, match="must be a section"):
        section({"trueward": 3})
    with pytest.raises(TrainingError, match="has no setting b; it knows a, c"):
        refuse_unknown(["a", "b"], iter(["c", "a"]), "it")
    settings = {"trueward": {"fraction": 0.5, "epsilon": 0.1, "response_length": 9}}
    credit, transform, reading = chosen("trueward_grpo_lambda", ESTIMATORS["trueward_grpo_lambda"], settings)
    assert isinstance(credit, GroupRelative) and credit.epsilon == 0.1
    assert transform is not None and transform.fraction == 0.5  # type: ignore[attr-defined]
    assert reading == {"response_length": 9}
    with pytest.raises(TrainingError, match="under trueward_thr has no setting epsilon, fraction; it knows beta"):
        chosen("trueward_thr", ESTIMATORS["trueward_thr"], settings)


def test_segments_end_where_a_reward_stands_or_where_the_policy_was_interrupted() -> None:
    mask = np.array([[1, 1, 0, 1, 1, 0]], dtype=bool)
    rewards = np.array([[0.0, 0.0, 0.0, 2.0, 0.0, 0.0]])
    assert segments_in(rewards, mask, "rewards").tolist() == [[0, 0, -1, 0, 1, -1]]
    assert segments_in(rewards, mask, "turns").tolist() == [[0, 0, -1, 1, 1, -1]]
    with pytest.raises(TrainingError, match="choose rewards or turns"):
        segments_in(rewards, mask, "lines")


def test_a_reward_that_is_no_number_is_a_row_without_reward() -> None:
    rewards = np.array([[0.0, 1.0], [np.nan, 0.0], [0.0, 0.0]])
    (part,) = from_token_rewards(rewards).parts.values()
    assert part.values[[0, 2]].tolist() == [1.0, 0.0] and part.status[1] is Status.UNAVAILABLE
    assert (part.low, part.high) == (0.0, 1.0)
    (half,) = from_token_rewards(rewards / 2).parts.values()
    assert half.low is None
    (steps,) = from_token_rewards(rewards, np.array([[0, 1], [0, 0], [0, -1]])).parts.values()
    assert steps.values[0].tolist() == [0.0, 1.0] and steps.exists is not None
    assert steps.exists.tolist() == [[True, True], [True, False], [True, False]]


def test_an_estimator_of_ones_own() -> None:
    """The generic function, on plain tensors."""
    import torch

    mine = estimator(GroupRelative("centre"))
    rewards, mask = torch.tensor([[0.0, 3.0], [1.0, 0.0]]), torch.tensor([[1, 1], [1, 0]])
    advantages, returns = mine(rewards, mask, index=["a", "a"], config={})
    assert advantages.tolist() == [[1.0, 1.0], [-1.0, 0.0]] and torch.equal(advantages, returns)


class Steps(Reward):
    """Parts of two levels; the second row has none."""

    name = "steps"  # type: ignore[assignment]

    def use(self, runner: Runner) -> bool:
        return False

    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        numbers = [row["steps"] for row in rollouts.reference]
        width = max(map(len, numbers))
        exists = np.array([[place < len(row) for place in range(width)] for row in numbers], dtype=bool)
        values = np.array([[*row, *[0.0] * width][:width] for row in numbers], dtype=float)
        status = [Status.OK if row else Status.UNPARSABLE for row in numbers]
        totals = np.array([sum(row) if row else np.nan for row in numbers])
        return Scores(
            {
                "fine": Part(values, status, "segment", weight=0.5, exists=exists),
                "whole": Part(totals, status, low=-1.0, high=9.0, details=["", "empty", ""][: len(status)]),
            }
        )


def rollouts(rows: list[list[float]]) -> Rollouts:
    text = Text([""] * len(rows), [""] * len(rows))
    return Rollouts(text, group=np.zeros(len(rows), int), reference=[{"steps": row} for row in rows])


def test_parts_travel_row_by_row_and_transforms_see_the_batch() -> None:
    """Row by row through text and back is the same as the whole batch at once."""
    rows = [[1.0, 2.0, 0.5], [], [4.0]]
    reward = Steps().transform(centre()) + 0.25 * Steps()
    texts = []
    for row in rows:
        recorder = Recorder(reward)
        recorder.reward.score(rollouts([row]), Context())
        texts += recorder.texts()
    found = replay(reward, texts, rollouts(rows), Context())
    expected = reward.score(rollouts(rows), Context())
    assert list(found.parts) == list(expected.parts)
    for name, part in expected.parts.items():
        assert found.parts[name].filled() == pytest.approx(part.filled(), nan_ok=True), name
        assert list(found.parts[name].status) == list(part.status)
    lost = replay(reward, [texts[0], texts[1], None], rollouts(rows), Context())
    assert np.isnan(lost.total()).tolist() == [False, False, True]
    with pytest.raises(TrainingError, match="has more"):
        replay(reward + Steps(), texts, rollouts(rows), Context())
