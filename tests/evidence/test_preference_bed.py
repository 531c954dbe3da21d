"""Reward models of test beds: labels come from an annotator, models are built once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trueward.evidence.preference_bed import annotated_pairs, reward_model
from trueward.evidence.run import Run
from trueward.policies.language import LanguagePolicy
from trueward.policies.sampling import Sampling
from trueward.policies.scorer import TokenScorer
from trueward.tasks.text.procedural.topics import TopicKeywords
from trueward.training.record import texts_of
from trueward.training.reward_model import train_on_preferences

TASK, SAMPLING = TopicKeywords(), Sampling(max_new_tokens=8)


@pytest.fixture(scope="module")
def policy() -> LanguagePolicy:
    return LanguagePolicy.tiny(TASK.vocabulary, layers=1, width=16, heads=2, positions=24)


def share_right(policy: LanguagePolicy, flip: float) -> float:
    pairs = annotated_pairs(policy, TASK, 300, flip=flip, sampling=SAMPLING, seed=4)
    rows = TASK.rows(300, 4)
    assert [row.prompt for row in rows] == list(pairs.a.content.prompts) == list(pairs.b.content.prompts)
    gaps = TASK.gold(rows, texts_of(pairs.a)).values - TASK.gold(rows, texts_of(pairs.b)).values
    differ = gaps != 0
    assert differ.sum() > 50
    return float(np.mean((gaps > 0)[differ] == (np.asarray(pairs.label) == 1)[differ]))


@pytest.mark.parametrize(("flip", "right"), [(0.0, 1.0), (1.0, 0.0)])
def test_labels_say_which_is_better_unless_they_are_turned_round(
    policy: LanguagePolicy, flip: float, right: float
) -> None:
    assert share_right(policy, flip) == right


def test_a_share_of_labels_is_wrong(policy: LanguagePolicy) -> None:
    assert 0.6 < share_right(policy, 0.25) < 0.9


def test_rows_of_one_prompt_are_one_group_so_that_they_are_held_out_together(policy: LanguagePolicy) -> None:
    pairs = annotated_pairs(policy, TASK, 100, flip=0.0, sampling=SAMPLING, seed=4)
    groups: dict[str, set[int]] = {}
    for prompt, group in zip(pairs.a.content.prompts, np.asarray(pairs.a.group).tolist(), strict=True):
        groups.setdefault(prompt, set()).add(group)
    assert len(groups) < 100 and all(len(numbers) == 1 for numbers in groups.values())
    assert len({number for numbers in groups.values() for number in numbers}) == len(groups)


def test_a_model_is_built_once_for_all_arms_and_anew_for_other_settings(policy: LanguagePolicy, tmp_path: Path) -> None:
    built = []

    def model(arm: str, pairs: int) -> tuple[Path, float]:
        settings = {"preferences.pairs": pairs, "preferences.flip": 0.1, "reward_model.epochs": 1}
        run = Run("recipe", arm, "smoke", 3, settings, tmp_path / "recipe" / "smoke" / "seed-3" / arm)

        def fit(preferences, fitting):  # type: ignore[no-untyped-def]
            built.append(arm)
            scorer = TokenScorer.from_policy(policy)
            return scorer, train_on_preferences(scorer, policy.tokenizer, preferences, fitting)

        found = reward_model(run, TASK, policy, SAMPLING, "plain", fit)
        return found.folder, found.accuracy

    first, accuracy = model("a", 60)
    assert model("b", 60) == (first, accuracy) and 0 <= accuracy <= 1
    assert model("b", 70)[0] != first
    assert built == ["a", "b"]
