"""Every set of reasoning-gym as a task: entries from its generator, its own scorer as gold."""

from __future__ import annotations

import importlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from trueward.errors import DataError, MissingExtra
from trueward.tasks.gold import Gold
from trueward.tasks.text.procedural.drawing import draw_rows, generator_of
from trueward.tasks.text.procedural.from_data import characters_of
from trueward.tasks.text.procedural.task import Demonstration, Split
from trueward.tasks.text.reasoning_gym import FULL, rows_of
from trueward.tasks.text.rows import Row
from trueward.tasks.text.vocabulary import Vocabulary

_ANSWER_TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_ENTRIES = 10_000  # of the set that one seed makes; each entry is made only when it is asked for
_SAMPLED = 8  # entries whose characters are looked at
Scorer = Callable[[Sequence[Row], Sequence[str]], Sequence[float]]


@dataclass(frozen=True)
class ReasoningGymTask:
    """One set, e.g. "chain_sum"; prompts are its questions.

    Gold is 1 where the set's scorer gives a full answer's score to what stands in the completion's last
    `<answer>…</answer>`, or to the whole completion when it has no tag. Measures: `partial` (the score itself,
    clipped to [0, 1]), `failed` (1 where the scorer raised an exception), `length` in characters.

    Some sets draw from Python sets of text; their entries depend on PYTHONHASHSEED, and gold refuses rows that another
    process made of them.

    Attributes:
        set_name: of the set.
        config: its arguments, without seed and size.
        scorer: scores answers to rows, where the set's own scorer shall not run in this process: some of them can be
            made to hang by a hostile answer, so that a trained policy is better scored by worker processes.
        max_new_tokens: how long a completion may become.
    """

    set_name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    scorer: Scorer | None = None
    max_new_tokens: int = 256
    _made: dict[int, Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises `DataError` when seed or size are among the arguments."""
        taken = sorted({"seed", "size"} & set(self.config))
        if taken:
            raise DataError(f"{self.name}: {' and '.join(taken)} follow from the task's own seed; leave them out")

    @property
    def name(self) -> str:
        """reasoning_gym:SET."""
        return f"reasoning_gym:{self.set_name}"

    @property
    def vocabulary(self) -> Vocabulary:
        """ASCII, and the other characters of some entries."""
        rows = [self._entry_row(0, index) for index in range(_SAMPLED)]
        return characters_of([row.prompt_text + (row.answer or "") for row in rows])

    def rows(self, n: int, seed: int, split: Split = "train") -> list[Row]:
        """n entries; their columns `seed` and `index` say which.

        Raises:
            DataError: there is no such set, or it cannot be made from these arguments.
            MissingExtra: reasoning-gym is not installed.
        """
        return self._drawn(n, generator_of(self.name, seed, f"rows {split}"), split)

    def demonstrations(self, n: int, seed: int) -> list[Demonstration]:
        """n stored answers.

        Raises:
            DataError: the set stores no answers; or as `rows`.
        """
        rows = self._drawn(n, generator_of(self.name, seed, "demonstrations"), "train")
        lacking = next((row for row in rows if row.answer is None), None)
        if lacking is not None:
            raise DataError(f"{lacking.where}: the set stores no answer to imitate; write demonstrations of your own")
        return [Demonstration(row, row.answer or "") for row in rows]

    def gold(self, rows: Sequence[Row], completions: Sequence[str]) -> Gold:
        """1 for a full answer by the set's own scorer; see the class."""
        answers = [_answer_of(completion) for completion in completions]
        if self.scorer is None:
            scores = [self._scored(row, answer) for row, answer in zip(rows, answers, strict=True)]
        else:
            scores = [float(score) for score in self.scorer(rows, answers)]
        numbers = np.array(scores, dtype=float).reshape(-1)
        failed = ~np.isfinite(numbers)
        partial = np.clip(np.where(failed, 0.0, numbers), 0.0, 1.0)
        length = np.array([len(completion) for completion in completions], dtype=float)
        measures = {"partial": partial, "failed": failed.astype(float), "length": length}
        return Gold((partial >= FULL).astype(float), measures)

    def _drawn(self, n: int, generator: np.random.Generator, split: Split) -> list[Row]:
        seed = int(generator.integers(2**31 - _ENTRIES))
        return draw_rows(lambda stream: self._entry_row(seed, int(stream.integers(_ENTRIES))), n, generator, split)

    def _entry_row(self, seed: int, index: int) -> Row:
        (row,) = rows_of(self.set_name, {index: self._entry(seed, index)}, f"{self.name}, seed {seed}")
        return replace(row, columns={**row.columns, "seed": seed})

    def _entry(self, seed: int, index: int) -> dict[str, Any]:
        with redirect_stdout(io.StringIO()):  # making entries prints progress for some sets
            entry: dict[str, Any] = self._dataset(seed)[index]
        return entry

    def _dataset(self, seed: int) -> Any:
        if seed not in self._made:
            self._made[seed] = _create(self.set_name, {**self.config, "seed": seed, "size": _ENTRIES})
        return self._made[seed]

    def _scored(self, row: Row, answer: str) -> float:
        """The scorer's number; NaN where it raised."""
        entry = self._entry(row.columns["seed"], row.columns["index"])
        if entry["question"] != row.prompt:
            raise DataError(f"{row.where} is another question in this process; set PYTHONHASHSEED to 0 before starting")
        try:
            return float(self._dataset(row.columns["seed"]).score_answer(answer=answer, entry=entry))
        except Exception:  # a foreign scorer may raise anything, and a completion that breaks it is not right
            return float("nan")


def _answer_of(completion: str) -> str:
    tagged = _ANSWER_TAG.findall(completion)
    return str(tagged[-1] if tagged else completion).strip()


def _create(name: str, config: Mapping[str, Any]) -> Any:
    try:
        package = importlib.import_module("reasoning_gym")
    except ModuleNotFoundError as error:
        if error.name != "reasoning_gym":
            raise
        raise MissingExtra("reasoning-gym is not installed: pip install 'trueward[audit]'") from error
    try:
        with redirect_stdout(io.StringIO()):
            return package.create_dataset(name, **config)
    except (AssertionError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"reasoning_gym:{name} cannot be made from {dict(config)}: {error}") from error
