"""Token hidden rewards against training itself: what one step on the tokens they pick does to correct rollouts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from trueward.batch import Context, Rollouts
from trueward.credit import GroupRelative
from trueward.credit.tokens import dominance, influences
from trueward.evidence.controls import selected_at_random
from trueward.evidence.token_dynamics import step_effects
from trueward.measures.ranks import rank_correlation
from trueward.policies.language import LanguagePolicy
from trueward.policies.prediction_errors import hidden_and_errors
from trueward.policies.sampling import Sampling
from trueward.recipes.beds.thr import reaches_target
from trueward.rewards.base import as_reward
from trueward.tasks.text.procedural import Countdown
from trueward.training.rollouts import gather, tokens_of
from trueward.training.seeds import torch_stream
from trueward.training.warm_start import warm_start

# Threads that wait for each other cost more than such small models.
torch.set_num_threads(1)

GROUPS, RATE, TEMPERATURE = 50, 1e-4, 1.0


@dataclass(frozen=True)
class Mixed:
    """Fifty groups that hold right and wrong rollouts of a small policy, and their hidden rewards.

    Attributes:
        all, up, down: decisions: every one; with THR above τ; below −τ.
        at_random: as many of each group as are up, and as are down.
    """

    policy: LanguagePolicy
    rollouts: Rollouts
    correct: np.ndarray
    advantages: np.ndarray
    hidden_rewards: np.ndarray
    chosen: dict[str, np.ndarray]

    def effects(self, rate: float = RATE, output_layer_only: bool = False) -> dict[str, np.ndarray]:
        return step_effects(
            self.policy,
            self.rollouts,
            self.correct,
            self.advantages,
            self.chosen,
            rate=rate,
            output_layer_only=output_layer_only,
            temperature=TEMPERATURE,
        )

    def predicted(self) -> np.ndarray:
        """Σ |A| THR of each group."""
        each = (np.abs(self.advantages) * self.hidden_rewards).sum(axis=1)
        return np.bincount(self.group, each)

    @property
    def group(self) -> np.ndarray:
        return np.asarray(self.rollouts.group)


@pytest.fixture(scope="module")
def mixed() -> Mixed:
    task = Countdown(largest=4, largest_target=15)
    policy = LanguagePolicy.tiny(task.vocabulary, layers=2, width=48, heads=4, positions=24, seed=1)
    warm_start(policy, task.demonstrations(3000, 0), steps=120, seed=0)
    verifier = as_reward(reaches_target, low=0.0, high=1.0)
    sampled = gather(
        policy, task.rows(160, 5), Sampling(8, temperature=TEMPERATURE), torch_stream(0, "rollouts"), group=8
    )
    right = verifier.score(sampled, Context()).total() == 1.0
    shares = np.bincount(np.asarray(sampled.group), right) / 8
    kept = np.flatnonzero((shares > 0) & (shares < 1))[:GROUPS]
    assert len(kept) == GROUPS
    rollouts = of_rows(sampled, np.isin(np.asarray(sampled.group), kept))
    scores = verifier.score(rollouts, Context())
    right, mask, group = scores.total() == 1.0, np.asarray(rollouts.mask), np.asarray(rollouts.group)
    advantages = GroupRelative()(scores, rollouts, Context()).advantages[:, None] * mask
    ids, attention = tokens_of(rollouts)
    known = (torch.from_numpy(mask), torch.from_numpy(group))
    hidden, errors = hidden_and_errors(policy.model, ids, attention, *known, temperature=TEMPERATURE)
    influence = influences(hidden.numpy(), errors.numpy(), mask, right, group)
    rewards, tau = np.sign(advantages) * influence, dominance(influence, mask, right, group)[:, None]
    up, down = mask & (rewards > tau), mask & (rewards < -tau)
    generator = np.random.default_rng(0)

    def at_random(chosen: np.ndarray) -> np.ndarray:
        drawn = np.zeros_like(chosen)
        places = np.broadcast_to(group[:, None], mask.shape)[mask]
        drawn[mask] = selected_at_random(chosen[mask], generator, places)
        return drawn

    picks = {"all": mask, "up": up, "down": down, "as many as up": at_random(up), "as many as down": at_random(down)}
    return Mixed(policy, rollouts, right, advantages, rewards, picks)


def of_rows(rollouts: Rollouts, kept: np.ndarray) -> Rollouts:
    """Those rollouts, their groups numbered anew."""
    content = rollouts.content
    chosen = dataclasses.replace(
        content,
        prompts=[one for one, inside in zip(content.prompts, kept, strict=True) if inside],
        completions=[one for one, inside in zip(content.completions, kept, strict=True) if inside],
        token_ids=content.token_ids[kept],
        attention=content.attention[kept],
    )
    return Rollouts(
        chosen,
        group=np.unique(np.asarray(rollouts.group)[kept], return_inverse=True)[1],
        mask=np.asarray(rollouts.mask)[kept],
        reference=[one for one, inside in zip(rollouts.reference, kept, strict=True) if inside],
    )


def test_through_the_output_layer_they_are_the_change_of_the_likelihood(mixed: Mixed) -> None:
    """Δ = η Σ |A| THR / |P| to first order; undivided by |P|, as the source sums them, ranks still agree at .6."""
    found = mixed.effects(output_layer_only=True)["all"]
    exact = RATE * mixed.predicted() / np.bincount(mixed.group, mixed.correct)
    assert rank_correlation(exact, found) > 0.99
    assert np.median(np.abs(found / exact - 1.0)) < 0.03
    assert rank_correlation(mixed.predicted(), found) >= 0.6


def test_when_everything_moves_they_still_rank_groups(mixed: Mixed) -> None:
    assert rank_correlation(mixed.predicted(), mixed.effects()["all"]) >= 0.3


@pytest.mark.parametrize("output_layer_only", [True, False], ids=["output layer", "all parameters"])
def test_tokens_they_pick_beat_random_ones_and_those_they_reject_lose_to_them(
    mixed: Mixed, output_layer_only: bool
) -> None:
    found = mixed.effects(1e-5, output_layer_only)
    ordered = (found["up"] > found["as many as up"]) & (found["as many as down"] > found["down"])
    assert ordered.mean() >= 0.8
    # Relative to random tokens the two differ in sign.
    assert (found["up"] - found["as many as up"]).mean() > 0 > (found["down"] - found["as many as down"]).mean()
    # And in themselves: steps on what is rejected lower the correct rollouts.
    assert found["up"].mean() > 0 > found["down"].mean()


def test_states_one_place_late_do_not_give_it(mixed: Mixed) -> None:
    """The control: the state behind each token instead of the one before it."""
    ids, attention = tokens_of(mixed.rollouts)
    mask = np.asarray(mixed.rollouts.mask)
    known = (torch.from_numpy(mask), torch.from_numpy(mixed.group))
    hidden, errors = (one.numpy() for one in hidden_and_errors(mixed.policy.model, ids, attention, *known))
    late = np.concatenate([hidden[:, 1:], hidden[:, :1]], axis=1)
    influence = influences(late, errors, mask, mixed.correct, mixed.group)
    wrong = np.bincount(mixed.group, (mixed.advantages * influence).sum(axis=1))
    exact = RATE * wrong / np.bincount(mixed.group, mixed.correct)
    found = mixed.effects(output_layer_only=True)["all"]
    assert np.median(np.abs(found / exact - 1.0)) > 0.06


def test_the_policy_is_put_back(mixed: Mixed) -> None:
    before = {name: weight.detach().clone() for name, weight in mixed.policy.model.named_parameters()}
    for output_layer_only in (True, False):
        mixed.effects(1e-2, output_layer_only)
    after = dict(mixed.policy.model.named_parameters())
    assert before.keys() == after.keys()
    assert all(torch.equal(weight, after[name]) for name, weight in before.items())
    assert mixed.policy.model.get_output_embeddings().weight is mixed.policy.model.get_input_embeddings().weight
