"""A reward model trained beside its policy: pairs from rollouts, one step on them, and what is kept and watched."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trueward.batch import Context, Part, Preferences, Rollouts, Scores, Text
from trueward.credit.estimators import GroupRelative
from trueward.errors import TrainingError
from trueward.objectives.policy_loss import PolicyLoss
from trueward.policies.language import LanguagePolicy
from trueward.policies.sampling import Sampling
from trueward.policies.scorer import TokenScorer
from trueward.rewards.base import as_reward
from trueward.rewards.models.learned import LearnedReward
from trueward.status import Status
from trueward.tasks.gold import Gold
from trueward.tasks.text.rows import Row
from trueward.tasks.text.vocabulary import Vocabulary
from trueward.training.co_training import CoTraining
from trueward.training.language import StopRun, TrainSettings, train
from trueward.training.pairs import PairBuilder
from trueward.training.pairs_parts import Candidates, best, first_valid, judged_wrong, rewritten

WORDS = ("red", "blue", "say", ":", "sure")
PROMPTS = ("say red :", "say blue :")


def right(completion: str, answer: str) -> float:
    return float(completion.split()[:1] == [answer])


def turned(positive: str, candidates: Candidates, generator: np.random.Generator) -> str:
    return positive.replace("red", "?").replace("blue", "red").replace("?", "blue")


def builder(**changed: Any) -> PairBuilder:
    check = judged_wrong(lambda text, reference: bool(right(text, reference["answer"])))
    return PairBuilder(first_valid, rewritten(turned), check, capacity=8, **changed)


@pytest.fixture
def policy() -> LanguagePolicy:
    torch.set_num_threads(1)
    return LanguagePolicy.tiny(Vocabulary("words", WORDS), layers=1, width=16, heads=2, positions=16)


def co_training(policy: LanguagePolicy, **changed: Any) -> CoTraining:
    chosen = {"certify": as_reward(right), "learning_rate": 3e-3, "builder": builder(), **changed}
    return CoTraining(TokenScorer.from_policy(policy), policy.tokenizer, **chosen)


def rollouts(*completions: str) -> Rollouts:
    """Two completions of each prompt."""
    prompts = [prompt for prompt in PROMPTS for _ in range(2)]
    reference = [{"answer": prompt.split()[1]} for prompt in prompts]
    return Rollouts(Text(prompts, list(completions)), group=np.array([0, 0, 1, 1]), reference=reference)


def scored(*values: float) -> Scores:
    return Scores({"model": Part(np.array(values, dtype=float), [Status.OK] * len(values))})


def context(step: int) -> Context:
    return Context(step, training=True, generator=np.random.default_rng(step))


MIXED = rollouts("red sure", "blue sure", "red", "red sure")


def test_numbers_of_one_step_by_hand(policy: LanguagePolicy) -> None:
    """Of four rollouts one is certified; of two prompts one gives a pair; two of the three others score below it."""
    told = co_training(policy).after_rollouts(MIXED, scored(0.5, 0.4, 0.6, 0.1), context(1))
    assert (told["certified"], told["pairs"], told["valid_pair_rate"], told["replayed"]) == (0.25, 1, 0.5, 0)
    assert told["agreement"] == pytest.approx(2 / 3)
    # A small head starts near 0, where no side of a pair is better.
    assert told["loss"] == pytest.approx(np.log(2), abs=0.05)


def test_the_model_learns_what_pairs_differ_in_and_not_what_they_share(policy: LanguagePolicy) -> None:
    hook = co_training(policy, builder=builder(least=4))
    reward = LearnedReward("model", hook.scorer, policy.tokenizer)
    both = rollouts("red sure", "blue", "blue sure", "red")
    for step in range(40):
        hook.after_rollouts(both, scored(0, 0, 0, 0), context(step))
    z = reward.score(rollouts("red sure", "blue sure", "blue sure", "red sure"), context(0)).total()
    assert z[0] - z[1] > 1 and z[2] - z[3] > 1


def test_turned_labels_teach_the_opposite(policy: LanguagePolicy) -> None:
    def turn(pairs: Preferences, generator: np.random.Generator) -> Preferences:
        return dataclasses.replace(pairs, label=1 - np.asarray(pairs.label))

    hook = co_training(policy, builder=builder(least=4), relabel=turn)
    for step in range(40):
        hook.after_rollouts(rollouts("red", "blue", "blue", "red"), scored(0, 0, 0, 0), context(step))
    z = LearnedReward("model", hook.scorer, policy.tokenizer).score(rollouts("red", "blue", "blue", "red"), context(0))
    assert z.total()[0] - z.total()[1] < -1


def test_an_anchor_holds_the_level_that_pairs_leave_open(policy: LanguagePolicy) -> None:
    levels = {}
    for anchor in (0.0, 1.0):
        hook = co_training(policy, builder=builder(least=4), anchor=anchor)
        with torch.no_grad():
            hook.scorer.head.bias.fill_(2.0)
        for step in range(60):
            hook.after_rollouts(rollouts("red", "blue", "blue", "red"), scored(0, 0, 0, 0), context(step))
        z = LearnedReward("model", hook.scorer, policy.tokenizer).score(MIXED, context(0)).total()
        levels[anchor] = float(z[:2].mean())
    assert levels[0.0] > 1 and abs(levels[1.0]) < levels[0.0] - 0.5


def test_without_a_certificate_the_selector_has_the_choice(policy: LanguagePolicy) -> None:
    chosen = PairBuilder(best, rewritten(turned), capacity=8)
    hook = co_training(policy, certify=None, builder=chosen)
    told = hook.after_rollouts(MIXED, scored(0.1, 0.9, 0.2, 0.3), context(1))
    assert told["valid_pair_rate"] == 1.0 and "agreement" not in told
    # The wrong "blue sure" is what the scores like best.
    assert [pair["positive"] for pair in hook.state_dict()["pairs"]["buffer"]] == ["blue sure", "red sure"]


def test_pairs_run_dry_and_the_buffer_goes_on_teaching(policy: LanguagePolicy) -> None:
    hook = co_training(policy, builder=builder(least=4))
    hook.after_rollouts(MIXED, scored(0, 0, 0, 0), context(1))
    before = {name: value.clone() for name, value in hook.scorer.state_dict().items()}
    told = hook.after_rollouts(rollouts("blue", "blue", "red", "red"), scored(0, 0, 0, 0), context(2))
    assert (told["valid_pair_rate"], told["pairs"], told["replayed"]) == (0.0, 0, 1)
    assert any(not torch.equal(before[name], value) for name, value in hook.scorer.state_dict().items())


def test_a_run_without_pairs_is_stopped_and_says_why(policy: LanguagePolicy) -> None:
    hook = co_training(policy, least_rate=0.4, window=2)
    hook.after_rollouts(MIXED, scored(0, 0, 0, 0), context(1))
    with pytest.raises(StopRun, match=r"over 2 steps 25.0% of the prompts gave a pair, fewer than 40.0%"):
        hook.after_rollouts(rollouts("blue", "blue", "red", "red"), scored(0, 0, 0, 0), context(2))


@pytest.mark.parametrize("wrong", [{"least_rate": 1.5}, {"window": 0}, {"batch_size": 0}, {"anchor": -1.0}])
def test_numbers_that_make_no_sense_are_refused(policy: LanguagePolicy, wrong: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match="co-training with"):
        co_training(policy, **wrong)


def test_in_the_loop_a_stopped_and_resumed_run_is_bit_identical(policy: LanguagePolicy, tmp_path: Path) -> None:
    rows = [Row(prompt, prompt, prompt.split()[1], {"answer": prompt.split()[1]}) for prompt in PROMPTS]

    def gold(some: Any, completions: Any) -> Gold:
        return Gold(np.array([right(text, str(row.answer)) for row, text in zip(some, completions, strict=True)]))

    def go(directory: Path, *steps: int) -> tuple[dict[str, torch.Tensor], list[dict[str, float]]]:
        for last in steps:
            own, hook = copy.deepcopy(policy), co_training(policy, builder=builder(least=2))
            trained = train(
                own,
                rows,
                LearnedReward("model", hook.scorer, policy.tokenizer, sigmoid=True),
                gold=gold,
                held_out=rows,
                credit=GroupRelative(),
                objective=PolicyLoss(kl=1e-3),
                settings=TrainSettings(
                    steps=last, prompts=2, group=6, sampling=Sampling(3), checkpoint_every=2, tensorboard=False
                ),
                directory=directory,
                hooks=[hook],
            )
        return dict(hook.scorer.state_dict()), trained.metrics

    whole, metrics = go(tmp_path / "whole", 6)
    parts, again = go(tmp_path / "parts", 3, 6)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    hooks = [[{k: v for k, v in line.items() if k.startswith("hook/")} for line in told] for told in (metrics, again)]
    assert json.dumps(hooks[0]) == json.dumps(hooks[1])
    assert sum(line.get("hook/pairs", 0) for line in metrics) > 0
