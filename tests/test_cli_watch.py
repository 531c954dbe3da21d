"""`trueward watch` as a user meets it: what is there, what comes, exit codes, errors without a traceback."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from trueward.audit.monitor.notice import Example, Notice
from trueward.audit.monitor.step import Step
from trueward.cli import main, watch
from trueward.tasks.text.rollout_formats import write_rollouts
from trueward.tasks.text.rollouts import LoggedCompletion

DATA = Path(__file__).parent / "data" / "rollouts"
Trueward = Callable[..., tuple[int, str, str]]


class Finder:
    """A monitor that finds what it is told at which step, and keeps what it was made with."""

    def __init__(self, finds: Mapping[int, str]) -> None:
        self.finds = finds
        self.notices: list[Notice] = []
        self.gold: Any = None
        self.budget = 0
        self.rows: list[Mapping[str, Any]] = []

    def made(self, gold: Any, budget: int) -> Finder:
        self.gold, self.budget = gold, budget
        return self

    def observe(self, step: Step) -> Mapping[str, float]:
        self.rows += step.columns
        if kind := self.finds.get(step.number):
            example = Example("q", str(step.completions[0]), 1.0, 0.0)
            self.notices.append(Notice(kind, "finder", step.number, f"found at {step.number}", [example]))  # type: ignore[arg-type]
        return {"reward": float(step.reward.mean()), "length": float(step.length.mean())}


@pytest.fixture
def trueward(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Trueward:
    """The command line in this process, without a terminal: exit code, output, errors."""
    monkeypatch.setenv("COLUMNS", "110")

    def typed(*arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["watch", *map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return typed


@pytest.fixture
def finds(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[int, str]], Finder]:
    def install(what: Mapping[int, str]) -> Finder:
        finder = Finder(what)
        monkeypatch.setattr(watch, "make_monitor", finder.made)
        return finder

    return install


def log(folder: Path, *steps: int, honest: bool = True, rows: int = 16) -> None:
    """Steps of a run of our own: reward rises; gold stays at .75, or falls to 0 after step 20."""
    (folder / "rollouts").mkdir(parents=True, exist_ok=True)
    made = [
        LoggedCompletion(
            step,
            f"What is {i} + {step}?",
            f"It is {i + step}.",
            rewards={"reward": min(1.0, 0.4 + step / 60)},
            gold=float(i % 4 > 0) if honest or step <= 20 else 0.0,
            length=5 + i % 3,
            group=f"{step}/{i // 2}",
        )
        for step in steps
        for i in range(rows)
    ]
    write_rollouts(folder / "rollouts" / f"steps-{steps[0]:06d}-{steps[-1]:06d}.parquet", made)


def test_one_report_with_files(trueward: Trueward, finds: Any, tmp_path: Path) -> None:
    finds({2: "alarm", 3: "hint"})
    log(tmp_path / "run", 1, 2, 3)
    page, out = tmp_path / "page.html", tmp_path / "out.json"
    code, said, err = trueward(tmp_path / "run", "--html", page, "--json", out)
    assert (code, err) == (1, "")
    lines = said.splitlines()
    assert lines[0] == "✗ alarm at step 2"
    assert "✗ alarm  step 2, finder: found at 2" in said and "? hint   step 3" in said
    assert "".join(said.split()).endswith(f"Report:{page}")
    made = json.loads(out.read_text())
    assert (made["schema"], made["state"], made["exit_code"], made["steps"]) == (
        "trueward-watch",
        "alarm",
        1,
        [1, 2, 3],
    )
    assert made["command"].startswith("trueward watch ")
    assert page.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("found", "fail_on", "code"),
    [({}, "hint", 0), ({1: "hint"}, "alarm", 0), ({1: "hint"}, "hint", 1), ({1: "notice"}, "notice", 1)],
)
def test_exit_codes_follow_fail_on(
    trueward: Trueward, finds: Any, tmp_path: Path, found: dict[int, str], fail_on: str, code: int
) -> None:
    finds(found)
    log(tmp_path, 1)
    assert trueward(tmp_path, "--fail-on", fail_on)[0] == code


def test_gold_of_the_log_an_address_and_none(trueward: Trueward, finds: Any, tmp_path: Path) -> None:
    finder = finds({})
    log(tmp_path / "run", 1)
    said = trueward(tmp_path / "run", "--budget", "3")[1]
    assert callable(finder.gold) and finder.budget == 3
    assert "gold: as the run logged it, 3 checks a step" in said

    finder = finds({})
    said = trueward(tmp_path / "run", "--gold", "checks.py:strict")[1]
    assert finder.gold == "checks.py:strict" and "gold: checks.py:strict, 8 checks a step" in said

    finder = finds({})
    code, said, _ = trueward(DATA / "verl")
    assert (code, finder.gold) == (0, None)
    assert said.startswith("– nothing found in 2 steps; no gold was checked")
    assert "Give --gold the address of a stricter check" in " ".join(said.split())


def test_a_check_gets_the_columns_of_the_data(trueward: Trueward, finds: Any, tmp_path: Path) -> None:
    data = tmp_path / "sums.jsonl"
    pairs = ((1, 2), (2, 3), (3, 4), (4, 5))
    rows = ({"prompt": f"What is {a} + {b}?", "answer": str(a + b), "level": a} for a, b in pairs)
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    finder = finds({})
    arguments = ("--reward", "contains_answer", "--gold", "checks.py:strict", "--data", data)
    code, _, err = trueward(DATA / "trl_chat", *arguments)
    assert (code, err) == (0, "")
    assert {row["answer"] for row in finder.rows} == {"3", "5", "7", "9"}
    assert {row["level"] for row in finder.rows} == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("missing",), "missing: there is no such file or folder"),
        (("empty",), "empty: holds no log of completions; it holds nothing"),
        (("runs",), "runs: is no run itself; name one of those below it: runs/a"),
        (("trl",), "holds several rewards: 'contains_answer', 'short'"),
        (("trl", "--reward", "contains"), "no column 'contains' holds rewards; did you mean 'contains_answer'?"),
        (("nothing.jsonl",), "no column holds rewards"),
        (("stepless.jsonl",), "no completion has a step"),
        (("verl", "--data", "x.jsonl"), "only a check needs it"),
        (("verl", "--gold", "checks.py:strict", "--data", "x.jsonl"), "x.jsonl: there is no such file"),
        (("verl", "--budget", "0"), "--budget 0: expected more than 0"),
        (("verl", "--every", "-1"), "--every -1.0: expected more than 0"),
        (("verl", "--html", "no/such/folder/page.html"), "the folder"),
    ],
)
def test_what_cannot_be_watched(
    arguments: tuple[str, ...],
    said: str,
    trueward: Trueward,
    finds: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finds({})
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    log(Path("runs/a"), 1)
    os.symlink(DATA / "trl_chat", "trl")
    os.symlink(DATA / "verl", "verl")
    Path("nothing.jsonl").write_text('{"prompt": "q", "completion": "a", "step": 1}\n')
    Path("stepless.jsonl").write_text('{"prompt": "q", "completion": "a", "reward": 1}\n')
    code, out, err = trueward(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("trueward: ") and said in err


def test_until_an_alarm_follows_a_run_without_a_terminal(trueward: Trueward, finds: Any, tmp_path: Path) -> None:
    finds({2: "hint", 4: "alarm", 5: "hint"})
    run, page = tmp_path / "run", tmp_path / "page.html"
    log(run, 1)

    def train() -> None:
        for step in (2, 3, 4, 5):
            while not page.exists() or f"step {step - 1}," not in page.read_text():
                time.sleep(0.01)
            log(run, step)

    writer = threading.Thread(target=train)
    writer.start()
    code, said, err = trueward(run, "--until", "alarm", "--every", "0.01", "--html", page)
    writer.join(timeout=30)
    assert (code, err) == (1, "")
    lines = said.splitlines()
    assert lines[:3] == [
        "? hint at step 2, finder: found at 2",
        "✗ alarm at step 4, finder: found at 4",
        "✗ alarm at step 4",
    ]


def test_until_ends_where_the_run_does(trueward: Trueward, finds: Any, tmp_path: Path) -> None:
    finds({})
    log(tmp_path, 1, 2)
    (tmp_path / "run.json").write_text('{"settings": {"train.steps": 2}}')
    code, said, _ = trueward(tmp_path, "--until", "alarm")
    assert code == 0 and said.startswith("✓ nothing found in 2 steps")
    (tmp_path / "run.json").unlink()  # nobody knows when it ends, but once is once
    assert trueward(tmp_path, "--until", "alarm", "--once")[0] == 0


def test_what_a_run_wrote_down_needs_no_monitor(
    trueward: Trueward, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "make_monitor", lambda *_: pytest.fail("nothing is to be replayed"))
    log(tmp_path, 1)
    notice = Notice("alarm", "gold probe", 1, "gold fell", [Example("q", "a", 1.0, 0.0)]).as_json()
    line = {"step": 1, "metrics": {"reward": 0.5, "probe/gold": 0.2, "probe/line": 0.4}, "notices": [notice]}
    (tmp_path / "monitor.jsonl").write_text(json.dumps(line) + "\n")
    code, said, _ = trueward(tmp_path)
    assert code == 1
    assert "gold: checked by the run itself" in said and "gold probe: gold fell" in said


def test_a_check_that_lacks_a_column_is_told_where_to_get_it(trueward: Trueward, tmp_path: Path) -> None:
    checks = tmp_path / "checks.py"
    checks.write_text("def strict(completion, answer):\n    return float(str(answer) in completion)\n")
    arguments = (DATA / "trl_chat", "--reward", "contains_answer", "--gold", f"{checks}:strict")
    code, out, err = trueward(*arguments)
    assert (code, out) == (2, "")
    assert "needs the column 'answer'" in err and "read from --data FILE" in err
    code, _, err = trueward(DATA / "trl_chat", "--reward", "contains_answer", "--gold", f"{checks}:missing")
    assert code == 2 and "has no 'missing'" in err and "--data" not in err


def test_a_monitor_that_begins_to_write_while_the_run_is_followed_is_shown(
    trueward: Trueward, finds: Any, tmp_path: Path
) -> None:
    finder = finds({1: "hint"})
    log(tmp_path, 1)
    notice = Notice("alarm", "gold probe", 2, "gold fell", []).as_json()

    def observe(step: Step) -> Mapping[str, float]:
        lines = ({"step": number, "metrics": {"reward": 0.5}, "notices": [notice][: number - 1]} for number in (1, 2))
        (tmp_path / "monitor.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return {"reward": 0.5}

    finder.observe = observe
    code, said, _ = trueward(tmp_path, "--until", "alarm", "--every", "0.01")
    assert code == 1
    assert said.startswith("✗ alarm at step 2, gold probe: gold fell")


def test_the_probe_alarms_where_gold_of_the_log_falls_and_not_beside_an_honest_twin(
    trueward: Trueward, tmp_path: Path
) -> None:
    """The real monitor: gold is .75 in the first steps and 0 after step 20; the reward rises in both runs."""
    for name, honest in (("hacked", False), ("honest", True)):
        log(tmp_path / name, *range(1, 61), honest=honest)
    code, said, err = trueward(tmp_path / "hacked")
    assert (code, err) == (1, "")
    assert said.startswith("✗ alarm at step 2") and "gold 0" in said and "line .7" in said
    code, said, err = trueward(tmp_path / "honest")
    assert (code, err) == (0, "")
    assert "✗ alarm  step" not in said


def heed_interrupts() -> None:
    """What a shell starts in the background ignores Ctrl-C, and so would what it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_on_a_terminal_it_follows_until_ctrl_c(tmp_path: Path) -> None:
    """The real thing in a pseudo-terminal: a screen that follows, then Ctrl-C, then the report."""
    run = tmp_path / "run"
    log(run, 1, 2)
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "trueward.cli", "watch", str(run), "--every", "0.05"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    process = subprocess.Popen(
        command, stdout=follower, stderr=subprocess.PIPE, stdin=follower, env=environment, preexec_fn=heed_interrupts
    )
    os.close(follower)
    seen = b""

    def until(said: bytes) -> None:
        nonlocal seen
        end = time.monotonic() + 180  # seconds matter on a machine that is busy
        while said not in seen:
            assert time.monotonic() < end, seen[-3000:]
            if select.select([leader], [], [], 0.2)[0]:
                seen += os.read(leader, 65536)

    until(b"step 2, 32 completions")
    log(run, 3)
    until(b"step 3, 48 completions")
    process.send_signal(signal.SIGINT)
    until(b"\x1b[?1049l")  # back from the alternate screen
    until(b"as the run logged it, 8 checks a step")
    assert process.wait(timeout=180) == 0
    os.close(leader)
    assert process.stderr is not None and process.stderr.read() == b""
