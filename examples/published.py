"""Published scorers that are no reward functions yet, used as their documentation recommends.

To audit one: `trueward audit examples/published.py:math_verify_reward --data examples/prompts.jsonl`.
"""

from __future__ import annotations

from math_verify import parse, verify


def math_verify_reward(completion: str, answer: str) -> float:
    """1.0 when math-verify finds the completion's answer equal to the reference: `verify(parse(gold), parse(answer))`.

    The documentation asks for gold answers in LaTeX to stand in a LaTeX environment; plain numbers need none.
    """
    gold = f"${answer}$" if "\\" in str(answer) and "$" not in str(answer) else str(answer)
    return float(verify(parse(gold), parse(completion)))
