"""A known-right and a known-wrong answer, scored where the reward will run, before training starts.

A reward can be silently 0 in a worker although it is right in a notebook: a package that is missing there, a limit that
works on the main thread only. A run that starts all the same learns nothing for days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trueward.adapters.verl.settings import refuse_unknown
from trueward.audit.calibration import calibrate
from trueward.audit.probes.base import Surroundings
from trueward.audit.subjects import subject_of
from trueward.errors import AuditError, DataError, TrainingError
from trueward.rewards.base import Reward
from trueward.rewards.runner.combined import Combined
from trueward.rewards.runner.types import Item, Runner
from trueward.tasks.text.rows import Row

_ROWS = 4
_GIVE = (
    "Give one known case with +reward.trueward.self_test.right='…' +reward.trueward.self_test.wrong='…' and, where the "
    "reward reads columns, +reward.trueward.self_test.columns='{ground_truth: …}'; or, where no answer is better than "
    "another, +reward.trueward.self_test=false"
)
_CASE = frozenset({"right", "wrong", "prompt", "columns"})


def self_test(reward: Reward, runner: Runner, case: bool | Mapping[str, Any], files: Sequence[str]) -> None:
    """Refuse to start with a reward that cannot tell right from wrong here.

    Args:
        reward: as it will be asked.
        runner: where its leaves run; they stay there.
        case: a known case; True for the first rows of the data, in the formats in which answers are usually given;
            False for no test.
        files: the training data.

    Raises:
        TrainingError: the reward does not tell them apart, or there is nothing to test it with.
    """
    running = Combined(reward, runner)
    if case is False:
        return
    if isinstance(case, Mapping):
        _known(reward, running, case)
        return
    rows = _first_rows(files)
    try:
        scoring = subject_of(reward, rows).scoring(running)
        found = calibrate(rows, Surroundings(rows), scoring, ("text",))
    except AuditError as error:
        raise TrainingError(f"self-test of {reward.name}: {error} {_GIVE}") from error
    if not found.reads_answer:
        raise TrainingError(
            f"self-test of {reward.name}: in none of the usual formats does it score the references of {len(rows)} "
            f"rows of {files[0]} above wrong answers. It may be broken in this process, or want a format of its own. "
            f"{_GIVE}"
        )


def _known(reward: Reward, running: Runner, case: Mapping[str, Any]) -> None:
    refuse_unknown(case, _CASE, "reward.trueward.self_test")
    if "right" not in case or "wrong" not in case:
        raise TrainingError(f"reward.trueward.self_test={dict(case)} lacks right or wrong. {_GIVE}")
    columns = dict(case.get("columns") or {})
    items = [Item(case.get("prompt", ""), str(case[kind]), columns) for kind in ("right", "wrong")]
    (right,), (wrong,) = running.run(reward.name, [[item] for item in items])
    if right.value is None or (wrong.value is not None and right.value <= wrong.value):
        raise TrainingError(
            f"self-test of {reward.name}: the answer that is known to be right got {right.value} ({right.status.value}"
            f"{': ' + right.detail if right.detail else ''}), the wrong one {wrong.value} ({wrong.status.value}). The "
            "reward is broken in this process, or the case is not what it reads"
        )


def _first_rows(files: Sequence[str]) -> tuple[Row, ...]:
    from trueward.tasks.text.data import load_rows

    for file in files:
        try:
            return load_rows(file, limit=_ROWS).rows
        except (DataError, OSError) as error:
            raise TrainingError(f"self-test: {file} cannot be read here: {error}. {_GIVE}") from error
    raise TrainingError(f"self-test: data.train_files names no file. {_GIVE}")
