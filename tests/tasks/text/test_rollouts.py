"""Logs that the engines wrote, logs that are being written, and which row a logged completion answers."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from trueward.errors import DataError
from trueward.tasks.text.data import rows_from
from trueward.tasks.text.rollout_formats import read_rollouts, write_rollouts
from trueward.tasks.text.rollout_rows import RowIndex, rows_of
from trueward.tasks.text.rollouts import LoggedCompletion

DATA = Path(__file__).resolve().parents[2] / "data" / "rollouts"
SOURCES = Path(__file__).resolve().parents[3] / "src"
VERL = os.environ.get("TRUEWARD_VERL_PYTHON")
SUMS = [{"prompt": f"What is {a} + {b}?", "answer": str(a + b)} for a, b in ((1, 2), (2, 3), (3, 4), (4, 5))]


def write_lines(path: Path, rows: list[dict[str, Any]], end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(row) for row in rows) + end)
    return path


def verl_row(step: int = 1, output: str = "#### 12", **more: Any) -> dict[str, Any]:
    return {
        "input": "user\nWhat is 5 + 7?\nassistant\n",
        "output": output,
        "gts": "12",
        "score": 1.0,
        "step": step,
        **more,
    }


def check_trl(loaded: Any, kind: str) -> None:
    assert loaded.format == "TRL completions"
    assert loaded.rewards == ("contains_answer", "short")
    for completion in loaded.completions:
        assert completion.reference is None
        assert completion.advantage is not None
        assert completion.columns == {"characters": len(completion.text)}
        assert isinstance(completion.completion, str) == (kind == "text")
        assert completion.prompt_text in [row["prompt"] for row in SUMS]
    every_third = [completion.rewards["short"] for completion in loaded.completions]
    assert all((reward is None) == (number % 16 % 3 == 0) for number, reward in enumerate(every_third))
    found = rows_of(loaded.completions, rows_from(SUMS).rows)
    for row, completion in zip(found, loaded.completions, strict=True):
        assert row is not None and row.prompt == completion.prompt_text
        assert completion.rewards["contains_answer"] == float(str(row.answer) in completion.text)


@pytest.mark.parametrize("kind", ["chat", "text"])
def test_what_trl_wrote_is_read(kind: str) -> None:
    loaded = read_rollouts(DATA / f"trl_{kind}")
    check_trl(loaded, kind)
    steps = [completion.step for completion in loaded.completions]
    # One generation of the text run serves two steps, so its second file holds the first one again.
    assert steps == ([1] * 16 + [2] * 16 if kind == "chat" else [1] * 16)
    assert any("logged again" in notice for notice in loaded.notices) == (kind == "text")


def test_what_trl_writes_today_is_read(tmp_path: Path) -> None:
    command = [sys.executable, str(DATA / "write_trl.py"), str(tmp_path), "chat", "1"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, "HF_HUB_OFFLINE": "1"}
    )
    assert done.returncode == 0, done.stderr
    loaded = read_rollouts(tmp_path)
    check_trl(loaded, "chat")
    assert {completion.step for completion in loaded.completions} == {1, 2}


def check_verl(loaded: Any) -> None:
    assert loaded.format == "verl rollouts"
    assert loaded.rewards == ("score",)
    assert len(loaded.completions) == 48
    first, hedge = loaded.completions[0], loaded.completions[25]
    assert (first.step, first.reference, first.text, first.rewards) == (
        1,
        "12",
        "It must be 12.\n#### 12",
        {"score": 1.0},
    )
    assert (hedge.step, hedge.text, hedge.rewards) == (2, "The answer is 22 or 12", {"score": 1.0})
    assert hedge.columns == {"acc": True, "uid": "2_1_0"}
    assert first.prompt_text == "system\nYou are a helpful assistant.\nuser\nWhat is 5 + 7?\nassistant\n"


def test_what_verl_wrote_is_read() -> None:
    check_verl(read_rollouts(DATA / "verl"))


@pytest.mark.skipif(not VERL, reason="verl cannot share this environment; `make test` makes one for it")
def test_what_verl_writes_today_is_read(tmp_path: Path) -> None:
    assert VERL
    command = [VERL, str(DATA / "write_verl.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    check_verl(read_rollouts(tmp_path / "ray"))
    check_verl(read_rollouts(tmp_path / "v1"))


def test_files_of_a_folder_come_in_the_order_of_their_steps(tmp_path: Path) -> None:
    for step in (10, 9, 100):
        write_lines(tmp_path / f"{step}.jsonl", [verl_row(step)])
    (tmp_path / "README.md").write_text("not a log")
    assert [completion.step for completion in read_rollouts(tmp_path).completions] == [9, 10, 100]


def test_a_line_that_is_being_written_is_left_out_and_counted(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "1.jsonl", [verl_row(), verl_row()], end='\n{"input": "us')
    loaded = read_rollouts(path)
    assert len(loaded.completions) == 2
    assert any("1 that was still being written" in notice for notice in loaded.notices)
    # A last line without an end is whole all the same when it parses.
    assert len(read_rollouts(write_lines(tmp_path / "2.jsonl", [verl_row(), verl_row()], end="")).completions) == 2


def test_a_broken_line_in_the_middle_is_an_error_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "1.jsonl"
    path.write_text(json.dumps(verl_row()) + '\n{"input": "us\n' + json.dumps(verl_row()) + '\n{"inp')
    with pytest.raises(DataError, match=r"1\.jsonl:2: broken JSON"):
        read_rollouts(path)


def test_a_parquet_file_that_is_being_written_is_left_out_only_as_the_last(tmp_path: Path) -> None:
    shutil.copytree(DATA / "trl_chat" / "completions", tmp_path, dirs_exist_ok=True)
    whole = (tmp_path / "completions_00002.parquet").read_bytes()
    (tmp_path / "completions_00003.parquet").write_bytes(whole[:2000])
    loaded = read_rollouts(tmp_path)
    assert len(loaded.completions) == 32
    assert any("still being written" in notice for notice in loaded.notices)
    (tmp_path / "completions_00002.parquet").write_bytes(whole[:2000])
    with pytest.raises(DataError, match=r"completions_00002\.parquet:1: cannot be read as Parquet"):
        read_rollouts(tmp_path)


def test_errors_say_what_there_is_and_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.jsonl:1: is no log of completions; it has 'x', 'y'\. Expected prompt and"):
        read_rollouts(write_lines(tmp_path / "a.jsonl", [{"x": 1, "y": 2}]))
    with pytest.raises(DataError, match=r"b\.jsonl:1: the step is 'one'; expected a whole number"):
        read_rollouts(write_lines(tmp_path / "b.jsonl", [verl_row() | {"step": "one"}]))
    with pytest.raises(DataError, match=r"c\.jsonl:1: column 'output' is 7; expected text"):
        read_rollouts(write_lines(tmp_path / "c.jsonl", [verl_row() | {"output": 7}]))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: holds no log of completions; it holds nothing\. Expected files that"):
        read_rollouts(tmp_path / "empty")
    write_lines(tmp_path / "mixed" / "1.jsonl", [verl_row()])
    write_lines(tmp_path / "mixed" / "2.jsonl", [{"prompt": "p", "completion": "c", "reward": 1.0}])
    with pytest.raises(DataError, match=r"2\.jsonl: holds trueward rollouts, and 1\.jsonl verl rollouts"):
        read_rollouts(tmp_path / "mixed")
    with pytest.raises(DataError, match="no such file"):
        read_rollouts(tmp_path / "absent.jsonl")


def test_our_own_layout_comes_back_as_it_was_written(tmp_path: Path) -> None:
    text = [
        LoggedCompletion(
            step=step,
            prompt="What is 5 + 7?",
            completion=said,
            reference="12",
            rewards={"correct": reward, "short": None},
            advantage=0.5,
            gold=gold,
            length=3,
            status="ok" if reward is not None else "timed out",
            group="a",
            columns={"seed": 7},
        )
        for step, said, reward, gold in ((1, "12", 1.0, 1.0), (2, "13", None, 0.0))
    ]
    write_rollouts(tmp_path / "text.parquet", text)
    loaded = read_rollouts(tmp_path / "text.parquet")
    assert (loaded.format, loaded.rewards) == ("trueward rollouts", ("correct", "short"))
    assert [{**vars(one), "where": ""} for one in loaded.completions] == [vars(one) for one in text]
    chat = [LoggedCompletion(1, [{"role": "user", "content": "Hi"}], [{"role": "assistant", "content": "12"}])]
    write_rollouts(tmp_path / "chat.parquet", chat)
    (back,) = read_rollouts(tmp_path / "chat.parquet").completions
    assert (back.prompt, back.completion, back.text) == (chat[0].prompt, chat[0].completion, "12")
    with pytest.raises(DataError, match="the name 'gold' is taken"):
        write_rollouts(tmp_path / "x.parquet", [LoggedCompletion(1, "p", "c", rewards={"gold": 1.0})])


def test_numbers_of_any_table_are_rewards_and_nan_is_no_score(tmp_path: Path) -> None:
    table = {"prompt": ["p", "p"], "completion": ["a", "b"], "reward": [1.0, float("nan")], "note": ["x", "y"]}
    parquet.write_table(pyarrow.table(table), tmp_path / "t.parquet")
    loaded = read_rollouts(tmp_path / "t.parquet")
    assert loaded.rewards == ("reward",)
    assert [completion.rewards for completion in loaded.completions] == [{"reward": 1.0}, {"reward": None}]
    assert [completion.step for completion in loaded.completions] == [0, 0]


def test_a_prompt_with_an_image_in_it_is_read(tmp_path: Path) -> None:
    asked = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}]
    path = write_lines(tmp_path / "1.jsonl", [{"prompt": asked, "completion": "A cat.", "reward": 1}])
    (completion,) = read_rollouts(path).completions
    assert completion.prompt_text == "What is it?"


def test_the_last_turn_of_a_conversation_is_its_text() -> None:
    said = [
        {"role": "assistant", "content": None, "tool_calls": [{}]},
        {"role": "tool", "content": "12"},
        {"role": "assistant", "content": [{"type": "text", "text": "It is"}, {"type": "text", "text": "12"}]},
    ]
    completion = LoggedCompletion(1, "p", said)
    assert completion.turns == ["", "It is\n12"]
    assert completion.text == "It is\n12"


def test_damaged_logs_load_or_say_where_they_are_broken(tmp_path: Path) -> None:
    draw = random.Random(0)
    refused: list[str] = []
    for source in (DATA / "verl" / "1.jsonl", DATA / "trl_chat" / "completions" / "completions_00001.parquet"):
        whole = source.read_bytes()
        path = tmp_path / source.name
        for _ in range(300):
            damaged = bytearray(whole)
            for _ in range(draw.randint(1, 4)):
                damaged[draw.randrange(len(damaged))] = draw.randrange(256)
            path.write_bytes(damaged[: draw.choice((len(damaged), draw.randrange(len(damaged))))])
            try:
                read_rollouts(path)
            except DataError as error:
                refused.append(str(error))
    assert len(refused) > 200
    assert all(message.startswith(str(tmp_path)) for message in refused)


def index(*rows: tuple[Any, str]) -> RowIndex:
    return RowIndex(rows_from([{"prompt": prompt, "answer": answer} for prompt, answer in rows]).rows)


def test_a_row_is_found_inside_the_marks_of_a_template() -> None:
    rows = index(("What is 5 + 7?", "12"), (" What is 6 + 7?\n", "13"))
    row = rows.find("<|im_start|>user\nWhat is 6 + 7?<|im_end|>\n<|im_start|>assistant\n")
    assert row is not None and row.answer == "13"
    assert rows.find("What is 7 + 7?") is None


def test_a_chat_row_needs_all_its_messages_in_order() -> None:
    def chat(system: str) -> list[dict[str, str]]:
        return [{"role": "system", "content": system}, {"role": "user", "content": "Give the number."}]

    rows = index((chat("You count cats."), "3"), (chat("You count dogs."), "4"))
    row = rows.find("system\nYou count dogs.\nuser\nGive the number.\nassistant\n")
    assert row is not None and row.answer == "4"
    assert rows.find("user\nGive the number.\nsystem\nYou count dogs.") is None


def test_of_prompts_inside_one_another_the_longest_counts_and_else_none_is_guessed() -> None:
    rows = index(("What is 5 + 7", "12"), ("What is 5 + 7 + 1", "13"))
    row = rows.find("Q: What is 5 + 7 + 1?")
    assert row is not None and row.answer == "13"
    # A prompt with worked examples holds the questions of other rows: nobody could say which one was asked.
    assert rows.find("Q: What is 5 + 7? A: 12. Q: What is 5 + 7 + 1?") is None
    same = index(("What is it?", "12"), ("What is it?", "12"), ("What else?", "1"))
    assert same.find("What is it?") is not None
    assert index(("What is it?", "12"), ("What is it?", "13")).find("What is it?") is None


def test_the_logged_reference_is_the_one_that_was_paid_for() -> None:
    rows = rows_from([{"prompt": "What is it?", "answer": "12", "answer_type": "int"}]).rows
    completions = [
        LoggedCompletion(1, "What is it?", "12", reference="13"),
        LoggedCompletion(1, "Who?", "x", reference="y"),
        LoggedCompletion(1, "Who?", "x"),
    ]
    first, second, third = rows_of(completions, rows)
    assert first is not None and (first.answer, first.contract.type, first.id) == ("13", "int", rows[0].id)
    assert second is not None and (second.answer, second.prompt) == ("y", "Who?")
    assert third is None
    several = LoggedCompletion(1, "Which?", "x", reference='["a", "b"]')
    (fourth,) = rows_of([several], ())
    assert fourth is not None and not fourth.contract.unique
