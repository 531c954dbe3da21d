"""The page of published audits: foreign text stays in code, and the lines that it shows score again."""

from __future__ import annotations

import ast
import re
from types import ModuleType
from typing import Any

import pytest

from trueward import as_reward
from trueward.report.markdown import code, key_of, render_markdown, reproduction


def test_every_finding_has_lines_that_are_python(sample: ModuleType) -> None:
    document = sample.one()
    page = render_markdown(document, "Title", "make it", {})
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == len(document["audits"][0]["findings"])
    for block in blocks:
        ast.parse(block)
    assert "44 of 48 prompts" in page and "`examples/rewards.py:last_number`" in page


def test_what_was_not_seen_again_is_said(sample: ModuleType) -> None:
    document = sample.one()
    audit = document["audits"][0]
    key = key_of(audit, audit["findings"][0]["examples"][0])
    assert "gave another score" in render_markdown(document, "t", "c", {key: False})
    assert "gave another score" not in render_markdown(document, "t", "c", {key: True})


def test_hostile_text_leaves_neither_code_nor_table(sample: ModuleType) -> None:
    page = render_markdown(sample.hostile(), "Title", "make it", {})
    outside = re.sub(r"^```python\n.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE)
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", outside)
    assert not re.search(r"(?<!\\)<(script|img|a|!--)", outside)
    assert all(ord(char) >= 0x20 or char == "\n" for char in page)
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {4}


@pytest.mark.parametrize("text", ["a`b", "``", "a|b", "x\n# y", "`"])
def test_a_code_span_ends_where_we_end_it(text: str) -> None:
    shown = code(text)
    fence = re.match(r"`+", shown)
    assert (
        fence and shown.endswith(fence.group()) and fence.group() not in shown[len(fence.group()) : -len(fence.group())]
    )
    assert "\n" not in shown and "|" not in shown


def test_the_lines_score_what_the_audit_saw(sample: ModuleType) -> None:
    audit = sample.one()["audits"][0]
    audit["envelope"] = "bare"
    example = {
        **audit["findings"][0]["examples"][0],
        "prompt": "6 + 6?",
        "reference": "12",
        "completion": 'It\'s "12".',
    }
    lines = reproduction(audit, example)
    assert lines[:3] == ["from trueward import as_reward", "", 'reward = as_reward("examples/rewards.py:last_number")']
    assert lines[-1] == ")  # 1; the right answer earns 1"
    names: dict[str, Any] = {"reward": as_reward("examples/rewards.py:last_number")}
    assert eval("\n".join(lines[3:]), names) == [1.0]
    audit["envelope"] = "boxed, chat messages"
    assert any('{"role": "assistant"' in line for line in reproduction(audit, example))


def test_reasoning_gym_is_asked_by_its_own_function(sample: ModuleType) -> None:
    audit = {**sample.one()["audits"][0], "reward": "reasoning_gym:gcd"}
    example = {**audit["findings"][0]["examples"][0], "row": "gcd-0-3", "completion": "7"}
    assert reproduction(audit, example)[2:] == [
        'data = reasoning_gym.create_dataset("gcd", seed=0, size=20)',
        'data.score_answer("7", data[3])  # 1; the right answer earns 1',
    ]
    assert reproduction(audit, {**example, "completion": "x" * 3001 + "y" * 20 + "z1z" * 900 + "q"}) != []
    assert reproduction(audit, {**example, "completion": "begin… [90,000 characters]"}) == []
