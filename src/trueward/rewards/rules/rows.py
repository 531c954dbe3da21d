"""Rows out of the arguments that TRL gives to a reward function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trueward.rewards.runner.types import Item


def rows_of(prompts: Sequence[Any], completions: Sequence[Any], columns: Mapping[str, Any]) -> list[Item]:
    """N rows from N prompts, N completions and the columns that have N entries; anything else is no column.

    Args:
        prompts: text or chat messages.
        completions: text or chat messages.
        columns: keyword arguments: data columns, and what a trainer adds (its state, loggers).
    """
    count = len(completions)
    data = {
        name: values for name, values in columns.items() if isinstance(values, list | tuple) and len(values) == count
    }
    return [
        Item(prompt, completion, {name: values[i] for name, values in data.items()})
        for i, (prompt, completion) in enumerate(zip(prompts, completions, strict=True))
    ]
