"""Labels for the steps of solutions, without anyone who reads them: how often a completer gets it right from there.

    label of step k = (1/m) Σ_j right(prompt, steps 1…k, completion_j)

Reference: Wang et al. 2023 (Math-Shepherd), arXiv 2312.08935, §3.2 (soft estimation; `labels > 0` is its hard one).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float

from trueward.batch import Context, Rollouts
from trueward.errors import TrainingError
from trueward.policies.language import LanguagePolicy
from trueward.policies.prompts import prompt_ids
from trueward.policies.sampling import Sampling
from trueward.rewards.base import Reward
from trueward.rewards.models.process import step_ends
from trueward.training.pairs_labelled import text_content

Check = Callable[[Rollouts], Float[np.ndarray, " n"]]
"""Rollouts, with their `reference` → how right each is, in [0, 1]; NaN where that cannot be told."""

ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class StepLabels:
    """What a completer found.

    Attributes:
        labels: [N, S]; NaN where there is no step, and where nothing is known of it.
        prefixes: number of steps that asked for completions.
        distinct: number of prefixes that differ: equal ones share their completions.
        completions: number of completions that were sampled.
    """

    labels: Float[np.ndarray, "n s"]
    prefixes: int
    distinct: int
    completions: int


def checked_by(reward: Reward) -> Check:
    """The total of a reward as the check; its range must be [0, 1]."""
    return lambda rollouts: reward.score(rollouts, Context()).total()


def monte_carlo_labels(
    rollouts: Rollouts,
    completer: LanguagePolicy,
    check: Check,
    sampling: Sampling,
    generator: torch.Generator,
    *,
    completions: int = 4,
) -> StepLabels:
    """Soft labels of every step, by completing its prefix.

    The last step of a rollout that ended by itself has nothing left to complete: its label is the check of the rollout.
    That of a rollout that was cut off has none, because it may stop in the middle.

    Args:
        rollouts: text with tokens and segments, in the completer's tokens.
        completer: continues prefixes.
        check: of whole rollouts.
        sampling: how the completer draws, and for how many tokens.
        generator: of the draws.
        completions: m, how many for each prefix.

    Returns:
        Labels for `train_on_labels`.

    Raises:
        RewardError: the rollouts have no tokens or no segments.
        TrainingError: fewer than one completion, or a check that gives no number in [0, 1].
    """
    if completions < 1:
        raise TrainingError(f"completions={completions}: at least one for each prefix is needed")
    ends = step_ends(rollouts)
    labels = np.full(ends.shape, np.nan)
    finished = np.asarray(rollouts.features.get("finished", np.ones(len(rollouts), dtype=bool)), dtype=bool)
    rows, last = np.flatnonzero((ends >= 0).any(axis=1)), ends.argmax(axis=1)
    whole = rows[finished[rows]]
    if len(whole):
        labels[whole, last[whole]] = _checked(check, rollouts)[whole]
    asked = ends >= 0
    asked[rows, last[rows]] = False
    places = np.argwhere(asked)
    prefixes = _prefixes(rollouts, completer, places, ends)
    keys = [_key(rollouts, row, prefix) for (row, _), prefix in zip(places.tolist(), prefixes, strict=True)]
    first: dict[object, int] = {}
    for number, key in enumerate(keys):
        first.setdefault(key, number)
    # The shortest first, so that little is padded.
    distinct = sorted(first.values(), key=lambda number: len(prefixes[number]))
    found: dict[object, float] = {}
    size = max(1, ROWS_AT_ONCE // completions)
    for start in range(0, len(distinct), size):
        some = distinct[start : start + size]
        rows_of_some, starts = [int(places[number, 0]) for number in some], [prefixes[number] for number in some]
        right = _completed(rollouts, rows_of_some, starts, completer, check, sampling, generator, completions)
        found |= {keys[number]: share for number, share in zip(some, right, strict=True)}
    for (row, step), key in zip(places.tolist(), keys, strict=True):
        labels[row, step] = found[key]
    return StepLabels(labels, len(keys), len(distinct), len(distinct) * completions)


def _completed(
    rollouts: Rollouts,
    rows: list[int],
    prefixes: list[list[int]],
    completer: LanguagePolicy,
    check: Check,
    sampling: Sampling,
    generator: torch.Generator,
    completions: int,
) -> list[float]:
    """How right the completions of each prefix are, on average; NaN where no check could tell."""
    content = text_content(rollouts)
    sampled = completer.sample(
        [content.prompts[row] for row in rows for _ in range(completions)],
        sampling,
        generator,
        prefixes=[prefix for prefix in prefixes for _ in range(completions)],
    )
    references = [rollouts.reference[row] if rollouts.reference else {} for row in rows for _ in range(completions)]
    right = _checked(check, replace(sampled, reference=references)).reshape(len(rows), completions)
    known = np.isfinite(right)
    with np.errstate(invalid="ignore"):
        shares: list[float] = (np.where(known, right, 0.0).sum(axis=1) / known.sum(axis=1)).tolist()
    return shares


def _checked(check: Check, rollouts: Rollouts) -> np.ndarray:
    right = np.asarray(check(rollouts), dtype=np.float64)
    known = right[np.isfinite(right)]
    if right.shape != (len(rollouts),) or ((known < 0) | (known > 1)).any():
        raise TrainingError(
            f"the check gave {right.shape} values from {known.min(initial=0):g} to {known.max(initial=0):g} for "
            f"{len(rollouts)} rollouts; expected one in [0, 1] for each, or NaN"
        )
    return right


def _prefixes(rollouts: Rollouts, completer: LanguagePolicy, places: np.ndarray, ends: np.ndarray) -> list[list[int]]:
    """Token ids from behind the prompt up to the end of each step; what the policy was given to continue is in it."""
    content = text_content(rollouts)
    token_ids, attention = np.asarray(content.token_ids), np.asarray(content.attention, dtype=bool)
    used = sorted({int(row) for row, _ in places.tolist()})
    asked = prompt_ids(completer.tokenizer, [content.prompts[row] for row in used])
    behind = {row: len(ids) for row, ids in zip(used, asked, strict=True)}
    tokens = {row: token_ids[row, attention[row]].tolist() for row in used}
    return [tokens[row][behind[row] : ends[row, step] + 1] for row, step in places.tolist()]


def _key(rollouts: Rollouts, row: int, prefix: list[int]) -> object:
    """What completions of a prefix depend on, the answer that they are checked against included."""
    answer = repr(rollouts.reference[row].get("answer")) if rollouts.reference else ""
    return str(text_content(rollouts).prompts[row]), answer, tuple(prefix)
