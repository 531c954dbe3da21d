"""Names under which data sets and rewards know the prompt and the reference answer, most usual first."""

from __future__ import annotations

PROMPT_COLUMNS = ("prompt", "question", "problem", "instruction", "input", "query", "messages")
REFERENCE_COLUMNS = (
    "answer",
    "solution",
    "ground_truth",
    "target",
    "reference",
    "gold",
    "label",
    "expected",
    "final_answer",
    "expected_answer",
    "expected_output",
    "correct_answer",
    "reference_answer",
    "gold_answer",
    "target_answer",
    "gt",
)
