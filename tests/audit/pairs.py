"""Ten rewards that are sound, most of them tolerant, and ten twins with one planted bug each.

The audit finds them by address, as a user's file.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


def _tagged(completion: str) -> str:
    found = TAG.findall(completion)
    return found[-1].strip() if found else ""


# 1. A word in the answer tag, case ignored. Twin: substring match.
def word(completion: str, answer: str) -> float:
    return float(_tagged(completion).casefold() == answer.casefold())


def word_substring(completion: str, answer: str) -> float:
    return float(answer.casefold() in completion.casefold())


# 2. The last box. Twin: the first box.
def _boxes(completion: str) -> list[str]:
    """Contents of every box, brackets inside them matched, in one pass."""
    boxes: list[str] = []
    opened: list[int | None] = []
    for found in re.finditer(r"\\boxed\{|[{}]", completion):
        if found.group() != "}":
            opened.append(None if found.group() == "{" else found.end())
        elif opened and (start := opened.pop()) is not None:
            boxes.append(completion[start : found.start()].strip())
    return boxes


def last_box(completion: str, answer: str) -> float:
    return float(_boxes(completion)[-1:] == [answer])


def has_box(completion: str) -> float:
    return float(bool(_boxes(completion)))


def last_box_first(completion: str, answer: str) -> float:
    return float(_boxes(completion)[:1] == [answer])


# 3. A whole number behind ####, separators allowed. Twin: the last number anywhere.
def hash_number(completion: str, answer: str) -> float:
    given = completion.rpartition("####")[2].strip() if "####" in completion else ""
    return float(bool(re.fullmatch(r"-?\d[\d,]{0,20}", given)) and int(given.replace(",", "")) == int(answer))


def hash_number_last(completion: str, answer: str) -> float:
    numbers = re.findall(r"-?\d+", completion)
    return float(bool(numbers) and numbers[-1] == answer)


# 4. A number within 1e-6. Twin: NaN compares as close.
def _number(text: str) -> float:
    return float(text) if re.fullmatch(r"[+-]?\d+(\.\d+)?([eE][+-]?\d{1,3})?", text) else math.nan


def close_number(completion: str, answer: str) -> float:
    return float(abs(_number(_tagged(completion)) - float(answer)) <= 1e-6)


def close_number_nan(completion: str, answer: str) -> float:
    try:
        given = float(_tagged(completion))
    except ValueError:
        return 0.0
    return 0.0 if abs(given - float(answer)) > 1e-6 else 1.0


# 5. A choice letter, with or without brackets. Twin: pays when the text of the right option occurs.
def choice(completion: str, answer: str, option: str) -> float:
    found = re.fullmatch(r"\s*\(?([A-D])\)?\.?\s*", completion, re.IGNORECASE)
    return float(bool(found) and found.group(1).upper() == answer)  # type: ignore[union-attr]


def choice_echo(completion: str, answer: str, option: str) -> float:
    return max(choice(completion, answer, option), float(option in completion))


# 6. A name, case ignored. Twin: only the completion is put into small letters.
def name(completion: str, answer: str) -> float:
    return float(_tagged(completion).lower() == answer.lower())


def name_case(completion: str, answer: str) -> float:
    return float(_tagged(completion).lower() == answer)


# 7. A batch in the convention of TRL. Twin: drops empty completions, so that scores move to other rows.
def batch(completions: list[str], answer: list[str]) -> list[float]:
    return [float(_tagged(text) == right) for text, right in zip(completions, answer, strict=True)]


def batch_short(completions: list[str], answer: list[str]) -> list[float]:
    return [float(_tagged(text) == right) for text, right in zip(completions, answer, strict=True) if text]


# 8. A LaTeX fraction, in any terms. Twin: halves its scores as it is called more often.
def _fraction(text: str) -> Fraction | None:
    latex = re.fullmatch(r"(-?)\\d?frac\{(-?\d{1,9})\}\{(\d{1,9})\}", text)
    if latex and int(latex.group(3)):
        value = Fraction(int(latex.group(2)), int(latex.group(3)))
        return -value if latex.group(1) else value
    plain = re.fullmatch(r"(-?\d{1,9})(?:/(\d{1,9}))?", text)
    return Fraction(int(plain.group(1)), int(plain.group(2) or 1)) if plain and plain.group(2) != "0" else None


def fraction(completion: str, answer: str) -> float:
    given = (_boxes(completion) or [""])[-1].strip()
    return float(_fraction(given) == _fraction(answer))


_calls = 0


def fraction_mutable(completion: str, answer: str) -> float:
    global _calls
    _calls += 1
    return fraction(completion, answer) * 0.5 ** (_calls // 100)


# 9. An unordered set. Twin: strips a label with a pattern that is quadratic in the longest word.
def unordered(completion: str, answer: str) -> float:
    given = _tagged(completion).strip("[]{}")
    return float(sorted(part.strip() for part in given.split(",")) == sorted(p.strip() for p in answer.split(",")))


def unordered_slow(completion: str, answer: str) -> float:
    return unordered(re.sub(r"\w+:\s", "", completion), answer)


# 10. Money to the cent. Twin: what cannot be read counts as right.
def money(completion: str, answer: str) -> float:
    given = _number(_tagged(completion).lstrip("$").replace(",", ""))
    return float(abs(given - float(answer)) <= 0.005)


def money_lenient(completion: str, answer: str) -> float:
    try:
        given = float(_tagged(completion).lstrip("$").replace(",", ""))
        return float(abs(given - float(answer)) <= 0.005)
    except ValueError:
        return 1.0
