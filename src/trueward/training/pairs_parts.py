"""What a pair builder is made of: selectors, generators of negatives, validators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from trueward.batch import Rollouts
from trueward.rewards.references import text_of
from trueward.training.pairs_labelled import by_prompt, text_content


@dataclass(frozen=True)
class Candidates:
    """The rollouts of one prompt.

    Attributes:
        prompt: that they answer.
        completions: G of them, as text.
        scores: one each; NaN where there is none.
        valid: True on those that may be a positive.
        finished: True on those that ended by themselves.
        reference: what a reward may read about the prompt.
    """

    prompt: Any
    completions: Sequence[str]
    scores: Float[np.ndarray, " g"]
    valid: Bool[np.ndarray, " g"]
    finished: Bool[np.ndarray, " g"]
    reference: Mapping[str, Any]


Selector = Callable[[Candidates, np.random.Generator], int | None]
Negatives = Callable[[Candidates, int, np.random.Generator], int | str | None]
"""(candidates, positive) → the number of another candidate, a new text, or None when there is none."""
Validator = Callable[[Candidates, int, str], bool]
"""(candidates, positive, negative) → False to refuse the negative."""


def first_valid(candidates: Candidates, generator: np.random.Generator) -> int | None:
    """The first valid completion."""
    return int(candidates.valid.argmax()) if candidates.valid.any() else None


def best(candidates: Candidates, generator: np.random.Generator) -> int | None:
    """The valid completion with the highest score; the first of equals."""
    usable = candidates.valid & np.isfinite(candidates.scores)
    return int(np.where(usable, candidates.scores, -np.inf).argmax()) if usable.any() else None


def random_valid(candidates: Candidates, generator: np.random.Generator) -> int | None:
    """Any valid completion."""
    return int(generator.choice(np.flatnonzero(candidates.valid))) if candidates.valid.any() else None


def rewritten(change: Callable[[str, Candidates, np.random.Generator], str | None]) -> Negatives:
    """Negatives written from the positive: by a procedure that plants an error, or by a model that is asked to.

    Args:
        change: (positive, candidates, generator) → a worse text that shares its style; None where it has none.
    """

    def write(candidates: Candidates, positive: int, generator: np.random.Generator) -> str | None:
        return change(candidates.completions[positive], candidates, generator)

    return write


def lowest(candidates: Candidates, positive: int, generator: np.random.Generator) -> int | None:
    """The rollout with the lowest score, other than the positive."""
    usable = np.isfinite(candidates.scores)
    usable[positive] = False
    return int(np.where(usable, candidates.scores, np.inf).argmin()) if usable.any() else None


def random_invalid(candidates: Candidates, positive: int, generator: np.random.Generator) -> int | None:
    """Any rollout that is not valid. Where `valid` misses right answers, so do these negatives."""
    return int(generator.choice(np.flatnonzero(~candidates.valid))) if not candidates.valid.all() else None


def differs(candidates: Candidates, positive: int, negative: str) -> bool:
    """Refuses a copy of the positive."""
    return negative != candidates.completions[positive]


def judged_wrong(right: Callable[[str, Mapping[str, Any]], bool]) -> Validator:
    """Refuses negatives that are right after all.

    Args:
        right: (completion, reference) → True where it is right. To differ from the positive is less than to be wrong:
            ask for the reference too.
    """

    def wrong(candidates: Candidates, positive: int, negative: str) -> bool:
        return differs(candidates, positive, negative) and not right(negative, candidates.reference)

    return wrong


def candidates_of(
    rollouts: Rollouts, scores: Float[np.ndarray, " n"], valid: Bool[np.ndarray, " n"] | None = None
) -> list[Candidates]:
    """The rollouts by prompt, in the order in which prompts appear.

    Raises:
        TrainingError: the rollouts are no text.
    """
    content = text_content(rollouts)
    usable = np.isfinite(scores) if valid is None else np.asarray(valid, dtype=bool)
    finished = np.asarray(rollouts.features.get("finished", np.ones(len(rollouts), dtype=bool)))
    found = []
    for places in by_prompt(rollouts):
        found.append(
            Candidates(
                prompt=content.prompts[places[0]],
                completions=[text_of(content.completions[place]) for place in places],
                scores=np.asarray(scores, dtype=np.float64)[places],
                valid=usable[places],
                finished=finished[places],
                reference=rollouts.reference[places[0]] if rollouts.reference else {},
            )
        )
    return found
