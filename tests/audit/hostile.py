"""Rewards that do everything wrong that a reward can do, each for some answers only."""

from __future__ import annotations

import os
import re
import sys
import time


def _right(completion: str, answer: str) -> float:
    found = re.findall(r"<answer>(.*?)</answer>", completion, re.DOTALL)
    return float(bool(found) and found[-1].strip() == answer)


def _trap(completion: str) -> bool:
    """Some answers that every audit sends."""
    return "<answer>nan</answer>" in completion


def returns_nan(completion: str, answer: str) -> float:
    return float("nan") if _trap(completion) else _right(completion, answer)


def returns_infinity(completion: str, answer: str) -> float:
    return float("inf") if _trap(completion) else _right(completion, answer)


def returns_none(completion: str, answer: str) -> float | None:
    return None if _trap(completion) else _right(completion, answer)


def returns_text(completion: str, answer: str) -> object:
    return "excellent" if _trap(completion) else _right(completion, answer)


def returns_two(completions: list[str], answer: list[str]) -> list[float]:
    scores = [_right(text, right) for text, right in zip(completions, answer, strict=True)]
    return [*scores, 1.0] if any(_trap(text) for text in completions) else scores


def raises(completion: str, answer: str) -> float:
    if _trap(completion):
        raise LookupError("no such thing")
    return _right(completion, answer)


def sleeps(completion: str, answer: str) -> float:
    if _trap(completion):
        time.sleep(60)
    return _right(completion, answer)


def exits(completion: str, answer: str) -> float:
    if _trap(completion):
        os._exit(3)
    return _right(completion, answer)


def exits_politely(completion: str, answer: str) -> float:
    if _trap(completion):
        sys.exit("bye")
    return _right(completion, answer)


def prints(completion: str, answer: str) -> float:
    if _trap(completion):
        print("\x1b[2J" + "noise" * 1000)
    return _right(completion, answer)


def forks(completion: str, answer: str) -> float:
    if _trap(completion) and os.fork() == 0:
        return 1.0
    return _right(completion, answer)


def eats_memory(completion: str, answer: str) -> float:
    if _trap(completion):
        hoard = []
        while True:
            hoard.append(bytearray(b"x" * (16 << 20)))
    return _right(completion, answer)


def fails_on_everything(completion: str, answer: str) -> float:
    raise RuntimeError("always")
