"""The examples of a document as data inside a page: small, and unable to end the element that holds them."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable
from typing import Any

from markupsafe import Markup

from trueward.report.document import FOUND_BY_SEARCH, Audit, Document, Example
from trueward.report.escape import pieces, visible
from trueward.report.vocabulary import vocabulary_of
from trueward.report.wording import RELATIONS, earned, number

# What stands at each place of an example's row in the data.
_FIELDS = (
    *("reward", "family", "variant", "relation", "status", "payoff", "earns", "right"),
    *("prompt", "reference", "completion", "why", "earned", "id", "row", "origin", "derivation"),
)
# Characters of one text that are kept: the longest limit with which all texts together stay below _MOST is used.
_LIMITS = (2000, 1000, 500, 250, 120)
_MOST = 2_500_000  # bytes

_ESCAPED = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def script_data(value: Any) -> Markup:
    """JSON that can stand in a `<script type="application/json">`: no `<`, `>`, `&`, U+2028 or U+2029 is in it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_ESCAPED))


def browsable(document: Document) -> dict[str, Any]:
    """Every example of a document once per reward, for the script of the page.

    Args:
        document: any.

    Returns:
        `rewards`: names. `words`: per reward, what things are called. `relations`: relation → words. `texts`: every
        text once, as one string where all of it prints, else printable text and notation in turn. `examples`: per
        example the fields of `fields` in that order; prompt, reference, completion, why and earned are positions in
        `texts`, −1 for none, derivation a list of them; origin says what found it. `limit`: characters to which texts
        were shortened.
    """
    chosen = [
        (index, example, origin)
        for index, audit in enumerate(document["audits"])
        for example, origin in _with_origin(audit)
    ]
    texts: dict[str, int] = {}

    def position(text: str | None) -> int:
        return -1 if text is None else texts.setdefault(text, len(texts))

    rows = []
    for index, example, origin in chosen:
        rows.append(
            [
                index,
                visible(example["family"], 80),
                visible(example["variant"], 120),
                visible(example["relation"], 40),
                visible(example["status"], 40),
                _rounded(example["payoff"]),
                number(example["reward"]),
                number(example["right_reward"]),
                position(example["prompt"]),
                position(example["reference"]),
                position(example["completion"]),
                position(example["why"]),
                position(earned(example)),
                visible(example["id"], 40),
                visible(example["row"], 80),
                origin,
                [position(step) for step in example["derivation"]],
            ]
        )
    limit, shown = within_size(texts)
    return {
        "rewards": [visible(audit["reward"], 160) for audit in document["audits"]],
        "words": [dataclasses.asdict(vocabulary_of(audit)) for audit in document["audits"]],
        "relations": RELATIONS,
        "limit": limit,
        "fields": _FIELDS,
        "texts": shown,
        "examples": rows,
    }


def examples_of(audit: Audit) -> list[Example]:
    """The examples of findings, then of notes, then of a log, each once."""
    return [example for example, _ in _with_origin(audit)]


def _with_origin(audit: Audit) -> list[tuple[Example, str]]:
    """Every example once, with what found it: "probes", "search" or "training log"."""
    every = [example for finding in audit["findings"] for example in finding["examples"]]
    every += [example for note in audit["notes"] for example in note["examples"]]
    found = [(example, FOUND_BY_SEARCH if example["family"] == FOUND_BY_SEARCH else "probes") for example in every]
    if audit["rollouts"] is not None:
        found += [(example, "training log") for example in audit["rollouts"]["examples"]]
    once = {(example["family"], example["id"], example["status"]): (example, origin) for example, origin in found[::-1]}
    return list(once.values())[::-1]


def within_size(texts: Iterable[str]) -> tuple[int, list[str | list[str]]]:
    """The texts shortened to the longest limit with which they fit, and that limit."""
    kept = list(texts)
    for limit in _LIMITS:
        shown = [_shown(text, limit) for text in kept]
        if limit == _LIMITS[-1] or sum(len("".join(text).encode()) for text in shown) <= _MOST:
            break
    return limit, shown


def _shown(text: str, limit: int) -> str | list[str]:
    shown = pieces(text, limit)
    return shown[0] if len(shown) == 1 else shown


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 4)
