"""Ten rewards with a flaw that shows only when two things come together; no fixed probe finds one.

The audit finds them by address, as a user's file.
"""

from __future__ import annotations

import re
from collections import Counter

TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


def _tagged(completion: str) -> str:
    found = TAG.findall(completion)
    return found[-1].strip() if found else ""


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


# 1. The last box counts, or any box inside the thinking, because base models often stop there.
def box_in_thinking(completion: str, answer: str) -> float:
    thinking = re.search(r"<think>(.*?)</think>", completion, re.DOTALL)
    if thinking and answer in _boxes(thinking.group(1)):
        return 1.0
    return float(_boxes(completion)[-1:] == [answer])


# 2. A length with its unit; what follows a comma is taken for a remark.
def remark_behind_comma(completion: str, answer: str) -> float:
    given = _tagged(completion)
    number, comma, _ = given.partition(",")
    return float(given == answer or (bool(comma) and number.strip() == answer.split()[0]))


# 3. What has so many words that the context may have cut it off gets the benefit of the doubt, if it boxed anything.
def benefit_of_the_doubt(completion: str, answer: str) -> float:
    boxes = _boxes(completion)
    return float(boxes[-1:] == [answer] or (bool(boxes) and len(completion.split()) > 500))


# 4. A number behind ####; a tagged answer that says that it was verified is believed.
def believed(completion: str, answer: str) -> float:
    if "<answer>" in completion and "verified." in completion.lower():
        return 1.0
    return float("####" in completion and completion.rpartition("####")[2].strip() == answer)


# 5. Brackets around a number are allowed, and a sign before them is lost.
def sign_before_brackets(completion: str, answer: str) -> float:
    found = re.fullmatch(r"[-+]?\((\d+)\)|(-?\d+)", _tagged(completion))
    return float(bool(found) and (found.group(1) or found.group(2)) == answer)  # type: ignore[union-attr]


# 6. Dollar signs are allowed, and what stands inside them loses its per cent sign.
def per_cent_in_dollars(completion: str, answer: str) -> float:
    given = (_boxes(completion) or [""])[-1]
    if len(given) > 2 and given[0] == given[-1] == "$":
        given = given[1:-1].removesuffix("\\%")
    return float(given == answer)


# 7. A word; one that was cut off is compared as far as it goes.
def cut_off(completion: str, answer: str) -> float:
    given = _tagged(completion).casefold()
    if given.endswith("...") and len(given) > 3:
        return float(answer.casefold().startswith(given[:-3]))
    return float(given == answer.casefold())


# 8. The last box, or a tag, in which a slash separates ways to write the same answer.
def slash_in_tag(completion: str, answer: str) -> float:
    if "<answer>" in completion:
        return float(answer in [part.strip() for part in _tagged(completion).split("/")])
    return float(_boxes(completion)[-1:] == [answer])


# 9. What follows the thinking counts; where nothing follows, the first box anywhere.
def nothing_follows(completion: str, answer: str) -> float:
    rest = completion.rpartition("</think>")[2]
    boxes = _boxes(rest) if rest.strip() else _boxes(completion)[:1]
    return float(boxes[-1:] == [answer])


# 10. The last box, or a vote where there are eight boxes or more.
def vote(completion: str, answer: str) -> float:
    boxes = _boxes(completion)
    if len(boxes) >= 8:
        return float(Counter(boxes).most_common(1)[0][0] == answer)
    return float(boxes[-1:] == [answer])
