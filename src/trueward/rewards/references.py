"""Which column a reward reads as its reference, and what a prompt or completion is as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trueward.errors import RewardError
from trueward.tasks.text.columns import REFERENCE_COLUMNS


def holds(columns: Mapping[str, Any], name: str) -> bool:
    """True when the row has the column; verl keeps `ground_truth` inside the column `reward_model`."""
    return name in columns or (name == "ground_truth" and _nested(columns) is not None)


def value(columns: Mapping[str, Any], name: str) -> Any:
    """The column's value, found as `holds` finds it.

    Raises:
        KeyError: there is none.
    """
    if name not in columns and name == "ground_truth":
        nested = _nested(columns)
        if nested is not None:
            return nested["ground_truth"]
    return columns[name]


def _nested(columns: Mapping[str, Any]) -> Mapping[str, Any] | None:
    reward_model = columns.get("reward_model")
    return reward_model if isinstance(reward_model, Mapping) and "ground_truth" in reward_model else None


def alias(needs: Sequence[str], columns: Mapping[str, Any]) -> dict[str, str]:
    """Which present column to hand over under which missing name.

    A reward that asks for `solution` gets the column `answer` when that is the only reference there is. Anything less
    clear is refused.

    Args:
        needs: columns that the reward requires.
        columns: columns of the row.

    Returns:
        Missing name → present column, with one entry at most; empty when nothing is missing.

    Raises:
        RewardError: a column is missing and nothing stands unambiguously for it.

    Example:
        >>> alias(("solution",), {"prompt": "1 + 1", "answer": "2"})
        {'solution': 'answer'}
    """
    missing = [name for name in needs if not holds(columns, name)]
    if not missing:
        return {}
    present = [name for name in REFERENCE_COLUMNS if columns.get(name) is not None and name not in needs]
    if len(missing) == 1 and missing[0] in REFERENCE_COLUMNS and len(present) == 1:
        return {missing[0]: present[0]}
    why = ""
    if len(missing) == 1 and missing[0] in REFERENCE_COLUMNS and len(present) > 1:
        why = f" Several columns could be meant ({', '.join(present)}): rename the one that is."
    raise RewardError(
        f"the reward needs the column{'s' if len(missing) > 1 else ''} {_quoted(missing)}; the row has "
        f"{_quoted(list(columns)) or 'no columns'}.{why or ' Add it to the data, or rename the column that holds it.'}"
    )


def with_aliases(needs: Sequence[str], columns: Mapping[str, Any], chosen: Mapping[str, str]) -> Mapping[str, Any]:
    """The columns with every needed name present: first as chosen, then as `alias` finds.

    Raises:
        RewardError: as `alias`, or a chosen column is not in the row.
    """
    if chosen:
        absent = [present for present in chosen.values() if not holds(columns, present)]
        if absent:
            raise RewardError(f"the row has no column {_quoted(absent)}; it has {_quoted(list(columns)) or 'none'}")
        columns = {**columns, **{wanted: value(columns, present) for wanted, present in chosen.items()}}
    if all(holds(columns, name) for name in needs):
        return columns
    return {**columns, **{wanted: value(columns, present) for wanted, present in alias(needs, columns).items()}}


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)


def text_of(content: Any) -> str:
    """A prompt or completion as text: itself, or the contents of its messages, one below the other."""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        return text_of(content.get("text") if "text" in content else content.get("content"))
    if isinstance(content, Sequence):
        return "\n".join(text_of(part) for part in content)
    return "" if content is None else str(content)


def messages_of(prompt: Any) -> list[Any]:
    """A prompt as chat messages."""
    return list(prompt) if isinstance(prompt, list | tuple) else [{"role": "user", "content": text_of(prompt)}]
