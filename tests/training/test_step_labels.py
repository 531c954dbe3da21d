"""Monte-Carlo step labels: prefixes, shares, and what costs no completion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from trueward.batch import Context, Part, Rollouts, Scores, Text
from trueward.errors import TrainingError
from trueward.policies.language import LanguagePolicy
from trueward.policies.sampling import Sampling
from trueward.rewards.base import Reward
from trueward.rewards.runner import Runner
from trueward.status import Status
from trueward.tasks.text.vocabulary import Vocabulary
from trueward.training.step_labels import StepLabels, checked_by, monte_carlo_labels

WORDS = Vocabulary("words", (*"abcd", "\n"))
A, B, C, D, LINE = 3, 4, 5, 6, 7
BEGIN, END = 1, 2


def policy() -> LanguagePolicy:
    return LanguagePolicy.tiny(WORDS, width=32, heads=2)


def rollouts() -> Rollouts:
    """Prompt "a": two rollouts that share their first step; prompt "b": one that was cut off in its second step."""
    rows = [[C, LINE, D, END], [C, LINE, A, END], [D, LINE, C, 0]]
    ids = np.array([[BEGIN, prompt, *row] for prompt, row in zip((A, A, B), rows, strict=True)])
    mask = np.array([[True] * 4, [True] * 4, [True, True, True, False]])
    attention = np.concatenate([np.ones((3, 2), dtype=bool), mask], axis=1)
    return Rollouts(
        Text(["a", "a", "b"], ["c \n d", "c \n a", "d \n c"], ids, attention),
        mask=mask,
        segments=np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, -1]]),
        features={"finished": np.array([True, True, False])},
        reference=[{"answer": "d"}, {"answer": "d"}, {"answer": "x"}],
    )


class Recorder:
    """A check that keeps what it was shown, and calls right what ends with the answer."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []

    def __call__(self, given: Rollouts) -> np.ndarray:
        content = given.content
        assert isinstance(content, Text)
        answers = [row["answer"] for row in given.reference]
        self.seen += list(zip(content.prompts, content.completions, answers, strict=True))
        return np.array([float(c.endswith(answer)) for c, answer in zip(content.completions, answers, strict=True)])


def labelled(check: object, given: Rollouts | None = None, completions: int = 4, seed: int = 0) -> StepLabels:
    generator = torch.Generator().manual_seed(seed)
    return monte_carlo_labels(
        given or rollouts(),
        policy(),
        check,
        Sampling(6),
        generator,
        completions=completions,  # type: ignore[arg-type]
    )


def test_each_distinct_prefix_is_completed_once() -> None:
    """Three first steps ask for completions, two of them are the same; last steps ask for none."""
    check = Recorder()
    found = labelled(check)
    assert (found.prefixes, found.distinct, found.completions) == (3, 2, 8)
    asked = check.seen[3:]  # the first three are the rollouts themselves
    assert sorted({(prompt, answer) for prompt, _, answer in asked}) == [("a", "d"), ("b", "x")]
    assert all(completion.startswith({"a": "c \n", "b": "d \n"}[prompt]) for prompt, completion, _ in asked)


def test_labels_are_shares_of_completions_that_are_right() -> None:
    check = Recorder()
    found = labelled(check, completions=16)
    shares = {
        prompt: np.mean([c.endswith(answer) for p, c, answer in check.seen[3:] if p == prompt]) for prompt in ("a", "b")
    }
    np.testing.assert_allclose(found.labels[:, 0], [shares["a"], shares["a"], shares["b"]])
    assert 0 < shares["a"] < 1


def test_the_last_step_of_a_finished_rollout_is_judged_as_it_stands() -> None:
    """Row 0 ends with its answer, row 1 does not, and of row 2, which was cut off, nothing is known."""
    np.testing.assert_array_equal(labelled(Recorder()).labels[:, 1], [1.0, 0.0, np.nan])


def test_the_same_seed_gives_the_same_labels() -> None:
    first, second, other = (labelled(Recorder(), completions=64, seed=seed).labels for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other, equal_nan=True)


def test_what_no_check_can_tell_is_unknown() -> None:
    found = labelled(lambda given: np.full(len(given), np.nan))
    assert np.isnan(found.labels).all()


def test_a_prefix_that_was_given_belongs_to_the_step() -> None:
    """In a continued rollout the given beginning stands in the columns of the prompt."""
    given = rollouts()
    mask = np.asarray(given.mask)[:, 1:]
    continued = replace(given, mask=mask, segments=np.asarray(given.segments)[:, 1:])
    check = Recorder()
    labelled(check, continued)
    assert all(completion.startswith({"a": "c \n", "b": "d \n"}[prompt]) for prompt, completion, _ in check.seen[3:])


def test_a_reward_can_check() -> None:
    class Half(Reward):
        @property
        def name(self) -> str:
            return "half"

        def use(self, runner: Runner) -> bool:
            return False

        def score(self, rollouts: Rollouts, context: Context) -> Scores:
            return Scores({"half": Part(np.full(len(rollouts), 0.5), [Status.OK] * len(rollouts))})

    np.testing.assert_array_equal(labelled(checked_by(Half())).labels[:, 0], [0.5] * 3)


def test_a_check_that_gives_no_share_is_refused() -> None:
    with pytest.raises(TrainingError, match="expected one in"):
        labelled(lambda given: np.full(len(given), 2.0))
    with pytest.raises(TrainingError, match="completions=0"):
        labelled(Recorder(), completions=0)
