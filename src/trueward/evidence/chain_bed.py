"""What test beds on chain arithmetic share: the verifier of its answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def states_answer(completions: Sequence[str], answer: Sequence[str], **columns: Any) -> list[float]:
    """1 where the last line reads `ans = N` with the right N, exactly; else 0."""
    last = [completion.strip().rpartition("\n")[2].strip() for completion in completions]
    return [float(line == f"ans = {right}") for line, right in zip(last, answer, strict=True)]
