"""Simulated annotators: labels made from gold, with noise and bias. The only way from gold into training.

Reward models learn from people, and people see, imperfectly, what is really wanted. On a procedural task the annotator
is a function of gold; what comes out is a label like any other, and a reward model that learns from it never sees gold
itself. Nothing else may turn a `Gold` into something that trains.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from trueward.batch import Preferences, Rollouts, Text
from trueward.tasks.gold import Gold
from trueward.tasks.text.rows import Row


def compared(
    a: Gold,
    b: Gold,
    generator: np.random.Generator,
    *,
    flip: float = 0.0,
    bias: Float[np.ndarray, " n"] | None = None,
) -> Float[np.ndarray, " n"]:
    """Which of two completions an annotator prefers: 1 for a, 0 for b.

    label = 1[gold_a − gold_b + bias > 0], ties by a fair coin, then turned round with probability `flip`.

    Args:
        a, b: gold of N pairs.
        generator: source of ties and flips.
        flip: share of labels that are turned round.
        bias: what the annotator likes about a beyond gold (a form, a length), minus the same for b.

    Raises:
        ValueError: a and b are not of one length, or flip is no probability.
    """
    _check_share(flip, "flip")
    if len(a) != len(b) or (bias is not None and len(bias) != len(a)):
        raise ValueError(f"cannot compare {len(a)} completions with {len(b)}; expected pairs, with one bias each")
    difference = a.values - b.values if bias is None else a.values - b.values + bias
    coin = generator.random(len(a)) < 0.5
    turned = generator.random(len(a)) < flip
    prefers = np.where(difference == 0, coin, difference > 0)
    labels: np.ndarray = (prefers ^ turned).astype(np.float64)
    return labels


def judged(
    gold: Gold, generator: np.random.Generator, *, error: float = 0.0, threshold: float = 0.5
) -> Float[np.ndarray, " n"]:
    """An annotator's verdict on single completions: 1[gold ≥ threshold], turned round with probability `error`.

    Raises:
        ValueError: error is no probability.
    """
    _check_share(error, "error")
    verdicts: np.ndarray = ((gold.values >= threshold) ^ (generator.random(len(gold)) < error)).astype(np.float64)
    return verdicts


def preferences_of(
    rows: Sequence[Row],
    a: Sequence[str],
    b: Sequence[str],
    labels: Float[np.ndarray, " n"],
    ids: Int[np.ndarray, " n"] | None = None,
) -> Preferences:
    """Labelled pairs as the training of reward models takes them; pair i compares a[i] with b[i] on rows[i].

    Raises:
        ValueError: the arguments are not of one length.
    """
    return Preferences(written(rows, a), written(rows, b), labels, id=np.arange(len(rows)) if ids is None else ids)


def agreed(*verdicts: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Hybrid annotation: the verdict that all annotators share, NaN where they differ, to be left out.

    Annotators who err in different ways (a parser that misses forms, a judge who is taken in) seldom err together.

    Args:
        verdicts: of each annotator, one per completion; NaN where one has none.

    Reference: Hong et al. 2025 (Cooper), arXiv 2508.05613, §3 (VerifyRM): a rule and a language model as annotators.
    """
    same = np.all([verdict == verdicts[0] for verdict in verdicts], axis=0)
    labels: np.ndarray = np.where(same, verdicts[0], np.nan)
    return labels


def written(rows: Sequence[Row], completions: Sequence[str]) -> Rollouts:
    """Completions that nobody sampled, as rollouts: one per row, with what a reward may read.

    Raises:
        ValueError: there is not one completion for each row.
    """
    if len(rows) != len(completions):
        raise ValueError(f"{len(completions)} completions for {len(rows)} rows; expected one each")
    references = tuple({**row.columns, "answer": row.answer} for row in rows)
    content = Text([row.prompt for row in rows], list(completions))
    return Rollouts(content, group=np.arange(len(rows)), reference=references)


def _check_share(share: float, name: str) -> None:
    if not 0 <= share <= 1:
        raise ValueError(f"{name} is {share!r}; expected a probability")
