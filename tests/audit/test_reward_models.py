"""Calibration and invariance of reward models: sound ones pass, each planted fault is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from trueward.audit.reward_models import Invariance, calibrate_on_labels, calibrate_on_pairs, invariances, level
from trueward.batch import Context, Part, Preferences, Rollouts, Scores, Text
from trueward.errors import AuditError
from trueward.policies.language import LanguagePolicy
from trueward.policies.sampling import Sampling
from trueward.policies.scorer import TokenScorer
from trueward.policies.tokenizers import tokenizer_of
from trueward.rewards.base import Reward
from trueward.rewards.models.learned import LearnedReward
from trueward.rewards.runner import Runner
from trueward.status import Status
from trueward.tasks.text.vocabulary import Vocabulary

WORDS = Vocabulary("words", tuple("abcdefgh"))


class Told(Reward):
    """Scores by a function of all rollouts; NaN is a row that it abstains from."""

    def __init__(self, give: Callable[[Rollouts], np.ndarray]) -> None:
        self.give = give

    @property
    def name(self) -> str:
        return "told"

    def use(self, runner: Runner) -> bool:
        return False

    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        assert not context.training
        values = self.give(rollouts)
        return Scores({"told": Part(values, [Status.ABSTAINED if np.isnan(v) else Status.OK for v in values])})


def completions(rollouts: Rollouts) -> list[str]:
    assert isinstance(rollouts.content, Text)
    return list(rollouts.content.completions)


NUMBER = Told(lambda rollouts: np.array([float(text) for text in completions(rollouts)]))


def numbers(values: np.ndarray, **more: object) -> Rollouts:
    return Rollouts(Text(["?"] * len(values), [repr(float(value)) for value in values]), **more)  # type: ignore[arg-type]


def pairs(scale: float, n: int = 4000) -> Preferences:
    """Labels drawn from σ(gap), where the reward says scale · gap."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, n))
    label = (rng.uniform(size=n) < 1 / (1 + np.exp(b - a))).astype(float)
    return Preferences(numbers(scale * a), numbers(scale * b), label)


def test_a_model_that_means_its_gaps_is_calibrated_and_one_that_shouts_is_not() -> None:
    honest, loud = (calibrate_on_pairs(NUMBER, pairs(scale)) for scale in (1.0, 5.0))
    assert honest.accuracy == loud.accuracy > 0.6
    assert honest.interval[0] < honest.accuracy < honest.interval[1]
    assert honest.reliability.error < 0.04 < 0.15 < loud.reliability.error


def test_pairs_by_hand() -> None:
    """One won, one tied score, one lost, one tied label, one without a score."""
    a, b = np.array([1.0, 2.0, 0.0, 1.0, np.nan]), np.array([0.0, 2.0, 3.0, 0.0, 0.0])
    found = calibrate_on_pairs(NUMBER, Preferences(numbers(a), numbers(b), np.array([1.0, 1.0, 1.0, 0.5, 1.0])))
    assert (found.pairs, found.failed, found.accuracy) == (3, 1, 0.5)


def test_a_verifier_by_hand() -> None:
    scores, labels = np.array([0.9, 0.6, 0.7, 0.2, np.nan]), np.array([1.0, 1.0, 0.0, 0.0, 1.0])
    found = calibrate_on_labels(NUMBER, numbers(scores), labels)
    assert (found.rollouts, found.failed, found.auc, found.accuracy) == (4, 1, 0.75, 0.75)


def test_a_verifier_must_give_probabilities() -> None:
    with pytest.raises(AuditError, match="sigmoid"):
        calibrate_on_labels(NUMBER, numbers(np.array([3.0])), np.ones(1))


def test_pairs_that_say_nothing_are_refused() -> None:
    with pytest.raises(AuditError, match="none of these"):
        calibrate_on_pairs(NUMBER, Preferences(numbers(np.ones(2)), numbers(np.ones(2)), np.full(2, 0.5)))


def changed(found: tuple[Invariance, ...]) -> set[str]:
    return {one.how for one in found if one.changed}


def sampled() -> Rollouts:
    policy = LanguagePolicy.tiny(WORDS, width=32, heads=2)
    return policy.sample(["a b c", "d", "e f"] * 3, Sampling(8), torch.Generator().manual_seed(0))


def test_a_sound_model_depends_on_its_row_alone() -> None:
    reward = LearnedReward("rm", TokenScorer.tiny(WORDS, width=32, heads=2), tokenizer_of(WORDS), batch_size=4)
    found = invariances(reward, sampled())
    assert [one.how for one in found] == [
        "alone",
        "reversed",
        "repeated",
        "padding on the left",
        "padding on the right",
    ]
    assert changed(found) == set() and [one.tested for one in found] == [9, 9, 18, 9, 9]


def columns(rollouts: Rollouts) -> int:
    assert isinstance(rollouts.content, Text)
    return int(np.asarray(rollouts.content.token_ids).shape[1])


def last_column(rollouts: Rollouts) -> np.ndarray:
    assert isinstance(rollouts.content, Text)
    return np.asarray(rollouts.content.token_ids)[:, -1].astype(float)


def lengths(rollouts: Rollouts) -> np.ndarray:
    return np.array([float(len(text)) for text in completions(rollouts)])


@pytest.mark.parametrize(
    ("give", "seen"),
    [
        (lambda r: lengths(r) - lengths(r).mean(), {"alone"}),  # normalised within the batch
        (lambda r: lengths(r) + np.arange(len(r)), {"alone", "reversed", "repeated"}),  # counts its position
        (lambda r: lengths(r) * len(r), {"alone", "repeated"}),
        (lambda r: lengths(r) + columns(r), {"padding on the left", "padding on the right"}),
        (last_column, {"padding on the right"}),  # reads the last column, padding or not
        (lengths, set()),
    ],
)
def test_each_fault_is_seen(give: Callable[[Rollouts], np.ndarray], seen: set[str]) -> None:
    assert changed(invariances(Told(give), sampled())) == seen


def test_a_lost_score_is_an_infinite_change() -> None:
    def only_together(rollouts: Rollouts) -> np.ndarray:
        return lengths(rollouts) if len(rollouts) > 1 else np.full(1, np.nan)

    found = {one.how: one for one in invariances(Told(only_together), sampled())}
    assert found["alone"].largest == float("inf") and found["reversed"].changed == 0


def test_paraphrases_are_compared_where_they_are_given() -> None:
    def shout(rollouts: Rollouts) -> Rollouts:
        assert isinstance(rollouts.content, Text)
        content = rollouts.content
        return replace(rollouts, content=Text(content.prompts, [text.upper() for text in content.completions]))

    given = Rollouts(Text(["?"] * 2, ["a b", "b c d"]))
    assert [one.how for one in invariances(Told(lengths), given)] == ["alone", "reversed", "repeated"]
    literal = Told(lambda r: np.array([float(text.count("b")) + len(text) for text in completions(r)]))
    assert changed(invariances(Told(lengths), given, paraphrase=shout)) == set()
    assert changed(invariances(literal, given, paraphrase=shout)) == {"paraphrase"}


def test_a_model_without_a_score_is_told() -> None:
    with pytest.raises(AuditError, match="none of 2"):
        invariances(Told(lambda r: np.full(len(r), np.nan)), numbers(np.ones(2)))
    with pytest.raises(AuditError, match="no level"):
        level(Told(lambda r: np.full(len(r), np.nan)), numbers(np.ones(2)))


def test_the_level_by_hand() -> None:
    """Prompts with scores (0, 2) and (10, 10): means 1 and 10, variances 1 and 0."""
    found = level(NUMBER, numbers(np.array([0.0, 2.0, 10.0, 10.0]), group=np.array([0, 0, 1, 1])))
    assert (found.mean, found.between) == (5.5, 4.5)
    assert found.within == pytest.approx(np.sqrt(0.5))
