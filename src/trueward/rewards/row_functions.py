"""Rewards that score one completion per call: `(completion, answer)` functions, and verl's `compute_score`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trueward.errors import RewardError
from trueward.rewards.awaiting import settled
from trueward.rewards.references import holds, messages_of, text_of, value, with_aliases
from trueward.rewards.runner.types import Item
from trueward.tasks.text.columns import REFERENCE_COLUMNS

# The first of these names that a function has is its completion: `(text, prediction)` means the prediction.
_COMPLETION_NAMES = (
    "completion",
    "response",
    "solution_str",
    "predict_str",
    "model_output",
    "prediction",
    "pred",
    "predicted",
    "output",
    "generation",
    "generated",
    "candidate",
    "text",
)
_COMPLETION_PATTERN = re.compile(
    r"(completion|response|model|llm|student|predicted|generated|output|pred)_"
    r"(answer|response|output|solution|text|str|string|content|completion)"
)
_PROMPT_NAMES = ("prompt", "question", "problem", "instruction", "query", "messages")
_VERL_NAMES = ("solution_str", "predict_str", "data_source", "extra_info")


@dataclass(frozen=True)
class RowFunction:
    """A function that is called once per row.

    Attributes:
        function: the reward.
        name: for readers.
        sources: parameter → where its value comes from: "completion", "prompt", "messages", "column" (required),
            "optional column", "data source" or "extra info".
        positional: parameters that can only be given by position, in their order.
        every: whether it accepts any further column.
        needs: columns that must be there.
        aliases: needed column → column that stands for it.
        kind, containers: as in `Leaf`.
    """

    function: Callable[..., Any]
    name: str
    sources: Mapping[str, str]
    positional: tuple[str, ...]
    every: bool
    needs: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    kind: str = "function"
    containers: tuple[str, ...] = ("text",)
    stand_ins: tuple[str, ...] = ()

    @property
    def takes(self) -> tuple[str, ...] | None:
        """Parameters that it accepts; None when it accepts every column."""
        return None if self.every else tuple(self.sources)

    def score_rows(self, rows: Sequence[Item]) -> object:
        """One score per row, as the function returns them; verl's mappings are reduced to their `score`.

        Raises:
            RewardError: a needed column is missing.
            Exception: whatever the function raises.
        """
        results = settled([self._call(row) for row in rows])
        if self.kind != "verl":
            return results
        return [one["score"] if isinstance(one, Mapping) and "score" in one else one for one in results]

    def _call(self, row: Item) -> Any:
        columns = with_aliases(self.needs, row.columns, self.aliases)
        arguments: dict[str, Any] = dict(columns) if self.every else {}
        for name, source in self.sources.items():
            if source == "optional column" and not holds(columns, name):
                continue
            arguments[name] = _filled(name, source, row, columns)
        positional = [arguments.pop(name) for name in self.positional if name in arguments]
        return self.function(*positional, **arguments)


def _filled(name: str, source: str, row: Item, columns: Mapping[str, Any]) -> Any:
    if source == "completion":
        return text_of(row.completion)
    if source == "prompt":
        return text_of(row.prompt)
    if source == "messages":
        return messages_of(row.prompt)
    if source == "data source":
        return columns.get("data_source", "unknown")
    if source == "extra info":
        return columns.get("extra_info") or {}
    return value(columns, name)


def row_function(
    function: Callable[..., Any], name: str, signature: inspect.Signature, aliases: Mapping[str, str]
) -> RowFunction:
    """Wrap a function that takes one completion, recognising its parameters by name.

    Raises:
        RewardError: no parameter takes the completion, or more than one could.
    """
    shown = f"{name}{signature}"
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = [p for p in signature.parameters.values() if p.kind not in variable]
    names = [p.name for p in parameters]
    required = [p.name for p in parameters if p.default is p.empty]
    completion = _completion(names, required, shown)
    verl = any(one in names for one in _VERL_NAMES) or (completion == "model_output" and "ground_truth" in names)
    sources = {p.name: _source(p, completion, verl) for p in parameters}
    every = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    return RowFunction(
        function,
        name,
        sources,
        positional=tuple(p.name for p in parameters if p.kind is p.POSITIONAL_ONLY),
        # verl fills **kwargs from its configuration, not from the data.
        every=every and not verl,
        needs=tuple(aliases.get(one, one) for one, source in sources.items() if source == "column"),
        aliases=aliases,
        kind="verl" if verl else "function",
    )


def _source(parameter: inspect.Parameter, completion: str, verl: bool) -> str:
    name = parameter.name
    if name == completion:
        return "completion"
    if verl and name == "data_source":
        return "data source"
    if verl and name == "extra_info":
        return "extra info"
    if name in _PROMPT_NAMES:
        return "messages" if name == "messages" else "prompt"
    return "column" if parameter.default is parameter.empty else "optional column"


def _completion(names: Sequence[str], required: Sequence[str], shown: str) -> str:
    """Which parameter takes the completion.

    Raises:
        RewardError: none does, or it cannot be told.
    """
    known = [name for name in _COMPLETION_NAMES if name in names]
    known += [name for name in names if _COMPLETION_PATTERN.fullmatch(name) and name not in known]
    if known:
        return known[0]
    if len(required) == 1 or len(names) == 1:
        return (required or names)[0]
    references = [name for name in names if name in REFERENCE_COLUMNS]
    if len(references) > 1:
        # (answer, solution) is a completion with its reference; (solution, answer) may be either way round.
        if "answer" in references and "solution" not in references[: references.index("answer")]:
            return "answer"
        raise RewardError(
            f"{shown}: it cannot be told which of {', '.join(references)} is the model's completion; name that "
            "parameter 'completion' (a one-line wrapper will do)"
        )
    raise RewardError(
        f"{shown}: no parameter takes the completion. Expected one of: a TRL function (completions, **kwargs); "
        "verl's compute_score(data_source, solution_str, ground_truth, extra_info); a function (completion, answer). "
        f"Rename one of {', '.join(names) or 'its parameters'} to 'completion', or, if it makes a reward, call it with "
        "literal arguments in the address: file.py:make(k=3)"
    )
