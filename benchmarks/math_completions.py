"""Whole completions for the benchmark of mathematical verification: reasoning, then an answer, half of them wrong.

35 % integers, 15 % decimals and fractions, 25 % LaTeX, 10 % sets and intervals, 15 % prose without any mark. Each item
says what it was built as, and which of the classes named in docs/verifiers.md it belongs to, if any.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from math_pairs import MAKERS

SHARES = {"integers": 0.35, "decimals, fractions": 0.15, "LaTeX": 0.25, "sets, intervals": 0.10, "prose": 0.15}
NAMED = 0.05  # share of items of the named classes, spread over all

THINGS = ["apples", "tickets", "seats", "pages", "marbles", "metres", "euros", "students"]
STEPS = [
    "We first look at what is given: there are {a} of them, and each one counts {b} times.",
    "Multiplying gives ${a} \\cdot {b} = {ab}$, and adding the remaining {c} gives ${abc}$.",
    "Let $x$ be the number we are looking for. Then ${a}x + {c} = {abc}$, so that $x = {b}$ for the first part.",
    "Note that \\({c} < {abc}\\), which means the second case cannot occur here.",
    "Using the formula \\[ S = \\frac{{n(n+1)}}{{2}} \\] with $n = {a}$ we can check the intermediate sum.",
    "By symmetry the same argument holds for the other {b} cases, so nothing changes.",
    "Now substitute back: ${ab} + {c} = {abc}$.",
    "That leaves {c} in the second group and {a} in the first one.",
    "The discriminant is ${b}^2 - 4 \\cdot {c}$, and we keep only the root that makes sense.",
    "Wait, let me double-check this step: {a} times {b} is {ab}, yes.",
    "Simplifying the expression step by step, we cancel the common factor of {b}.",
    "Therefore the quantity in question can be computed directly.",
]
ENDINGS = {
    "boxed": [
        "The final answer is $\\boxed{{{0}}}$.",
        "So we get \\boxed{{{0}}}",
        "Thus, the answer is \\[\\boxed{{{0}}}.\\]",
    ],
    "sentence": ["The answer is ${0}$.", "Therefore, the final answer is ${0}$.", "**Answer:** ${0}$"],
    "####": ["#### {0}"],
}


@dataclass(frozen=True)
class Item:
    """One completion.

    Attributes:
        kind: its class in the mix.
        prompt: the question.
        reference: as a data set stores it.
        completion: the whole text.
        right: what it was built as.
        named: the class named in the docs that it belongs to; "" for none.
    """

    kind: str
    prompt: str
    reference: str
    completion: str
    right: bool
    named: str = ""


def items(count: int, seed: int = 0) -> list[Item]:
    """`count` items of the mix, in random order."""
    rng = random.Random(seed)
    found = []
    for kind, share in SHARES.items():
        for number in range(round(count * share)):
            made = _named(kind, rng) if rng.random() < NAMED and kind != "sets, intervals" else None
            found.append(made or _ordinary(kind, rng, right=number % 2 == 0))
    rng.shuffle(found)
    return found


def _ordinary(kind: str, rng: random.Random, right: bool) -> Item:
    if kind == "prose":
        return _prose(rng, right)
    reference, other, wrong = MAKERS[kind](rng)
    answer = rng.choice([reference, other]) if right else wrong
    return Item(kind, _question(rng), reference, _reasoning(rng) + _ending(rng, answer, kind), right)


def _question(rng: random.Random) -> str:
    return f"Problem {rng.randint(1, 999)}: a collection is described in the figure. Find the value that is asked for."


def _reasoning(rng: random.Random) -> str:
    a, b, c = rng.randint(2, 40), rng.randint(2, 12), rng.randint(1, 60)
    numbers = {"a": a, "b": b, "c": c, "ab": a * b, "abc": a * b + c}
    steps = rng.sample(STEPS, rng.randint(3, 8))
    separator = rng.choice([" ", "\n", "\n\n"])
    return separator.join(step.format(**numbers) for step in steps) + "\n\n"


def _ending(rng: random.Random, answer: str, kind: str) -> str:
    marks = ["boxed", "boxed", "boxed", "sentence"] + (["####"] if kind in ("integers", "decimals, fractions") else [])
    mark = rng.choice(marks)
    if mark == "####" and "\\" in answer:
        # math-verify reads LaTeX only between delimiters.
        answer = f"${answer}$"
    return rng.choice(ENDINGS[mark]).format(answer)


def _prose(rng: random.Random, right: bool) -> Item:
    a, b, c = rng.randint(12, 99), rng.randint(2, 60), rng.randint(1, 9)
    value = a + b - c
    shown = value if right else value + rng.choice([-10, -1, 1, 2, 10])
    thing = rng.choice(THINGS)
    ending = rng.choice(
        [
            f"So {a} + {b} - {c} = {shown} {thing} are left.",
            f"In the end there are {shown} {thing}.",
            f"Adding up and taking away, we arrive at ${shown}$ {thing}.",
            f"{a} + {b} = {a + b}, and {a + b} - {c} = {shown}. Hence there are {shown} {thing} left.",
            f"That makes {shown}.",
            f"This leaves us with **{shown}** {thing}.",
        ]
    )
    prompt = f"Mia has {a} {thing}, gets {b} more and gives {c} away. How many are left?"
    return Item("prose", prompt, str(value), _reasoning(rng) + ending, right)


def _named(kind: str, rng: random.Random) -> Item:
    """A wrong completion of one of the classes in which the verdict is meant to differ."""
    if kind == "prose":
        item = _prose(rng, True)
        value = item.reference
        named, ending = rng.choice(
            [
                ("denied", f"So it is certainly not {value}."),
                ("several answers", f"It must be {int(value) + 1} or {value}."),
                (
                    "taken back",
                    f"So there are {value}. That is wrong, I was mistaken.\n\nThere must be {int(value) + 7}.",
                ),
            ]
        )
        return Item(kind, item.prompt, value, _reasoning(rng) + ending, False, named)
    value, other = rng.randint(12, 99), rng.randint(100, 200)
    first = rng.randint(1, value - 1)
    named, answer = rng.choice(
        [
            ("per cent", rf"{value}\%"),
            ("problem copied", f"{first}+{value - first}"),
            ("several answers", rf"{other} \text{{ or }} {value}"),
        ]
    )
    prompt = f"Compute {first}+{value - first}." if named == "problem copied" else _question(rng)
    return Item(kind, prompt, str(value), _reasoning(rng) + _ending(rng, answer, kind), False, named)
