"""The form of a completion: which tags it must have."""

from __future__ import annotations

import pytest

from trueward.audit.api import audit
from trueward.errors import RewardError
from trueward.rewards.address import address_of, load
from trueward.rewards.base import as_reward, gate
from trueward.rewards.rules.format import Format, RequiredTags, format, outside_of, required_tags
from trueward.rewards.runner import WorkerPool

GOOD = "<think>\n1 + 1\n</think>\n<answer>2</answer>"

# completion, whether Format pays, whether RequiredTags pays
CASES = [
    (GOOD, 1.0, 1.0),
    (f"  {GOOD}\n", 1.0, 1.0),
    ("", 0.0, 0.0),
    ("2", 0.0, 0.0),
    (f"Well. {GOOD}", 0.0, 1.0),
    (f"{GOOD} Indeed.", 0.0, 1.0),
    ("<think>a</think> so <answer>b</answer>", 0.0, 1.0),
    (GOOD + GOOD, 0.0, 0.0),
    ("<answer>2</answer><think>a</think>", 0.0, 0.0),
    ("<think><answer>2</answer></think>", 0.0, 0.0),
    ("<think>a</think><answer></answer>", 0.0, 0.0),
    ("<think> \n </think><answer>2</answer>", 0.0, 0.0),
    ("<think>a</think><answer>2", 0.0, 0.0),
    ("<think>a<think>b</think></think><answer>2</answer>", 0.0, 0.0),
    ("<Think>a</Think><answer>2</answer>", 0.0, 0.0),
    ("<think><answer>" * 50_000, 0.0, 0.0),
]


@pytest.mark.parametrize(("completion", "exact", "required"), CASES)
def test_tags(completion: str, exact: float, required: float) -> None:
    assert format(["?"], [completion]) == [exact]
    assert required_tags(["?"], [completion]) == [required]


def test_other_tags() -> None:
    assert Format(("plan",))(["?"], ["<plan>a</plan>"]) == [1.0]
    assert Format(("plan",))(["?"], [GOOD]) == [0.0]
    assert outside_of("x<a>1</a>y<b>2</b>z", ("a", "b")) == "xyz"


@pytest.mark.parametrize("tags", [(), ("a", "a"), ("a b",), ("<a>",)])
def test_names_that_are_none_are_refused(tags: tuple[str, ...]) -> None:
    for made in (Format, RequiredTags):
        with pytest.raises(RewardError, match="different names"):
            made(tags)


def test_conventions() -> None:
    address = address_of(RequiredTags(("plan", "answer")))
    assert address == "trueward.rewards.rules.format:RequiredTags(tags=('plan', 'answer'))"
    assert load(address).score_rows([]) == []
    chat = [[{"role": "assistant", "content": GOOD}]]
    assert as_reward(format)(["?"], chat) == [1.0]
    gated = gate(as_reward(format), as_reward("trueward.rewards.rules.math:math"))
    assert gated(["?"] * 3, [GOOD, GOOD, "2"], answer=["2", "3", "2"]) == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("name", ["format", "required_tags"])
def test_its_own_audit_is_clean(name: str) -> None:
    data = [{"prompt": f"What is {i} + {i}?", "answer": str(2 * i)} for i in range(3, 13)]
    with WorkerPool(workers=2, deadline=5.0) as pool:
        report = audit(f"trueward.rewards.rules.format:{name}", data, runner=pool)
    assert report.audit["findings"] == []
    assert not report.audit["reads_answer"]
