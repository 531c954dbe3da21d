"""What PAR is compared with: other shapes of the same reward, other reward models, other credit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from trueward.errors import EvidenceError
from trueward.evidence.recipe import Arm, Settings

if TYPE_CHECKING:
    from trueward.batch import Preferences
    from trueward.credit.estimators import Estimator
    from trueward.policies.language import LanguagePolicy
    from trueward.policies.scorer import TokenScorer
    from trueward.rewards.transforms import Transform
    from trueward.training.reward_model_loop import FitResult, FitSettings

SETTINGS: Settings = {
    "task.lengths": (4, 12),
    "policy.layers": 2,
    "policy.width": 64,
    "policy.heads": 4,
    "policy.positions": 40,
    "policy.demonstrations": 4000,
    "policy.steps": 400,
    "policy.batch_size": 64,
    "policy.learning_rate": 3e-3,
    "sampling.max_new_tokens": 24,
    "preferences.pairs": 1500,
    "preferences.flip": 0.15,
    "reward_model.epochs": 6,
    "reward_model.learning_rate": 1e-3,
    "reward.model": "plain",
    "reward.shape": "raw",
    "reward.k": 1.0,
    "reward.references": 10,
    "reward.ceiling": 4.0,
    "reward.exchanged": False,
    "length.rate": 0.01,
    "length.free": 14,
    "credit.kind": "critic",
    "credit.kl": 0.005,
    "rows.train": 256,
    "rows.held out": 64,
    "train.steps": 120,
    "train.prompts": 16,
    "train.group": 4,
    "train.learning_rate": 5e-4,
    "train.critic_learning_rate": 1e-3,
    "train.evaluate_every": 10,
    "train.evaluation_samples": 2,
    "train.checkpoint_every": 60,
    "train.tensorboard": False,
}

SCALES: Mapping[str, Settings] = {
    "smoke": {
        "policy.layers": 1,
        "policy.width": 32,
        "policy.demonstrations": 600,
        "policy.steps": 120,
        "preferences.pairs": 300,
        "rows.train": 64,
        "rows.held out": 32,
        "train.steps": 16,
        "train.prompts": 8,
        "train.learning_rate": 2e-3,
        "train.evaluate_every": 4,
    },
    "small": {},
    "full": {"train.steps": 300},
}

_GRPO = {"credit.kind": "group", "credit.kl": 0.005}

# WARM's five models, relative to the largest: share of the pairs, and learning rate.
_WARM = ((0.34, 1.4), (0.5, 1.2), (0.67, 1.0), (0.83, 0.8), (1.0, 0.6))


def shape_of(chosen: Mapping[str, Any]) -> tuple[Transform, ...]:
    """The transforms that `reward.shape` names, with `reward.k` and `reward.ceiling`.

    Raises:
        EvidenceError: there is no such shape.
    """
    from trueward.evidence.controls import Shuffled
    from trueward.rewards import transforms as shapes

    known: Mapping[str, Callable[[], tuple[Transform, ...]]] = {
        "raw": lambda: (),
        "win_probability": lambda: (shapes.win_probability(chosen["reward.k"]),),
        "shuffled win_probability": lambda: (shapes.win_probability(chosen["reward.k"]), Shuffled("batch")),
        "slow_start": lambda: (shapes.slow_start(),),
        "sigmoid": lambda: (shapes.sigmoid(chosen["reward.k"]),),
        "tanh": lambda: (shapes.tanh(),),
        "polynomial": lambda: (shapes.polynomial(),),
        "centred": lambda: (shapes.centred(),),
        "centred tanh": lambda: (shapes.centred("tanh"),),
        "centred atan": lambda: (shapes.centred("atan"),),
        "centred polynomial": lambda: (shapes.centred("polynomial"),),
        "log_sigmoid": lambda: (shapes.log_sigmoid_centred(),),
        "minmax": lambda: (shapes.running_range(),),
        "meanstd": lambda: (shapes.standardise(),),
        "clip": lambda: (shapes.running_clip(),),
        "ceiling": lambda: (shapes.ceiling(chosen["reward.ceiling"]),),
    }
    if chosen["reward.shape"] not in known:
        raise EvidenceError(f"reward.shape={chosen['reward.shape']!r}; expected one of {', '.join(known)}")
    return known[chosen["reward.shape"]]()


def credit_of(kind: str, kl: float) -> Estimator:
    """PPO's advantages with Monte-Carlo targets ("critic"), GRPO's ("group") or ReMax's ("greedy").

    GRPO has its divergence in the loss, the others in the reward.
    """
    from trueward.credit.estimators import GeneralisedAdvantage, GreedyBaseline, GroupRelative

    if kind == "group":
        return GroupRelative()
    return GreedyBaseline(kl=kl) if kind == "greedy" else GeneralisedAdvantage(kl=kl, monte_carlo=True)


def fitted(
    kind: str, policy: LanguagePolicy, pairs: Preferences, settings: FitSettings
) -> tuple[TokenScorer, FitResult]:
    """A reward model that begins as the policy: "plain", "regularised" (Reg), "averaged" (WARM), "two heads" (ODIN).

    Raises:
        EvidenceError: there is no such kind.
    """
    from trueward.policies.scorer import TokenScorer
    from trueward.training.pairs_labelled import taken
    from trueward.training.reward_model import train_on_preferences, train_two_heads, weight_average

    if kind == "two heads":
        scorer = TokenScorer.from_policy(policy, 2, seed=settings.seed % 2**32)
        return scorer, train_two_heads(scorer, policy.tokenizer, pairs, settings)
    if kind in ("plain", "regularised"):
        scorer = TokenScorer.from_policy(policy, seed=settings.seed % 2**32)
        price = 0.005 if kind == "regularised" else 0.0
        return scorer, train_on_preferences(scorer, policy.tokenizer, pairs, settings, centring=price, centre="each")
    if kind != "averaged":
        raise EvidenceError(f"reward.model={kind!r}; expected plain, regularised, averaged or two heads")
    members, results = [], []
    for number, (share, rate) in enumerate(_WARM):
        generator = np.random.default_rng([settings.seed, number])
        some = generator.permutation(len(pairs.label))[: round(share * len(pairs.label))]
        part = dataclasses.replace(
            pairs, a=taken(pairs.a, some), b=taken(pairs.b, some), label=np.asarray(pairs.label)[some], id=some
        )
        own = dataclasses.replace(settings, seed=settings.seed + number, learning_rate=rate * settings.learning_rate)
        member = TokenScorer.from_policy(policy, seed=settings.seed % 2**32)
        results.append(train_on_preferences(member, policy.tokenizer, part, own))
        members.append(member)
    # The accuracy told is that of the last member, which saw all pairs.
    return weight_average(members), results[-1]


def full_arms(kl_of_sigmoids: float, kl: float) -> tuple[Arm, ...]:
    """Everything else that the paper compares.

    Args:
        kl_of_sigmoids: price of divergence for shapes about as flat as σ.
        kl: for those about as steep as the raw reward. Under GRPO, which sets the scale itself, it is the paper's.
    """
    flat: Mapping[str, tuple[str, Settings]] = {
        "minmax": ("the range of all rewards so far becomes [0, 1]", {"reward.shape": "minmax"}),
        "polynomial": ("a fitted sigmoid, not compared with references", {"reward.shape": "polynomial"}),
        "centred_polynomial": ("a fitted sigmoid against references", {"reward.shape": "centred polynomial"}),
        "slow_start": ("SgFc: grows slowly first, quickly late", {"reward.shape": "slow_start"}),
        "par_1": ("PAR with one reference", {"reward.shape": "win_probability", "reward.references": 1}),
        "par_k3": ("PAR, three times as steep", {"reward.shape": "win_probability", "reward.k": 3.0}),
        "grpo_par": ("PAR under GRPO", {"reward.shape": "win_probability", **_GRPO}),
        "remax_par": ("PAR under ReMax", {"reward.shape": "win_probability", "credit.kind": "greedy"}),
    }
    steep: Mapping[str, tuple[str, Settings]] = {
        "tanh": ("bounded, not compared with references", {"reward.shape": "tanh"}),
        "centred_tanh": ("tanh against references", {"reward.shape": "centred tanh"}),
        "centred_atan": ("arctangent against references", {"reward.shape": "centred atan"}),
        "meanstd": ("standardised with running statistics", {"reward.shape": "meanstd"}),
        "clip": ("within one running deviation", {"reward.shape": "clip"}),
        "ceiling": ("cut off above", {"reward.shape": "ceiling"}),
        "log_sigmoid": ("LSC: log σ above the references' 85th percentile", {"reward.shape": "log_sigmoid"}),
        "centred": ("minus the mean of the references", {"reward.shape": "centred"}),
        "warm": ("WARM: weights of five reward models averaged", {"reward.model": "averaged"}),
        "odin": ("ODIN: a head of its own for length", {"reward.model": "two heads"}),
        "regularised": ("Reg: squares of rewards are penalised", {"reward.model": "regularised"}),
        "grpo_vanilla": ("the score as it is, under GRPO", {**_GRPO}),
        "grpo_centred": ("minus references, under GRPO", {"reward.shape": "centred", **_GRPO}),
        "grpo_meanstd": ("standardised, under GRPO", {"reward.shape": "meanstd", **_GRPO}),
        "remax_vanilla": ("the score as it is, under ReMax", {"credit.kind": "greedy"}),
    }
    return tuple(
        Arm(name, about, "reference", {"credit.kl": price, **settings}, full=True)
        for price, arms in ((kl_of_sigmoids, flat), (kl, steep))
        for name, (about, settings) in arms.items()
    )
