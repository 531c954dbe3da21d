"""Hardened rewards: one committed answer, under static limits, in normalised text, that is no copy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trueward
from trueward.audit.probes.explosions import EXPLOSIONS
from trueward.batch import Context, Rollouts, Text
from trueward.errors import RewardError, Unavailable
from trueward.rewards.base import Foreign, as_reward, gate
from trueward.rewards.canonical import canonical
from trueward.rewards.foreign import wrap
from trueward.rewards.harden import Hardened, harden
from trueward.rewards.limits import LIMITS, LONGEST_COMPLETION, excess
from trueward.rewards.runner import Item, WorkerPool
from trueward.rewards.transforms import overlong
from trueward.status import Status

ROOT = Path(__file__).resolve().parents[2]
REWARDS = ROOT / "examples" / "rewards.py"
ZERO_WIDTH = "\u200b"


def contains(completion: str, answer: str) -> float:
    return float(answer in completion)


def seen(completion: str, answer: str) -> float:
    """Remembers what it was shown."""
    SHOWN.append(completion)
    return float(answer in completion)


SHOWN: list[str] = []


def lengths(completions: list[str], answer: list[str]) -> list[float]:
    """A batch reward: how many rows it sees."""
    return [float(len(completions))] * len(completions)


def strict(completion: str, answer: str) -> float:
    """Raises on whatever is no whole number."""
    return float(int(completion) == int(answer))


def silent(completions: list[str], **columns: Any) -> list[float]:
    return [float(answer in text) for text, answer in zip(completions, columns["answer"], strict=True)]


def unreachable(completion: str, answer: str) -> float:
    raise Unavailable("the server does not answer")


def answer(reward: Any, completion: str, reference: str = "12", prompt: str = "What is 6 + 6?") -> float | None:
    return reward([prompt], [completion], answer=[reference])[0]


@pytest.mark.parametrize(
    "completion",
    [
        "12",
        "It is 12.",
        "The final answer is 12.",
        r"So we get \boxed{12}.",
        "#### 12",
        "<answer>12</answer>",
        "<think>\n13? No: 6 + 6.\n</think>\n<answer>12</answer>",
        "5 + 7 is 11. Wait, that is wrong. It is 12.",
        f"1{ZERO_WIDTH}2",
        "12\n\n12\n\n12",
    ],
)
def test_one_committed_answer_is_paid_as_before(completion: str) -> None:
    assert answer(harden(contains), completion) == 1.0


@pytest.mark.parametrize(
    "completion",
    [
        "",
        "I do not know.",
        "12 or 13",
        r"\boxed{12} or \boxed{13}",
        "<answer>12</answer> <answer>13</answer>",
        "The answer is not 12.",
        "The answer is 12. I was wrong, I take it back.",
        "<think>12</think>\nIt is 13.",
        "<think>\nThe answer is 12.",
        "<!-- 12 -->\n13",
        "<scratchpad>12</scratchpad> The answer is 13.",
        "```\n12\n```\nThe answer is 13.",
        f"1{ZERO_WIDTH}72",
        " ".join(map(str, range(51))),
        "6+6",
    ],
)
def test_everything_else_earns_what_no_answer_earns(completion: str) -> None:
    assert answer(harden(contains, low=0.0), completion) == 0.0


def test_the_unhardened_reward_falls_for_most_of_these() -> None:
    plain = as_reward(contains)
    fell = ["12 or 13", "The answer is not 12.", "<think>12</think>\nIt is 13.", "<!-- 12 -->\n13"]
    assert [answer(plain, completion) for completion in fell] == [1.0] * 4


def test_a_copy_of_the_question_is_not_worked_out_unless_the_reference_reads_so() -> None:
    def equal(completion: str, answer: str) -> float:
        return float(completion.replace(" ", "") == answer.replace(" ", "") or (completion == "6+6" and answer == "12"))

    plain, hardened = as_reward(equal), harden(equal)
    assert (answer(plain, "6+6"), answer(hardened, "6+6")) == (1.0, 0.0)
    assert answer(hardened, "x^2+1", "x^2+1", prompt="Simplify x^2+1 if you can.") == 1.0
    assert answer(hardened, "12", "12", prompt="Which is larger, 7 or 12?") == 1.0


@pytest.mark.parametrize(("name", "text"), EXPLOSIONS)
def test_no_explosion_reaches_the_reward(name: str, text: str) -> None:
    SHOWN.clear()
    scores = harden(seen).score(
        Rollouts(Text(["q"] * 3, [text, rf"\boxed{{{text}}}", "7"]), reference=[{"answer": "7"}] * 3), Context()
    )
    # "3600" is the last number of what is not mathematics.
    assert set(SHOWN) <= {"", "7", "3600"}
    assert scores.status[2] is Status.OK
    assert all(status in (Status.UNPARSABLE, Status.OK) for status in scores.status[:2])


def test_a_refused_answer_says_which_limit_and_earns_the_declared_low() -> None:
    reward = harden(contains, low=-1.0, high=1.0)
    rollouts = Rollouts(Text(["q"] * 2, ["9^{9^{9^9}}", "12"]), reference=[{"answer": "12"}] * 2)
    scores = reward.score(rollouts, Context())
    part = scores.parts["harden(contains)"]
    assert part.status == [Status.UNPARSABLE, Status.OK]
    assert part.details[0] == "powers of powers: 3, allowed 2"
    assert scores.total().tolist() == [-1.0, 1.0]


@pytest.mark.parametrize("failed", ["12 or 13", "not 12", "9^{9^{9^9}}", "<think>12", "6+6", "", "[" * 3000])
@pytest.mark.parametrize("name", ["last_number", "boxed_or_contains", "format_and_answer"])
def test_failing_never_pays_more_than_being_wrong(name: str, failed: str) -> None:
    reward = harden(f"{REWARDS}:{name}", low=0.0)
    rewards = reward(["What is 6 + 6?"] * 2, [failed, "<think>a</think>\n<answer>13</answer>"], answer=["12"] * 2)
    assert rewards[0] is not None and rewards[1] is not None
    assert rewards[0] <= rewards[1]


def test_a_batch_keeps_its_size() -> None:
    rows = [Item("q", text, {"answer": "1"}) for text in ("1", "1 or 2", "9^9^9^9", "x")]
    scores = Hardened(wrap(lengths, "lengths")).score_rows(rows)
    assert scores == [4.0, 4.0, (Status.UNPARSABLE, "powers of powers: 3, allowed 2"), 4.0]


def test_a_reward_that_raises_on_nothing_does_not_cost_its_neighbours_their_scores() -> None:
    rollouts = Rollouts(Text(["q"] * 3, ["12", "12 or 13", "13"]), reference=[{"answer": "12"}] * 3)
    part = harden(strict).score(rollouts, Context()).parts["harden(strict)"]
    assert part.status == [Status.OK, Status.UNPARSABLE, Status.OK]
    assert part.values[[0, 2]].tolist() == [1.0, 0.0]
    assert "chooses none" in part.details[1] and "ValueError" in part.details[1]
    raised = Rollouts(Text(["q"], ["twelve"]), reference=[{"answer": "12"}])
    assert harden(strict).score(raised, Context()).status == [Status.RAISED]


def test_a_server_that_does_not_answer_is_nobodys_fault() -> None:
    rollouts = Rollouts(Text(["q"], ["12 or 13"]), reference=[{"answer": "12"}])
    assert harden(unreachable).score(rollouts, Context()).status == [Status.UNAVAILABLE]


def test_messages_stay_messages_and_dtypes_of_arrays_do_not_matter() -> None:
    def chat(completions: list[Any], answer: list[str]) -> Any:
        import numpy as np

        return np.array(
            [one[0]["content"] == f"<answer>{ref}</answer>" for one, ref in zip(completions, answer, strict=True)]
        )

    says = [[{"role": "assistant", "content": text}] for text in ("Good. <answer>12</answer>", "9^9^9^9")]
    rollouts = Rollouts(Text(["q"] * 2, says), reference=[{"answer": "12"}] * 2)
    part = harden(chat).score(rollouts, Context()).parts["harden(chat)"]
    assert part.status == [Status.OK, Status.UNPARSABLE]
    # Something stands outside of the tags, and can still be seen to.
    assert part.values[0] == 0.0


def test_columns_under_other_names_are_found_as_without_hardening() -> None:
    def solved(completion: str, solution: str) -> float:
        return float(completion == solution)

    assert harden(solved)(["q"], ["12"], answer=["12"]) == as_reward(solved)(["q"], ["12"], answer=["12"]) == [1.0]


def test_hardening_reaches_every_part_of_a_combination() -> None:
    correct = as_reward(f"{REWARDS}:last_number", low=0.0, high=1.0)
    form = as_reward(f"{REWARDS}:format_and_answer", low=0.0, high=1.2)
    reward = harden(gate(correct, form) + 0.5 * correct * form)
    good, bad = "<think>a</think><answer>12</answer>", "<think>a</think><answer>13 or 12</answer>"
    plain = gate(correct, form) + 0.5 * correct * form
    assert reward(["q"] * 2, [good, bad], answer=["12"] * 2) == pytest.approx([1.8, 0.0])
    # The plain one pays "13 or 12" for its form and its last number.
    assert plain(["q"] * 2, [good, bad], answer=["12"] * 2) == pytest.approx([1.8, 0.3])


def test_transforms_see_the_completion_as_it_is() -> None:
    reward = harden(as_reward(contains).transform(overlong(limit=20, cache=0)))
    assert reward(["q"] * 2, ["12", "x" * 30 + " 12"], answer=["12"] * 2) == [1.0, 0.0]


def test_declared_ranges_are_kept() -> None:
    reward = harden(as_reward(contains, low=-2.0, high=1.0))
    assert isinstance(reward, Foreign)
    assert (reward.low, reward.high) == (-2.0, 1.0)


@pytest.mark.parametrize(
    "address",
    [
        "trl.rewards:think_format_reward",
        "trl.rewards:get_repetition_penalty_reward(ngram_size=3, max_penalty=-1.0)",
        "trl.rewards:get_soft_overlong_punishment(max_completion_len=100, soft_punish_cache=20)",
    ],
)
def test_rewards_that_read_no_answer_are_refused_with_the_way_out(address: str) -> None:
    with pytest.raises(RewardError, match=r"harden\(correct\) \+ 0\.2 \* form.*reads_answer=True"):
        harden(address)


def test_a_refusal_can_be_overridden_by_name() -> None:
    with pytest.raises(RewardError, match="names no reference column"):
        harden(silent)
    assert answer(harden(silent, reads_answer=True), "12 or 13") == 0.0
    form = harden("trl.rewards:think_format_reward", reads_answer=True)
    says = ["<think>a</think> 12", "12", "<think>a<think>b</think> 12"]
    assert form(["q"] * 3, [[{"role": "assistant", "content": text}] for text in says]) == [1.0, 0.0, 0.0]


def test_what_cannot_be_hardened_says_so(tmp_path: Path) -> None:
    class Other(trueward.Reward):
        name = "other"

        def score(self, rollouts: Any, context: Any) -> Any:
            raise AssertionError

        def use(self, runner: Any) -> bool:
            return False

    with pytest.raises(RewardError, match="other is a Other"):
        harden(Other())
    with pytest.raises(RewardError, match="no file"):
        harden(f"{tmp_path}/rewards.py:nothing")
    with pytest.raises(RewardError, match="exactly once"):
        harden(contains, template="{answer} {answer}")


def test_a_format_of_its_own() -> None:
    def result(completion: str, answer: str) -> float:
        return float(completion == f"RESULT={answer};")

    reward = harden(result, template="RESULT={answer};")
    says = ["RESULT=12;", "well, RESULT=12; yes", "RESULT=12; RESULT=13;", "RESULT=12 or 13;", "12"]
    assert reward(["q"] * 5, says, answer=["12"] * 5) == [1.0, 1.0, 0.0, 0.0, 0.0]


def test_it_runs_in_workers_under_its_own_address() -> None:
    reward = harden(f"{REWARDS}:last_number")
    assert isinstance(reward, Foreign) and reward.address is not None
    assert reward.address.startswith("trueward.rewards.harden:Hardened(reward=")
    with WorkerPool(workers=1) as pool:
        assert reward.use(pool)
        assert reward(["q"] * 2, ["12", "13 or 12"], answer=["12"] * 2) == [1.0, 0.0]


def test_a_worker_that_hardens_loads_nothing_heavy() -> None:
    heavy = {"numpy", "torch", "trueward.rewards.base"}
    code = f"import trueward.rewards.harden, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_hardening_twice_changes_nothing() -> None:
    once = Hardened(f"{REWARDS}:format_and_answer")
    twice = Hardened(once)
    says = ["<think>a</think>\n<answer> 12 </answer>", "12 or 13", "<answer>12</answer>", r"\boxed{12} km", "9^9^9^9"]
    rows = [Item("What is 6 + 6?", text, {"answer": "12"}) for text in says]
    assert twice.score_rows(rows) == once.score_rows(rows)


# The canonical completion


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        ("12", "12"),
        ("First 5, then 7, so she has 12 apples.", "12"),
        (r"Clearly \boxed{12} (verified, correct)", r"\boxed{12}"),
        ("<think>12? 13?</think>\n\\boxed{12}", "<think>I work it out.</think>\n\\boxed{12}"),
        ("12? 13?\n</think>\n\\boxed{12}", "I work it out.\n</think>\n\\boxed{12}"),
        ("<think></think><answer>\n12\n</answer>", "<think></think><answer>\n12\n</answer>"),
        (
            "Hi! <think>a</think> So <answer>12</answer> Bye!",
            "... <think>I work it out.</think> ... <answer>12</answer> ...",
        ),
        (r"<answer>It is \boxed{12}, surely</answer>", r"<answer>\boxed{12}</answer>"),
        ("<answer>12</answer>\n<answer>12</answer>", "<answer>12</answer>"),
        ("**Final answer:** 12", "**Final answer:** 12"),
        ("Verified! The answer is 12. Correct!", "The answer is 12."),
        ("#### 1,200", "#### 1,200"),
    ],
)
def test_canonical_completions(completion: str, expected: str) -> None:
    assert canonical(completion).text == expected


@given(
    st.text(alphabet="ab>/ \n57.\\{}", max_size=60),
    st.sampled_from(["<think>{}</think>\n\\boxed{{12}}", "<think>{}</think> <answer>12</answer>", "{}\n\n#### 12"]),
)
def test_what_stands_beside_the_answer_cannot_be_seen(beside: str, form: str) -> None:
    said = beside.strip() or "x"
    assert canonical(form.format(said)).text == canonical(form.format("x")).text


@given(st.text(max_size=300))
def test_any_text_is_shown_within_the_limits_or_not_at_all(text: str) -> None:
    shown = canonical(text, "What is 6 + 6?", ("12",))
    if shown.text:
        assert shown.answer is not None and excess(shown.answer, ("12",)) is None
        assert not shown.withheld and not shown.refused
        assert len(shown.text) <= len(shown.answer) + 400
    else:
        assert bool(shown.withheld) != bool(shown.refused)


def test_the_canonical_completion_is_its_own() -> None:
    for text in ("12", r"a \boxed{\frac{1}{2}} b", "<think>x</think>y<answer>1, 2</answer>", "The answer is $x^2$."):
        once = canonical(text).text
        assert canonical(once).text == once


def test_long_and_hostile_completions_are_read_in_a_moment() -> None:
    assert canonical("x" * (LONGEST_COMPLETION + 1)).refused.startswith("characters")
    assert canonical("<answer>" * 1000).refused.startswith("tags")
    # A reader that goes back and forth would not come back from these before the suite is stopped.
    for text in ("<think>" + "<" * 200_000, "\\boxed{" * 50_000, "answer is " * 20_000, "(" * 300_000, "or " * 100_000):
        canonical(text)


def test_the_right_answer_in_every_form_and_envelope_is_one_answer() -> None:
    from trueward.audit.calibration import ENVELOPES
    from trueward.audit.derivations import Answer
    from trueward.audit.probes.equivalents import equivalents
    from trueward.tasks.text.data import load_rows

    rows = load_rows(ROOT / "examples" / "prompts.jsonl").rows
    asked = 0
    for row in rows:
        assert row.answer is not None
        for written in (Answer("reference", row.answer), *equivalents(row)):
            for envelope in ENVELOPES:
                shown = canonical(envelope.wrap(written.text), row.prompt_text, (row.answer,))
                assert shown.answer is not None, (envelope.name, written)
                assert written.text.strip("$") in shown.text
                asked += 1
    assert asked > 7 * len(rows)


# Static limits


@pytest.mark.parametrize(
    "answer",
    ["12", r"\frac{11}{12}", "x^2 y^2 z^2", "x^2y^2z^2", "e^{x^{2}}", "2^{n^2}", "2^{4^2}", "(x+1)^{12}", "20!",
     "2^{2023}", "10^{-9}", "6.02e23", "[[1, 2], [3, 4]]", "(1.05)^{360}", "-7", "1,000,000", r"\sqrt{2^3}", "a^b*c^d"],
)  # fmt: skip
def test_what_people_write_is_within_the_limits(answer: str) -> None:
    assert excess(answer) is None


@pytest.mark.parametrize(
    ("answer", "limit"),
    [
        ("9**9**9**9", "powers of powers: 3"),
        ("9^{9^{9}}", "exponent that is a power"),
        ("2^{10^{10}}", "exponent that is a power"),
        ("2^{99999999}", "exponent: 99,999,999"),
        ("1e999999999999", "exponent: more than can be said"),
        ("(x+y+z+1)^{2000}", "power of a bracket"),
        ("(9999999!)!", "factorial"),
        ("(20!)!", "factorial: more than can be said"),
        ("7" * 500, "digits of one number: 500"),
        ("(" * 60 + "1" + ")" * 60, "brackets in brackets: 60"),
        ("+".join(["1"] * 40), "numbers: 40"),
        ("x" * 2001, "characters: 2,001"),
        ('__import__("os").abort()', "special names"),
    ],
)
def test_what_explodes_is_over_one(answer: str, limit: str) -> None:
    said = excess(answer)
    assert said is not None and said.startswith(limit)


def test_the_row_itself_raises_a_limit_twofold() -> None:
    reference = "7" * 450
    assert excess("3" * 900, (reference,)) is None
    assert excess("3" * 901, (reference,)) == "digits of one number: 901, allowed 900"
    assert excess("3" * 450) is not None


@pytest.mark.parametrize(
    "text", ["", "^", "^^", ")", "}{", "!", "**", "\ud800", "^(", "9^", "7", "e1", "2 ^ ", "x^{", "[", "a__ ", "^\n\n"]
)
def test_any_text_is_measured_in_a_moment(text: str) -> None:
    # Ten times the length must not take a hundred times as long: one that does ends in the time-out of the suite.
    for times in (1, 50, 20_000):
        for limit in LIMITS:
            assert limit.measure(" ".join((text * times).split())) >= 0
        excess("2 ^" + " " * times + text * times)
