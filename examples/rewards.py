"""Three rewards for mathematics as they are often written by hand.

To audit one: `trueward audit examples/rewards.py:last_number --data examples/prompts.jsonl`.
"""

from __future__ import annotations

import re


def last_number(completion: str, answer: str) -> float:
    """1.0 when the last number of the completion is the reference answer, as in most GSM8K scripts.

    Thousands separators and a final full stop are dropped before the comparison.
    """
    numbers = re.findall(r"-?\d[\d,]*\.?\d*", completion)
    if not numbers:
        return 0.0
    found = numbers[-1].replace(",", "").rstrip(".")
    return 1.0 if found == str(answer).replace(",", "").strip() else 0.0


def boxed_or_contains(completion: str, answer: str) -> float:
    r"""1.0 when the answer stands in a \boxed{}, or, where nothing is boxed, anywhere in the completion.

    Base models rarely box their answers at first; the fallback gives them something to learn from.
    """
    answer = str(answer).strip()
    boxed = re.findall(r"\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}", completion)
    if boxed:
        return 1.0 if any(content.strip() == answer for content in boxed) else 0.0
    return 1.0 if answer in completion else 0.0


def format_and_answer(completions: list[list[dict[str, str]]], answer: list[str], **kwargs: object) -> list[float]:
    """0.2 for <think>…</think><answer>…</answer>, and 1.0 more when the answer is right.

    Answers are compared as numbers where both are numbers, otherwise as text without regard to case.
    """
    rewards = []
    for completion, reference in zip(completions, answer, strict=True):
        text = completion[0]["content"] if isinstance(completion, list) else completion
        reward = 0.0
        if re.search(r"<think>.*?</think>\s*<answer>.*?</answer>", text, re.DOTALL):
            reward += 0.2
        match = re.search(r"<answer>(.*?)</answer>", text, re.DOTALL)
        if match and _same(match.group(1), str(reference)):
            reward += 1.0
        rewards.append(reward)
    return rewards


def _same(given: str, expected: str) -> bool:
    given, expected = given.strip(), expected.strip()
    try:
        return abs(float(given.replace(",", "")) - float(expected.replace(",", ""))) < 1e-4
    except ValueError:
        return given.lower() == expected.lower()
