"""Pairs of rollouts labelled by their scores, some of them wrongly on purpose."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from trueward.batch import Preferences, Rollouts, Text
from trueward.errors import TrainingError
from trueward.rewards.references import text_of


def labelled_pairs(
    rollouts: Rollouts,
    scores: Float[np.ndarray, " n"],
    pairs: int,
    generator: np.random.Generator,
    *,
    flip: float = 0.0,
) -> Preferences:
    """Random pairs of rollouts of the same prompt, labelled by which has the higher score, some of them wrongly.

    Prompts are drawn alike, then two of their rollouts whose scores differ.

    Args:
        rollouts: text, with tokens or without; they are taken over as they are.
        scores: what the labels come from; rows without a finite one are left out.
        pairs: how many, drawn with replacement.
        generator: of the drawing.
        flip: share of labels that are turned, exactly, up to rounding.

    Raises:
        TrainingError: no prompt has two rollouts of different scores, or the share is outside [0, 1].
    """
    if pairs < 1 or not 0 <= flip <= 1:
        raise TrainingError(f"pairs={pairs}, flip={flip}: expected at least one pair and a share in [0, 1]")
    groups = [[place for place in places if np.isfinite(scores[place])] for places in by_prompt(rollouts)]
    usable = [places for places in groups if len({float(scores[place]) for place in places}) > 1]
    if not usable:
        raise TrainingError(
            f"none of {len(groups)} prompts has two rollouts of different scores: sample more for each, or hotter"
        )
    first, second = np.empty(pairs, dtype=np.int64), np.empty(pairs, dtype=np.int64)
    for number, which in enumerate(generator.integers(len(usable), size=pairs).tolist()):
        while True:
            one, other = generator.choice(usable[which], size=2, replace=False).tolist()
            if scores[one] != scores[other]:
                break
        first[number], second[number] = one, other
    label = (np.asarray(scores)[first] > np.asarray(scores)[second]).astype(np.float64)
    turned = generator.permutation(pairs)[: round(flip * pairs)]
    label[turned] = 1.0 - label[turned]
    return Preferences(taken(rollouts, first), taken(rollouts, second), label, id=np.arange(pairs))


def taken(rollouts: Rollouts, places: np.ndarray) -> Rollouts:
    """Some rows of text rollouts, with everything that belongs to them.

    Raises:
        TrainingError: the rollouts are no text.
    """
    content = text_content(rollouts)

    def some(values: Any) -> Any:
        return None if values is None else np.asarray(values)[places]

    text = Text(
        [content.prompts[place] for place in places.tolist()],
        [content.completions[place] for place in places.tolist()],
        some(content.token_ids),
        some(content.attention),
    )
    per_row = {
        name: some(getattr(rollouts, name)) for name in ("mask", "logprobs", "ref_logprobs", "segments", "source")
    }
    return Rollouts(
        text,
        group=some(prompt_numbers(rollouts)),
        features={name: some(values) for name, values in rollouts.features.items()},
        reference=[rollouts.reference[place] for place in places.tolist()] if rollouts.reference else (),
        **per_row,
    )


def text_content(rollouts: Rollouts) -> Text:
    """The text of rollouts.

    Raises:
        TrainingError: they hold something else.
    """
    if not isinstance(rollouts.content, Text):
        raise TrainingError(f"pairs are built from text; the rollouts hold {type(rollouts.content).__name__}")
    return rollouts.content


def prompt_numbers(rollouts: Rollouts) -> Int[np.ndarray, " n"]:
    """The same number for rollouts of the same prompt: their group, or by the prompts' text where they have none."""
    if rollouts.group is not None:
        return np.asarray(rollouts.group)
    names: dict[str, int] = {}
    return np.array(
        [names.setdefault(text_of(prompt), len(names)) for prompt in text_content(rollouts).prompts], dtype=np.int64
    )


def by_prompt(rollouts: Rollouts) -> list[list[int]]:
    """Places of the rollouts of each prompt, in the order in which prompts appear."""
    places: dict[int, list[int]] = {}
    for place, number in enumerate(prompt_numbers(rollouts).tolist()):
        places.setdefault(number, []).append(place)
    return list(places.values())
