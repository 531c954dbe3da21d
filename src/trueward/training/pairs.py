"""Pairs of completions out of rollouts: selector × generator × validator.

For each prompt a selector picks the better completion among its rollouts, a generator finds or writes a worse one, and
a validator may refuse it; then the generator tries again. What the negative shares with the positive (its style, its
length) is what a reward model cannot learn to prefer.

    builder = PairBuilder(first_valid, rewritten(corrupt), judged_wrong(check), capacity=256, least=16)
    preferences, counts = builder.build(rollouts, scores, valid, generator)

Reference: Hong et al. 2025 (Cooper), arXiv 2508.05613: positive by a rule, negative by an assistant, three attempts;
Rosset et al. 2024 (DNO) for pairs from scores with a least margin.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from trueward.batch import Preferences, Rollouts, Text
from trueward.errors import TrainingError
from trueward.rewards.references import text_of
from trueward.training.pairs_parts import Candidates, Negatives, Selector, Validator, candidates_of, differs


@dataclass(frozen=True)
class PairCounts:
    """What became of the prompts of one build.

    Attributes:
        prompts: number of prompts.
        no_positive: prompts without a completion that may be a positive.
        no_negative: prompts for which the generator had none.
        refused: prompts whose negatives were all refused.
        duplicates: pairs that were there before, in this build or in the buffer.
        valid: new pairs.
        attempts: calls of the generator.
        replayed: pairs taken from the buffer.
    """

    prompts: int = 0
    no_positive: int = 0
    no_negative: int = 0
    refused: int = 0
    duplicates: int = 0
    valid: int = 0
    attempts: int = 0
    replayed: int = 0

    @property
    def valid_rate(self) -> float:
        """Share of prompts that gave a pair, duplicates included; NaN without prompts."""
        return (self.valid + self.duplicates) / self.prompts if self.prompts else float("nan")


@dataclass(frozen=True)
class _Pair:
    prompt: Any
    positive: str
    negative: str
    finished: tuple[bool, bool]
    reference: Mapping[str, Any]

    @property
    def id(self) -> int:
        told = json.dumps([text_of(self.prompt), self.positive, self.negative]).encode()
        return int.from_bytes(hashlib.blake2b(told, digest_size=8).digest()) >> 1


@dataclass
class PairBuilder:
    """Builds at most one pair per prompt and call, and remembers recent ones.

    Attributes:
        select: picks the positive.
        negatives: finds or writes the negative.
        validate: may refuse it.
        attempts: how often a refused negative is tried again, the first time included.
        least_margin: by how much the positive's score must exceed that of a negative that is a rollout.
        capacity: pairs that the buffer keeps, the most recent; 0 for no buffer.
        least: a build with fewer new pairs is filled up to so many from the buffer: where a hacked policy leaves no
            valid positives, a reward model must not stop learning.
    """

    select: Selector
    negatives: Negatives
    validate: Validator = differs
    attempts: int = 3
    least_margin: float = 0.0
    capacity: int = 0
    least: int = 0
    _buffer: deque[_Pair] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Raises `TrainingError` for numbers that make no sense."""
        if self.attempts < 1 or self.least_margin < 0 or self.capacity < 0 or self.least < 0:
            raise TrainingError(
                f"pairs with attempts={self.attempts}, least_margin={self.least_margin}, capacity={self.capacity}, "
                f"least={self.least}: expected at least 1 attempt, and nothing negative"
            )
        self._buffer = deque(maxlen=self.capacity)

    def build(
        self,
        rollouts: Rollouts,
        scores: Float[np.ndarray, " n"],
        valid: Bool[np.ndarray, " n"] | None = None,
        generator: np.random.Generator | None = None,
    ) -> tuple[Preferences | None, PairCounts]:
        """Pairs of the rollouts' prompts, and what became of each prompt.

        Args:
            rollouts: text; those with the same group answer the same prompt.
            scores: one each, NaN where there is none.
            valid: which may be a positive; None for all that have a score.
            generator: for selectors and generators that draw, and for the buffer.

        Returns:
            Preferences whose `a` is the positive (label 1), as text, with `group` by prompt; None where there is not
            one pair.

        Raises:
            TrainingError: the rollouts are no text.
        """
        generator = np.random.default_rng(0) if generator is None else generator
        known = {pair.id for pair in self._buffer}
        tally: dict[str, int] = {}
        pairs: list[_Pair] = []
        for candidates in candidates_of(rollouts, scores, valid):
            found, what, attempts = self._pair(candidates, generator)
            if found is not None and found.id in known:
                what = "duplicates"
            elif found is not None:
                known.add(found.id)
                pairs.append(found)
            for counter, amount in (("prompts", 1), (what, 1), ("attempts", attempts)):
                tally[counter] = tally.get(counter, 0) + amount
        fresh = len(pairs)
        missing = min(max(0, self.least - fresh), len(self._buffer))
        drawn = generator.choice(len(self._buffer), size=missing, replace=False).tolist() if missing else []
        replayed = [self._buffer[place] for place in sorted(drawn)]
        self._buffer.extend(pairs)
        pairs = [*pairs, *replayed]
        counts = PairCounts(**tally, replayed=len(replayed))
        return (_preferences(pairs) if pairs else None), counts

    def _pair(self, candidates: Candidates, generator: np.random.Generator) -> tuple[_Pair | None, str, int]:
        """A pair, the counter it belongs to, and how often the generator was called."""
        positive = self.select(candidates, generator)
        if positive is None:
            return None, "no_positive", 0
        for attempt in range(1, self.attempts + 1):
            found = self.negatives(candidates, positive, generator)
            if found is None:
                return None, "no_negative", attempt
            if isinstance(found, str):
                text, finished, enough = found, candidates.finished[positive], True
            else:
                text, finished = candidates.completions[found], candidates.finished[found]
                enough = self.least_margin == 0 or bool(
                    candidates.scores[positive] - candidates.scores[found] >= self.least_margin
                )
            if enough and self.validate(candidates, positive, text):
                ended = bool(candidates.finished[positive]), bool(finished)
                whole = candidates.completions[positive]
                return _Pair(candidates.prompt, whole, text, ended, candidates.reference), "valid", attempt
        return None, "refused", self.attempts

    def state_dict(self) -> dict[str, Any]:
        """The buffer, as JSON values where prompts and references are."""
        return {"buffer": [{**vars(pair), "reference": dict(pair.reference)} for pair in self._buffer]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        pairs = [_Pair(**{**pair, "finished": tuple(pair["finished"])}) for pair in state["buffer"]]
        self._buffer = deque(pairs, maxlen=self.capacity)


def _preferences(pairs: Sequence[_Pair]) -> Preferences:
    names: dict[str, int] = {}
    group = np.array([names.setdefault(text_of(pair.prompt), len(names)) for pair in pairs], dtype=np.int64)
    prompts = [pair.prompt for pair in pairs]
    reference = [pair.reference for pair in pairs]
    a, b = (
        Rollouts(
            Text(prompts, texts),
            group=group,
            features={"finished": np.array([pair.finished[side] for pair in pairs], dtype=bool)},
            reference=reference,
        )
        for side, texts in enumerate(([pair.positive for pair in pairs], [pair.negative for pair in pairs]))
    )
    return Preferences(a, b, np.ones(len(pairs)), id=np.array([pair.id for pair in pairs], dtype=np.int64))
