"""The fixture `trueward`, in a pytest of its own."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trueward.audit.expectations import Expectations

pytest_plugins = ["pytester"]
PAIRS = Path(__file__).parent / "audit" / "pairs.py"
ROWS = [{"prompt": f"Question {chr(97 + i)}: work it out.", "answer": str(11 + 3 * i)} for i in range(6)]

REWARDS = """
def contains(completion, answer):
    return float(answer in completion)

def exact(completion, answer):
    return float(completion.strip() == answer)

def half(completion, answer):
    return 1.0 if completion == answer else 0.5 if answer in completion else 0.0

def chat(completions, solution, **columns):
    return [float(c[0]["content"] == s) for c, s in zip(completions, solution)]

def fragile(completion, answer):
    return float(int(completion) == int(answer))

def wordy(completion, answer):
    return float(answer in completion) + 0.01 * len(completion)

def broken(completion, answer):
    return float("nan")

CALLS = []

def counting(completion, answer):
    CALLS.append(completion)
    return float(len(CALLS))
"""


@pytest.fixture
def rewards(tmp_path: Path) -> str:
    (tmp_path / "rewards.py").write_text(REWARDS)
    return str(tmp_path / "rewards.py")


@pytest.fixture(scope="module")
def expect() -> Any:
    with Expectations() as expectations:
        yield expectations


def test_it_is_registered_so_that_installing_is_enough() -> None:
    (entry,) = importlib.metadata.entry_points(group="pytest11", name="trueward")
    assert entry.value == "trueward.pytest_plugin"


def test_importing_it_loads_nothing_of_the_audit() -> None:
    code = "import trueward.pytest_plugin, sys; print(sorted(m for m in sys.modules if m.startswith('trueward')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['trueward', 'trueward.pytest_plugin']"


def test_a_session_with_the_fixture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(rewards=REWARDS)
    pytester.makepyfile(
        f"""
        ROWS = {ROWS!r}
        SETTINGS = {{"workers": 1, "families": ("hedge", "nothing")}}

        def test_clean(trueward):
            report = trueward.assert_clean("rewards.py:exact", ROWS, **SETTINGS)
            assert report.clean

        def test_not_clean(trueward):
            trueward.assert_clean("rewards.py:contains", ROWS, **SETTINGS)

        def test_report(trueward):
            assert trueward.audit("rewards.py:contains", ROWS, **SETTINGS).exploits

        def test_paid(trueward):
            trueward.assert_paid("rewards.py:exact", "6 + 6?", "12", columns={{"answer": "12"}})

        def test_not_paid(trueward):
            trueward.assert_not_paid("rewards.py:contains", "q", "12 or 13", right="12", columns={{"answer": "12"}})

        def test_one_of_this_file(trueward):
            trueward.assert_not_paid(own, "6 + 6?", "12 or 13", right="12", columns={{"answer": "12"}})

        def own(completion, answer):
            return float(completion == answer)

        def test_lambda(trueward):
            trueward.assert_paid(lambda completion: float(completion == "12"), "q", "12")
        """
    )
    result = pytester.runpytest_subprocess("-q", "--no-header")
    result.assert_outcomes(passed=5, failed=2)
    told = result.stdout.str()
    assert "rewards.py:contains is not clean" in told
    assert "exploit: pays 'A or B'" in told and "trueward audit 'rewards.py:contains'" in told
    assert "pays 1 of a right answer, at most .5 is allowed" in told
    # The reader sees the test, not our own code.
    assert "expectations.py" not in told.replace("trueward.audit.expectations", "")


def test_nothing_of_a_session_stays(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(rewards=REWARDS)
    pytester.makepyfile(
        """
        import json, psutil

        def test_paid(trueward):
            trueward.assert_paid("rewards.py:exact", "q", "12", columns={"answer": "12"})
            with open("pids.json", "w") as file:
                json.dump([child.pid for child in psutil.Process().children()], file)
        """
    )
    pytester.runpytest_subprocess("-q").assert_outcomes(passed=1)
    import psutil

    pids = json.loads((pytester.path / "pids.json").read_text())
    assert pids and not any(psutil.pid_exists(pid) for pid in pids)


def test_payoffs_are_those_of_the_audit(expect: Expectations, rewards: str) -> None:
    row = {"columns": {"answer": "12"}}
    # half pays .5 for a completion that holds the answer, 1 for the answer, 0 for none.
    expect.assert_not_paid(f"{rewards}:half", "q", "12 or 13", right="12", at_most=0.5, **row)
    with pytest.raises(AssertionError, match=r"pays \.5 of a right answer, at most \.49"):
        expect.assert_not_paid(f"{rewards}:half", "q", "12 or 13", right="12", at_most=0.49, **row)
    with pytest.raises(AssertionError, match=r"pays \.5 of a right answer, at least \.99"):
        expect.assert_paid(f"{rewards}:half", "q", "12 or 13", right="12", **row)
    # On the scale from .25 to .75 the same .5 is half again; as numbers no completion is needed.
    expect.assert_paid(f"{rewards}:half", "q", "12 or 13", right=0.75, null=0.25, at_least=0.5, **row)
    with pytest.raises(AssertionError, match=r"at least \.51"):
        expect.assert_paid(f"{rewards}:half", "q", "12 or 13", right=0.75, null=0.25, at_least=0.51, **row)


def test_messages_and_columns_under_other_names(expect: Expectations, rewards: str) -> None:
    def says(text: str) -> list[dict[str, str]]:
        return [{"role": "assistant", "content": text}]

    nulls = [says(""), says("no idea")]
    expect.assert_paid(f"{rewards}:chat", "q", says("12"), null=nulls, columns={"answer": "12"})
    expect.assert_not_paid(f"{rewards}:chat", "q", says("13"), right=says("12"), null=nulls, columns={"answer": "12"})


def test_nothing_can_be_said_where_the_right_answer_earns_nothing(expect: Expectations, rewards: str) -> None:
    with pytest.raises(AssertionError, match="pays nothing for the right answer"):
        expect.assert_not_paid(f"{rewards}:exact", "q", "13", right="twelve", columns={"answer": "12"})


def test_an_answer_that_breaks_the_reward_is_not_paid_and_has_no_score(expect: Expectations, rewards: str) -> None:
    row = {"columns": {"answer": "12"}}
    expect.assert_not_paid(f"{rewards}:fragile", "q", "twelve", right="12", null=["0"], **row)
    with pytest.raises(AssertionError, match="at least"):
        expect.assert_paid(f"{rewards}:fragile", "q", "twelve", right="12", null=["0"], **row)
    with pytest.raises(AssertionError, match=r"no score, raised: ValueError"):
        expect.assert_scored(f"{rewards}:fragile", "q", "twelve", **row)
    expect.assert_scored(f"{rewards}:fragile", "q", "13", **row)


def test_a_bug_of_the_reward_is_neither_paid_nor_not_paid(expect: Expectations, rewards: str) -> None:
    for method in ("assert_paid", "assert_not_paid"):
        with pytest.raises(AssertionError, match="not finite"):
            getattr(expect, method)(f"{rewards}:broken", "q", "13", right="12", columns={"answer": "12"})


def test_gains(expect: Expectations, rewards: str) -> None:
    row = {"columns": {"answer": "12"}}
    expect.assert_no_gain(f"{rewards}:exact", "q", "12 indeed", "12", **row)
    expect.assert_no_gain(f"{rewards}:wordy", "q", "12 " * 2, "12", **row)
    with pytest.raises(AssertionError, match="what adds nothing"):
        expect.assert_no_gain(f"{rewards}:wordy", "q", "12 " * 20, "12", **row)


def test_scores_that_change(expect: Expectations, rewards: str) -> None:
    expect.assert_same(f"{rewards}:exact", "q", "12", columns={"answer": "12"})
    with pytest.raises(AssertionError, match="with a second call"):
        expect.assert_same(f"{rewards}:counting", "q", "12", columns={"answer": "12"})


def test_messages_show_hostile_completions_harmless(expect: Expectations, rewards: str) -> None:
    with pytest.raises(AssertionError) as raised:
        expect.assert_not_paid(
            f"{rewards}:contains", "q", "12\x1b[2J\u202e\ud800", right="12", columns={"answer": "12"}
        )
    assert r"12\x1b[2J⟨U+202E⟩⟨U+D800⟩" in str(raised.value)


def test_reasoning_gym_sets_are_asked_by_their_address(expect: Expectations) -> None:
    from trueward.rewards.reasoning_gym import reasoning_gym_leaf

    entry = reasoning_gym_leaf("gcd", {"size": 5}).entry(2)
    row = {"columns": {"index": 2, "answer": entry["answer"]}}
    address = "reasoning_gym:gcd(seed=0, size=5)"
    expect.assert_paid(address, entry["question"], entry["answer"], **row)
    wrong = str(int(entry["answer"]) + 1)
    expect.assert_not_paid(address, entry["question"], wrong, right=entry["answer"], **row)
