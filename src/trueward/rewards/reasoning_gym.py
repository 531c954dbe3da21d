"""The scorers of reasoning-gym: each set scores an answer against an entry that is made again from its seed."""

from __future__ import annotations

import copy
import difflib
import importlib
import io
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from typing import Any

from trueward.errors import MissingExtra, RewardError
from trueward.rewards.references import text_of
from trueward.rewards.runner.types import Item

DEFAULT_SEED = 0
MOST_MADE_AHEAD = 100
PATIENCE = 15.0  # seconds

# Sets with a scorer of their own that reads nothing of the entry but its answer, as the inherited scorer does.
_READS_ONLY_ANSWER = frozenset({"polynomial_multiplication"})

# Making entries prints progress for some sets, and `redirect_stdout` acts on the whole process.
_making = threading.RLock()


@dataclass(frozen=True)
class ReasoningGym:
    """The scorer of one set.

    The row's column `index` says which entry is meant. Entries are made again where the scorer runs, from name, seed,
    size and configuration, and every call gets its own copy, because some scorers write into their entry.

    Attributes:
        name: of the set.
        config: arguments of the set; without `seed` it is 0.
        kind, needs, takes, containers, stand_ins: as in `Leaf`.
    """

    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "reasoning_gym"
    needs: tuple[str, ...] = ("index",)
    takes: tuple[str, ...] | None = ("index", "answer")
    containers: tuple[str, ...] = ("text",)
    stand_ins: tuple[str, ...] = ()
    _made: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def score_rows(self, rows: Sequence[Item]) -> object:
        """One score per row, as `score_answer` returns it.

        Raises:
            RewardError: a row has no usable index, or the entry made here is not the row's.
            Exception: whatever the scorer raises.
        """
        return [self.dataset.score_answer(answer=text_of(row.completion), entry=self._entry_of(row)) for row in rows]

    @property
    def dataset(self) -> Any:
        """The set itself, made once.

        Raises:
            RewardError: it cannot be made from these arguments.
            MissingExtra: reasoning-gym is not installed.
        """
        with _making:
            if "dataset" not in self._made:
                self._made["dataset"] = _create(self.name, dict(self.config))
            return self._made["dataset"]

    def make_ahead(self) -> None:
        """Make the set, and the entries of one whose size is named, so that no answer is charged for their making.

        Some sets take seconds for one entry. After `PATIENCE` seconds the rest is made when it is needed.
        """
        began = time.monotonic()
        size = len(self.dataset)
        count = min(size, MOST_MADE_AHEAD) if "size" in self.config else 0
        for index in range(count):
            self.entry(index)
            if time.monotonic() - began > PATIENCE:
                return

    def entry(self, index: int) -> dict[str, Any]:
        """A copy of entry `index` of the set."""
        with _making:
            if index not in self._made:
                with redirect_stdout(io.StringIO()):
                    self._made[index] = self.dataset[index]
            entry: dict[str, Any] = copy.deepcopy(self._made[index])
            return entry

    def _entry_of(self, row: Item) -> dict[str, Any]:
        index = row.columns.get("index")
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(self.dataset):
            raise RewardError(
                f"reasoning_gym:{self.name} needs the column 'index', a whole number below {len(self.dataset)}; the "
                f"row has {index!r}"
            )
        entry = self.entry(index)
        asked = text_of(row.prompt)
        if not asked or entry["question"].strip() in asked:
            return entry
        # Some sets draw from Python sets of text, whose order differs from process to process.
        if isinstance(row.columns.get("answer"), str) and _reads_only_answer(self.name, self.dataset):
            return {**entry, "question": asked, "answer": row.columns["answer"]}
        raise RewardError(
            f"entry {index} of reasoning_gym:{self.name} is another question here than in the row. Name the seed and "
            "size that made the row in the address; if they are the same, the set depends on PYTHONHASHSEED: set it to "
            "0 before starting"
        )


def _reads_only_answer(name: str, dataset: Any) -> bool:
    inherited = importlib.import_module("reasoning_gym.dataset").ProceduralDataset.score_answer
    return name in _READS_ONLY_ANSWER or type(dataset).score_answer is inherited


def _sets() -> Mapping[str, tuple[Any, Any]]:
    try:
        importlib.import_module("reasoning_gym")
        sets: Mapping[str, tuple[Any, Any]] = importlib.import_module("reasoning_gym.factory").DATASETS
    except ModuleNotFoundError as error:
        if error.name != "reasoning_gym":
            raise
        raise MissingExtra("reasoning-gym is not installed: pip install 'trueward[audit]'") from error
    return sets


def set_names() -> list[str]:
    """Names of all sets that can be made without arguments, sorted.

    Raises:
        MissingExtra: reasoning-gym is not installed.
    """
    return sorted(name for name, (_, config) in _sets().items() if _valid_without_arguments(config))


def _valid_without_arguments(config: Any) -> bool:
    try:
        made = config()
        if hasattr(made, "validate"):
            made.validate()
    except (AssertionError, TypeError, ValueError):
        return False
    return True


def reasoning_gym_leaf(name: str, config: Mapping[str, Any]) -> ReasoningGym:
    """The scorer of a set.

    Args:
        name: of the set.
        config: arguments of the set; `seed` defaults to 0, everything else to what reasoning-gym says.

    Raises:
        RewardError: there is no such set, or it does not accept the arguments.
        MissingExtra: reasoning-gym is not installed.
    """
    sets = _sets()
    if name not in sets:
        close = difflib.get_close_matches(name, sets, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(close)}?" if close else "'reasoning_gym:*' names them all."
        raise RewardError(f"'reasoning_gym:{name}': there is no set {name!r} among the {len(sets)}. {hint}")
    known = sorted(getattr(sets[name][1], "__dataclass_fields__", {}))
    unknown = sorted(set(config) - set(known))
    if unknown:
        raise RewardError(f"'reasoning_gym:{name}' has no argument {', '.join(unknown)}; it has {', '.join(known)}")
    leaf = ReasoningGym(name, {"seed": DEFAULT_SEED, **config})
    leaf.make_ahead()
    return leaf


def _create(name: str, config: dict[str, Any]) -> Any:
    _sets()
    try:
        with redirect_stdout(io.StringIO()):
            return importlib.import_module("reasoning_gym").create_dataset(name, **config)
    except (AssertionError, TypeError, ValueError, AttributeError) as error:
        raise RewardError(f"'reasoning_gym:{name}' cannot be made from {config}: {error}") from error
