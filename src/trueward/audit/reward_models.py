"""Reward models: do their numbers mean what they say, and do they depend only on what they should?

Calibration compares P(a ≻ b) = σ(r_a − r_b), or a verifier's probability, with what is known. Invariance scores the
same rows beside other rows, repeated, padded otherwise, or said in other words. The level shows what pairs cannot: how
far a model's zero wanders from prompt to prompt, which aggregates across members take for disagreement.

For any reward; of one with several parts the total counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from trueward.batch import Context, Preferences, Rollouts, Text
from trueward.errors import AuditError
from trueward.measures.intervals import wilson
from trueward.measures.reliability import Reliability, area_under_curve, reliability
from trueward.rewards.base import Reward
from trueward.training.pairs_labelled import by_prompt, taken

_ALONE = 16  # rows that are scored one by one
_MORE = 16  # columns of padding added
_TOLERANCE = 1e-4  # in standard deviations of the scores: what the order of additions may change


@dataclass(frozen=True)
class PairCalibration:
    """A reward against labelled pairs.

    Attributes:
        pairs: that both sides were scored of, ties in the label left out.
        failed: pairs that a side has no score of.
        accuracy: share in which the better one scores higher; equal scores count half.
        interval: 95 % interval of the accuracy.
        reliability: of σ(r_a − r_b) as the probability of the label.
    """

    pairs: int
    failed: int
    accuracy: float
    interval: tuple[float, float]
    reliability: Reliability


@dataclass(frozen=True)
class LabelCalibration:
    """A verifier against labelled rollouts.

    Attributes:
        rollouts: that were scored.
        failed: that have no score.
        auc: probability that a right one scores above a wrong one; NaN where all labels are alike.
        accuracy: share on the right side of ½.
        reliability: of the score as the probability of being right.
    """

    rollouts: int
    failed: int
    auc: float
    accuracy: float
    reliability: Reliability


@dataclass(frozen=True)
class Invariance:
    """Scores of the same rows, asked another way.

    Attributes:
        how: "alone", "reversed", "repeated", "padding on the left", "padding on the right", "paraphrase".
        tested: scores that were compared.
        largest: largest change of a score, in standard deviations of the scores; infinite where one was lost or gained.
        changed: scores that changed by more than the tolerance.
    """

    how: str
    tested: int
    largest: float
    changed: int


@dataclass(frozen=True)
class Level:
    """Where a reward has its zero.

    Attributes:
        mean: of all scores.
        between: standard deviation of the prompts' mean scores: a per-prompt offset, which pairs do not fix.
        within: root mean variance of the scores of one prompt.
    """

    mean: float
    between: float
    within: float


def calibrate_on_pairs(
    reward: Reward, preferences: Preferences, *, bins: int = 10, context: Context | None = None
) -> PairCalibration:
    """Accuracy and calibration of a reward on pairs that it was not trained on.

    Raises:
        AuditError: there is no pair with a label other than ½ of which both sides have a score.
    """
    a, b = (_totals(reward, side, context) for side in (preferences.a, preferences.b))
    label = np.asarray(preferences.label, dtype=np.float64)
    scored = np.isfinite(a) & np.isfinite(b)
    told = scored & (label != 0.5)
    if not told.any():
        raise AuditError(
            f"{reward.name}: of {len(label)} pairs, {int(scored.sum())} were scored, and none of these says which side "
            "is better"
        )
    gap = (a - b)[told]
    wins = ((np.sign(gap) * np.sign(label[told] - 0.5) + 1) / 2).sum()
    return PairCalibration(
        pairs=int(told.sum()),
        failed=int((~scored).sum()),
        accuracy=float(wins / told.sum()),
        interval=wilson(float(wins), int(told.sum())),
        reliability=reliability(np.exp(-np.logaddexp(0.0, -gap)), label[told], bins),
    )


def calibrate_on_labels(
    reward: Reward,
    rollouts: Rollouts,
    labels: Float[np.ndarray, " n"],
    *,
    bins: int = 10,
    context: Context | None = None,
) -> LabelCalibration:
    """AUC, accuracy and calibration of a verifier, whose scores are probabilities.

    Raises:
        AuditError: no rollout has a score, or a score is no probability.
    """
    scores = _totals(reward, rollouts, context)
    scored = np.isfinite(scores)
    found, known = scores[scored], np.asarray(labels, dtype=np.float64)[scored]
    if not len(found) or found.min() < 0 or found.max() > 1:
        raise AuditError(
            f"{reward.name}: {len(found)} of {len(scores)} rollouts have a score"
            + (f", from {found.min():g} to {found.max():g}" if len(found) else "")
            + "; expected probabilities in [0, 1] (LearnedReward(…, sigmoid=True))"
        )
    sides = known != 0.5
    return LabelCalibration(
        rollouts=len(found),
        failed=int((~scored).sum()),
        auc=area_under_curve(found, known),
        accuracy=float(((found > 0.5) == (known > 0.5))[sides].mean()) if sides.any() else float("nan"),
        reliability=reliability(found, known, bins),
    )


def invariances(
    reward: Reward,
    rollouts: Rollouts,
    *,
    paraphrase: Callable[[Rollouts], Rollouts] | None = None,
    tolerance: float = _TOLERANCE,
    context: Context | None = None,
) -> tuple[Invariance, ...]:
    """Does a score depend on anything but its row?

    Args:
        reward: any.
        rollouts: text. Padding is tested where they have tokens.
        paraphrase: the same rollouts in other words, in the same order, that should score the same; None to leave it.
        tolerance: change of a score, in standard deviations of the scores, that is not counted.
        context: for the reward; an evaluation by default.

    Raises:
        AuditError: no rollout has a score.
    """
    before = _totals(reward, rollouts, context)
    finite = np.isfinite(before)
    if not finite.any():
        raise AuditError(f"{reward.name}: none of {len(before)} rollouts has a score, so that there is none to compare")
    width = float(before[finite].std())
    # Scores that are all alike differ by rounding, which must not become the unit.
    width = width if width > 1e-9 * max(1.0, float(np.abs(before[finite]).max())) else 1.0
    found = []
    for how, places, asked in _ways(rollouts, paraphrase):
        after = np.concatenate([_totals(reward, one, context) for one in asked])
        found.append(_compared(how, before[places], after, width, tolerance))
    return tuple(found)


def level(reward: Reward, rollouts: Rollouts, *, context: Context | None = None) -> Level:
    """Where a reward has its zero, over all prompts and from prompt to prompt.

    Raises:
        AuditError: no rollout has a score.
    """
    scores = _totals(reward, rollouts, context)
    prompts = [scores[places][np.isfinite(scores[places])] for places in by_prompt(rollouts)]
    prompts = [found for found in prompts if len(found)]
    if not prompts:
        raise AuditError(f"{reward.name}: none of {len(scores)} rollouts has a score, so that it has no level")
    return Level(
        mean=float(np.concatenate(prompts).mean()),
        between=float(np.std([found.mean() for found in prompts])),
        within=float(np.sqrt(np.mean([found.var() for found in prompts]))),
    )


def _totals(reward: Reward, rollouts: Rollouts, context: Context | None) -> np.ndarray:
    """Total of each row; NaN where a part has no value, also where the answer is to blame."""
    scores = reward.score(rollouts, context or Context())
    return np.where([status.ok for status in scores.status], scores.total(), np.nan)


def _compared(how: str, before: np.ndarray, after: np.ndarray, width: float, tolerance: float) -> Invariance:
    both, neither = np.isfinite(before) & np.isfinite(after), np.isnan(before) & np.isnan(after)
    change = np.where(both, np.abs(np.where(both, after - before, 0.0)) / width, np.where(neither, 0.0, np.inf))
    return Invariance(how, len(change), float(change.max(initial=0.0)), int((change > tolerance).sum()))


def _ways(
    rollouts: Rollouts, paraphrase: Callable[[Rollouts], Rollouts] | None
) -> Iterator[tuple[str, np.ndarray, list[Rollouts]]]:
    """Name, rows, and the same rows in batches made otherwise."""
    places = np.arange(len(rollouts))
    yield "alone", places[:_ALONE], [taken(rollouts, places[i : i + 1]) for i in range(min(_ALONE, len(places)))]
    yield "reversed", places[::-1], [taken(rollouts, places[::-1])]
    yield "repeated", np.repeat(places, 2), [taken(rollouts, np.repeat(places, 2))]
    content = rollouts.content
    if isinstance(content, Text) and content.token_ids is not None and content.attention is not None:
        yield "padding on the left", places, [_padded(rollouts, content, left=_MORE, right=0)]
        yield "padding on the right", places, [_padded(rollouts, content, left=0, right=_MORE)]
    if paraphrase is not None:
        yield "paraphrase", places, [paraphrase(rollouts)]


def _padded(rollouts: Rollouts, content: Text, *, left: int, right: int) -> Rollouts:
    """The same rollouts with more columns of padding before the prompts, or behind the completions."""
    token_ids, attention = np.asarray(content.token_ids), np.asarray(content.attention)
    padding = token_ids[~attention.astype(bool)]
    fill = int(padding[0]) if len(padding) else 0
    sides = ((0, 0), (left, right))
    text = replace(
        content,
        token_ids=np.pad(token_ids, sides, constant_values=fill),
        attention=np.pad(attention, sides, constant_values=False),
    )
    behind = ((0, 0), (0, right))
    columns = {"mask": False, "logprobs": 0.0, "ref_logprobs": 0.0, "segments": -1}
    wider: dict[str, Any] = {
        name: np.pad(np.asarray(getattr(rollouts, name)), behind, constant_values=value)
        for name, value in columns.items()
        if getattr(rollouts, name) is not None
    }
    decisions = None if rollouts.mask is None else np.asarray(rollouts.mask).shape[1]
    features = {}
    for name, values in rollouts.features.items():
        array = np.asarray(values)
        by_decision = array.ndim > 1 and array.shape[1] == decisions
        features[name] = np.pad(array, (*behind, *((0, 0),) * (array.ndim - 2))) if by_decision else array
    return replace(rollouts, content=text, features=features, **wider)
