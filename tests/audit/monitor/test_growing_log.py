"""A log that grows: every completion once, every step once, and nothing before it is whole."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from trueward.audit.monitor import growing_log
from trueward.audit.monitor.growing_log import GrowingLines, GrowingLog, log_folder, require_there, run_folder
from trueward.errors import DataError
from trueward.tasks.text.rollout_formats import read_rollouts, write_rollouts
from trueward.tasks.text.rollouts import LoggedCompletion

DATA = Path(__file__).resolve().parents[2] / "data" / "rollouts"


def verl_lines(step: int, count: int = 2, **more: Any) -> str:
    rows = ({"input": f"q{i}", "output": f"a{step}.{i}", "score": 1.0, "step": step, **more} for i in range(count))
    return "".join(json.dumps(row) + "\n" for row in rows)


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def look(log: GrowingLog, *, final: bool = False) -> list[tuple[int, list[LoggedCompletion]]]:
    return [step for batch in log.look(final=final) for step in batch]


def numbers(found: list[tuple[int, list[LoggedCompletion]]]) -> list[tuple[int, int]]:
    """(step, how many completions) of what was handed on."""
    return [(step, len(completions)) for step, completions in found]


def own(path: Path, *steps: int, count: int = 2) -> None:
    write_rollouts(
        path,
        [LoggedCompletion(step, "q", f"a{step}.{i}", rewards={"reward": 1.0}) for step in steps for i in range(count)],
    )


@pytest.mark.parametrize("name", ["trl_text", "trl_chat", "verl"])
def test_looking_once_hands_on_what_reading_the_whole_log_gives(name: str) -> None:
    found = look(GrowingLog(DATA / name), final=True)
    read = read_rollouts(DATA / name)
    assert [completion for _, completions in found for completion in completions] == list(read.completions)
    assert [step for step, _ in found] == sorted({completion.step for completion in read.completions})


@pytest.mark.parametrize("name", ["trl_text/completions", "trl_chat/completions", "verl"])
def test_looking_after_every_file_gives_the_same_as_once(name: str, tmp_path: Path) -> None:
    """TRL's repeat of a batch too, whose first appearance was read at an earlier look."""
    log, seen = GrowingLog(tmp_path), []
    for file in sorted((DATA / name).iterdir()):
        shutil.copy(file, tmp_path)
        seen += look(log)
    seen += look(log, final=True)
    once = GrowingLog(DATA / name)
    whole = look(once, final=True)
    assert [(step, [one.text for one in found]) for step, found in seen] == [
        (step, [one.text for one in found]) for step, found in whole
    ]
    assert log.remarks == once.remarks
    assert bool(log.remarks) == name.startswith("trl_text")


def test_a_step_waits_until_a_later_one_or_a_look_without_news(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(verl_lines(1) + verl_lines(2, 1))
    log = GrowingLog(path)
    assert numbers(look(log)) == [(1, 2)]
    append(path, verl_lines(2, 1))
    assert look(log) == []
    append(path, verl_lines(3, 1)[:20])  # half a line
    assert numbers(look(log)) == [(2, 2)]  # nothing whole was new
    append(path, verl_lines(3, 1)[20:])
    assert look(log) == []
    assert numbers(look(log)) == [(3, 1)]
    assert look(log) == []
    assert log.completions == 5


def test_a_last_line_without_its_end_counts_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "1.jsonl"
    path.write_text(verl_lines(1).rstrip("\n"))
    log = GrowingLog(tmp_path)
    look(log)
    assert numbers(look(log)) == [(1, 2)]
    append(path, "\n" + verl_lines(2, 1))
    assert look(log) == [] and numbers(look(log)) == [(2, 1)]


def test_nothing_is_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jsonl").write_text(verl_lines(1) * 50)
    read = []
    parse = growing_log.records_of_lines

    def counted(raw: bytes, path: Path, first: int, offset: int) -> list[Any]:
        read.append((len(raw), first, offset))
        return parse(raw, path, first, offset)

    monkeypatch.setattr(growing_log, "records_of_lines", counted)
    lines = GrowingLines(tmp_path / "a.jsonl")
    size = (tmp_path / "a.jsonl").stat().st_size
    assert len(lines.read()[0]) == 100
    append(tmp_path / "a.jsonl", verl_lines(2, 1))
    [record], anew = lines.read()
    assert record.where.endswith("a.jsonl:101") and not anew
    assert [(first, offset) for _, first, offset in read] == [(1, 0), (101, size)]
    assert read[1][0] < 100

    opened = []
    whole = growing_log.read_files
    monkeypatch.setattr(growing_log, "read_files", lambda path: opened.append(path.name) or whole(path))
    folder = tmp_path / "rollouts"
    folder.mkdir()
    log = GrowingLog(folder)
    own(folder / "steps-000001-000002.parquet", 1, 2)
    assert numbers(look(log)) == [(1, 2), (2, 2)]
    own(folder / "steps-000003-000003.parquet", 3)
    assert numbers(look(log)) == [(3, 2)]
    assert look(log) == []
    assert opened == ["steps-000001-000002.parquet", "steps-000003-000003.parquet"]


def test_a_file_that_began_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n')
    lines = GrowingLines(path)
    assert len(lines.read()[0]) == 2
    path.write_text('{"step": 1}\n{"step": 5}\n{"step": 6}\n')  # longer than what was read
    records, anew = lines.read()
    assert anew and [record.values["step"] for record in records] == [1, 5, 6]
    path.write_text('{"step": 7}\n')
    records, anew = lines.read()
    assert anew and [record.values["step"] for record in records] == [7]
    assert lines.read() == ([], False)


def test_a_parquet_file_without_its_end_waits(tmp_path: Path) -> None:
    own(tmp_path / "whole.parquet", 1)
    raw = (tmp_path / "whole.parquet").read_bytes()
    folder = tmp_path / "rollouts"
    folder.mkdir()
    for part in (b"", b"PAR1", raw[:-5]):
        (folder / "steps.parquet").write_bytes(part)
        assert look(GrowingLog(folder), final=True) == []
    (folder / "steps.parquet").write_bytes(raw)
    assert numbers(look(GrowingLog(folder))) == [(1, 2)]


def test_steps_that_come_again_are_not_handed_on_twice(tmp_path: Path) -> None:
    own(tmp_path / "steps-1-4.parquet", 1, 2, 3, 4)
    log = GrowingLog(tmp_path)
    assert numbers(look(log)) == [(step, 2) for step in (1, 2, 3, 4)]
    assert log.remarks == []
    own(tmp_path / "steps-3-5.parquet", 3, 4, 5, count=3)  # resumed from step 2
    assert numbers(look(log)) == [(5, 3)]
    [remark] = log.remarks
    assert remark.startswith("6 completions of steps 3 to 4 came when that step had been seen")
    # A file that was written again under its name is no news either, whatever its time says.
    os.utime(tmp_path / "steps-1-4.parquet", ns=(1, 1))
    assert look(log) == []


def test_rows_of_one_file_may_come_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(verl_lines(2, 1) + verl_lines(1, 1) + verl_lines(2, 1) + verl_lines(1, 1))
    assert numbers(look(GrowingLog(tmp_path / "log.jsonl"), final=True)) == [(1, 2), (2, 2)]


def test_files_of_one_step_each_are_handed_on_one_by_one_and_files_of_one_process_each_together(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        (tmp_path / f"{step}.jsonl").write_text(verl_lines(step))
    batches = [numbers(batch) for batch in GrowingLog(tmp_path).look(final=True)]
    assert batches == [[(1, 2)], [(2, 2)], [(3, 2)]]
    shards = tmp_path / "shards"
    shards.mkdir()
    for process in (0, 1):
        (shards / f"process-{process}.jsonl").write_text(verl_lines(1) + verl_lines(2))
    assert numbers(look(GrowingLog(shards), final=True)) == [(1, 4), (2, 4)]


def test_where_the_log_of_a_run_is(tmp_path: Path) -> None:
    for name in ("rollouts", "completions"):
        run = tmp_path / name / "run"
        (run / name).mkdir(parents=True)
        assert log_folder(run) == run / name
        assert run_folder(run) == run_folder(run / name) == run_folder(run / name / "1.parquet") == run
    plain = tmp_path / "verl"
    plain.mkdir()
    assert log_folder(plain) == run_folder(plain) == run_folder(plain / "1.jsonl") == plain


def test_files_beside_a_log_are_no_log(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "train/reward": 0.5}\n')
    (tmp_path / "monitor.jsonl").write_text('{"step": 1}\n')
    assert look(GrowingLog(tmp_path)) == []
    (tmp_path / "1.jsonl").write_text(verl_lines(1))
    assert numbers(look(GrowingLog(tmp_path), final=True)) == [(1, 2)]


def test_a_broken_line_is_named_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(verl_lines(1))
    log = GrowingLog(path)
    look(log)
    append(path, "\n{broken}\n")
    with pytest.raises(DataError, match=r"log\.jsonl:4: broken JSON"):
        look(log)
    size = path.write_text(verl_lines(1))
    log = GrowingLog(path)
    look(log)
    before = b'{"input": "'
    with path.open("ab") as file:
        file.write(before + b'\xff"}\n')
    with pytest.raises(DataError, match=rf"log\.jsonl:3: is not UTF-8 at byte {size + len(before)} "):
        look(log)


def test_layouts_are_not_mixed(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_text(verl_lines(1))
    own(tmp_path / "2.parquet", 2)
    with pytest.raises(DataError, match=r"2\.parquet: holds trueward rollouts, and what came before verl rollouts"):
        look(GrowingLog(tmp_path))
    (tmp_path / "2.parquet").unlink()
    log = GrowingLog(tmp_path)
    look(log)
    own(tmp_path / "2.parquet", 2)
    with pytest.raises(DataError, match=r"2\.parquet: holds trueward rollouts, and what came before verl rollouts"):
        look(log)


def test_a_log_without_steps_cannot_be_followed(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"prompt": "q", "completion": "a", "reward": 1}\n' * 3)
    with pytest.raises(DataError, match="no completion has a step"):
        look(GrowingLog(tmp_path / "log.jsonl"), final=True)


def test_paths_that_are_no_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file or folder"):
        require_there(tmp_path / "missing")
    (tmp_path / "log.txt").write_text("x")
    with pytest.raises(DataError, match=r"the ending '\.txt' is not known"):
        require_there(tmp_path / "log.txt")
    for seed in (0, 1):
        (tmp_path / "runs" / f"seed-{seed}" / "arm" / "rollouts").mkdir(parents=True)
    with pytest.raises(DataError, match=r"is no run itself; name one of those below it: .*seed-0/arm, .*seed-1/arm$"):
        require_there(tmp_path / "runs")
    require_there(tmp_path / "runs" / "seed-0" / "arm")
    (tmp_path / "empty").mkdir()
    require_there(tmp_path / "empty")  # it may become one
