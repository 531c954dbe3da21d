"""The commands about systems as a user meets them, on a system that takes milliseconds."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trueward.cli import experiments, main
from trueward.cli.experiments import settings_typed
from trueward.errors import EvidenceError
from trueward.report.experiment_file import read_experiment

SYSTEMS = Path(__file__).parent / "data"
Trueward = Callable[..., tuple[int, str, str]]


@pytest.fixture
def trueward(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Trueward:
    """The command line, in a folder of its own, with the systems of the tests: exit code, output, errors."""
    monkeypatch.syspath_prepend(str(SYSTEMS))
    monkeypatch.setattr(experiments, "RECIPES", "toy_systems")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def typed(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return typed


def attempts(folder: Path) -> int:
    """How many runs were carried out below a folder, repetitions included."""
    return sum(len(path.read_text().splitlines()) for path in folder.rglob("attempts.txt"))


def recipe() -> Any:
    sys.path.insert(0, str(SYSTEMS))
    try:
        from toy_systems.sturdy import RECIPE
    finally:
        sys.path.remove(str(SYSTEMS))
    return RECIPE


def test_run_tells_the_verdict_writes_the_report_and_does_nothing_twice(trueward: Trueward, tmp_path: Path) -> None:
    code, out, err = trueward("run", "sturdy", "--jobs", "2")
    assert code == 0, err
    assert out.splitlines()[0] == "✓ shown: Sturdy reward (sturdy)"
    assert re.search(
        r"✓ holds gold\(method\) > gold\(plain\) \+ 0\.2  difference \.\d+ \[\.2\d+, \.3\d*\] over 5 seeds", out
    )
    assert "✓ not met" in out
    folder = tmp_path / "runs" / "sturdy" / "small"
    assert out.splitlines()[-1] == "Report: runs/sturdy/small/report.html"
    assert "<!doctype html>" in (folder / "report.html").read_text()
    made = read_experiment(folder / "experiment.json")
    assert made["command"] == "trueward run sturdy --jobs 2"
    assert [arm["chosen"] for arm in made["arms"]] == [{"reward.k": 2.0}, {"reward.k": 2.0}, {}]
    assert attempts(folder) == 2 * 2 * 2 + 3 * 5  # two candidates of two arms on two seeds, three arms on five

    assert trueward("run", "sturdy", "--jobs", "2")[:2] == (code, out)
    assert attempts(folder) == 23
    assert not (tmp_path / "results").exists()


def test_smoke_takes_one_seed_and_says_that_it_shows_nothing(trueward: Trueward, tmp_path: Path) -> None:
    code, out, err = trueward("run", "sturdy", "--scale", "smoke", "--html", "mine.html")
    assert code == 0, err
    assert out.splitlines()[0] == "? unclear: Sturdy reward (sturdy)"
    assert "3 arms, 1 seed, scale smoke" in out
    assert (tmp_path / "mine.html").is_file()
    assert attempts(tmp_path / "runs") == 3


def test_one_arm_with_other_settings_has_a_folder_of_its_own(trueward: Trueward, tmp_path: Path) -> None:
    words = ("run", "sturdy", "--arm", "method", "--seeds", "2", "--steps", "3")
    code, out, err = trueward(*words, "--set", "reward.k=2.5", "--set", "layers=[1, 4]")
    assert code == 0, err
    [folder] = (tmp_path / "runs" / "sturdy").iterdir()
    assert re.fullmatch(r"small-[0-9a-f]{12}", folder.name)
    made = read_experiment(folder / "experiment.json")
    [arm] = made["arms"]
    assert (arm["settings"]["train.steps"], arm["settings"]["reward.k"], arm["settings"]["layers"]) == (3, 2.5, [1, 4])
    assert attempts(folder) == 2  # what is set is not tuned
    assert made["verdict"] == "unclear"
    assert "not measured" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "sturdi"), "did you mean sturdy?"),
        (("show", "nothing like it"), "there are: sturdy"),
        (("run", "sturdy", "--arm", "metod"), "no arm 'metod'; its arms: method, plain, shuffled"),
        (("run", "sturdy", "--set", "reward.kk=1"), "no setting 'reward.kk'; did you mean reward.k?"),
        (("run", "sturdy", "--set", "zzz=1"), "its settings: breaks, layers, reward.k, skill, train.steps"),
        (("run", "sturdy", "--set", "reward.k"), "expected name=value"),
        (("run", "sturdy", "--set", "train.steps=2oo"), "expected a number, such as 4"),
        (("run", "sturdy", "--seeds", "0"), "--seeds 0: expected at least 1"),
        (("run", "sturdy", "--steps", "-1"), "--steps -1: expected at least 1"),
        (("run", "sturdy", "--html", "nowhere/x.html"), "does not exist"),
        (("evidence", "--only", "sturdy,clip"), "no recipe 'clip'"),
        (("evidence", "--only", ","), "nothing to run"),
        (("evidence", "--page", "nowhere/x.md"), "does not exist"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    arguments: tuple[str, ...], said: str, trueward: Trueward, tmp_path: Path
) -> None:
    code, out, err = trueward(*arguments)
    assert code == 2
    assert said in err and "Traceback" not in err
    assert out == ""
    assert list(tmp_path.iterdir()) == []  # nothing was begun


def test_a_run_that_fails_costs_itself_only(
    trueward: Trueward, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")  # the folder of a test may have a long name, and is looked for in one piece
    code, out, err = trueward("run", "sturdy", "--seeds", "2", "--set", "breaks=method 1", "--set", "reward.k=2")
    assert code == 2
    assert "✗ method, seed 1: ArithmeticError: it broke" in out
    assert re.search(r"✗ method, seed 1: ArithmeticError: it broke \(\S+/method/error.txt\)", " ".join(err.split()))
    assert out.splitlines()[0] == "? unclear: Sturdy reward (sturdy)"
    [made] = map(read_experiment, tmp_path.glob("runs/sturdy/*/experiment.json"))
    assert [len([v for v in arm["metrics"]["gold"]["values"].values() if v is not None]) for arm in made["arms"]] == [
        1,
        2,
        2,
    ]


def test_other_settings_in_one_folder_are_refused_until_forced(
    trueward: Trueward, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("run", "sturdy", "--scale", "smoke")
    assert trueward(*words)[0] == 0
    monkeypatch.setitem(recipe().settings, "train.steps", 4)
    monkeypatch.setitem(recipe().scales["smoke"], "train.steps", 3)
    code, _, err = trueward(*words)
    assert code == 2 and "train.steps 2 there, 3 now" in " ".join(err.split())
    assert trueward(*words, "--force")[0] == 0
    assert attempts(tmp_path) == 6  # the old ones lie aside
    assert trueward(*words, "--again")[0] == 0
    assert attempts(tmp_path) == 9


def test_evidence_writes_results_and_the_page(trueward: Trueward, tmp_path: Path) -> None:
    words = ("evidence", "--only", "sturdy", "--results", "results", "--page", "systems.md", "--jobs", "2")
    code, out, err = trueward(*words)
    assert code == 0, err
    assert out.splitlines()[0] == "✓ shown: Sturdy reward (sturdy)"
    made = read_experiment(tmp_path / "results" / "sturdy.json")
    assert made["verdict"] == "shown"
    assert made["command"] == "trueward evidence --only sturdy --scale small"
    assert str(tmp_path) not in (tmp_path / "results" / "sturdy.json").read_text()
    assert made["arms"][0]["curves"]["0"]["step"] == [0, 1, 2, 3, 4]
    assert [row["chosen"] for row in made["tuning"]] == [False, True, True, False]
    page = (tmp_path / "systems.md").read_text()
    assert "| [Sturdy reward](#sturdy) | The method is better by more than .2. | ✓ shown |" in page
    assert "](systems/sturdy.svg)" in page
    assert "<svg" in (tmp_path / "systems" / "sturdy.svg").read_text()

    (tmp_path / "systems.md").unlink()
    assert trueward("evidence", "--page-only", "--results", "results", "--page", "systems.md")[0] == 0
    assert (tmp_path / "systems.md").read_text() == page
    assert attempts(tmp_path) == 23


def test_list_and_show_before_and_after(trueward: Trueward, tmp_path: Path) -> None:
    where = ("--results", "results")
    code, out, _ = trueward("list", *where)
    assert code == 0
    assert re.search(r"sturdy +Sturdy reward +not run +sturdy, group", out)
    code, out, _ = trueward("show", "sturdy", *where)
    assert code == 0
    assert out.splitlines()[0] == "not run: Sturdy reward (sturdy)"
    assert "gold(method) > gold(plain) + 0.2  not measured" in out
    assert "method: with the idea (skill=0.8)" in out and "Use it with a larger model." in out

    assert trueward("evidence", *where, "--page", "systems.md")[0] == 0
    assert re.search(r"sturdy +Sturdy reward +✓ shown", trueward("list", *where)[1])
    code, out, _ = trueward("show", "sturdy", *where)
    assert code == 0
    assert out.splitlines()[0] == "✓ shown: Sturdy reward (sturdy)"
    assert "Curve of method" in out and "commit" in out

    (tmp_path / "results" / "sturdy.json").write_text("{}")
    code, _, err = trueward("show", "sturdy", *where)
    assert code == 2 and "is not an experiment" in err


def test_list_and_show_load_no_heavy_library(tmp_path: Path) -> None:
    script = (
        "import sys; from trueward.cli import experiments, main; experiments.RECIPES = 'toy_systems'\n"
        "assert main(['list', '--results', 'none']) == main(['show', 'sturdy', '--results', 'none']) == 0\n"
        "print('loaded', sorted({'torch', 'transformers', 'scipy', 'ray', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=SYSTEMS, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "loaded []"


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("reward.k=3", 3),
        ("reward.k=-1.5e-3", -0.0015),
        ("layers=[1, 4]", [1, 4]),
        ("breaks=method 1", "method 1"),
        ("breaks=a=b", "a=b"),
        ("breaks=7", "7"),  # text in the recipe, so it stays text
        ("reward.k=null", None),
    ],
)
def test_a_setting_is_json_or_else_text(typed: str, value: Any) -> None:
    found = settings_typed([typed], recipe(), "small")
    assert found == {typed.partition("=")[0]: value}
    assert json.dumps(found)


@pytest.mark.parametrize("typed", ["reward.k=NaN", "reward.k=true", "layers=3", "train.steps=fast"])
def test_a_setting_of_another_kind_is_refused(typed: str) -> None:
    with pytest.raises(EvidenceError, match="expected a"):
        settings_typed([typed], recipe(), "small")


def test_more_seeds_than_the_system_names_are_no_tuning_seeds(trueward: Trueward, tmp_path: Path) -> None:
    assert trueward("run", "sturdy", "--scale", "smoke", "--seeds", "7", "--arm", "shuffled")[0] == 0
    made = read_experiment(tmp_path / "runs" / "sturdy" / "smoke" / "experiment.json")
    assert made["seeds"] == [0, 1, 2, 3, 4, 5, 6]
