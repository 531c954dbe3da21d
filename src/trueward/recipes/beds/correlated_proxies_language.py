"""Correlated proxies on language: a reward model that learnt courtesy for help, and policies held near their start.

Replies to reviews; courtesy goes together with what is wanted in the preferences. The reward model is the proxy, and
the warm-started policy the reference. A whole answer is an episode, so that no classifier is needed: see
`trueward.objectives.sequence_divergence`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trueward.credit.estimators import GroupRelative
from trueward.errors import EvidenceError
from trueward.evidence.language_bed import curve_metrics, train_settings, under, warm_started
from trueward.evidence.run import Run
from trueward.measures.proxies import Correlated, correlation
from trueward.objectives.policy_loss import PolicyLoss, PolicyObjective
from trueward.objectives.sequence_divergence import NearReference
from trueward.policies.language import LanguagePolicy
from trueward.policies.scorer import TokenScorer
from trueward.rewards.models.learned import LearnedReward
from trueward.tasks.text.procedural.replies import ReviewReplies
from trueward.tasks.text.rollout_formats import read_rollouts
from trueward.training.language import train
from trueward.training.reward_model import train_on_preferences
from trueward.training.reward_model_loop import FitSettings

_STEPS = 5  # of training, at either end, over whose rollouts correlations are taken


def on_language(run: Run) -> dict[str, float]:
    """GRPO on a learnt reward model: what `correlated_proxies.METRICS` declares, gains as differences of gold.

    What is known exactly in the tomato world alone is NaN.
    """
    run = dataclasses.replace(run, settings=under(run.settings, "language"))
    chosen = run.settings
    task = ReviewReplies(**under(chosen, "task"))
    policy = warm_started(run, task)
    proxy = LearnedReward("reward_model", _scorer(run, task, policy), policy.tokenizer)
    trained = train(
        policy,
        task.rows(chosen["rows.train"], run.seed_for("train")),
        proxy,
        gold=task.gold,
        held_out=task.rows(chosen["rows.held out"], run.seed_for("held out"), "held out"),
        credit=GroupRelative(),
        objective=_objective(chosen),
        settings=train_settings(run),
        directory=run.directory,
    )
    found = curve_metrics(trained.metrics)
    first, last = _correlations(run.directory)
    divergence = [
        line["update/sequence_divergence"] for line in trained.metrics if "update/sequence_divergence" in line
    ]
    return {
        **{f"gain_{name}": found[f"gold_{name}"] - found["gold_start"] for name in ("end", "peak", "mean")},
        "proxy_gain_end": (found["proxy_end"] - found["proxy_start"]) / (first.proxy_deviation or 1.0),
        "correlation_start": first.correlation,
        "correlation_end": last.correlation,
        "log_chi_squared_end": math.log10(1.0 + divergence[-1]) if divergence else math.nan,
        "certificate_slack": math.nan,
        "alarmed": math.nan,
    }


def _scorer(run: Run, task: ReviewReplies, policy: LanguagePolicy) -> TokenScorer:
    """A reward model that learnt from annotated pairs; built once for all arms of a seed."""

    def build(folder: Path) -> None:
        seed = run.seed_for("reward model")
        pairs = task.preferences(run.settings["preferences.pairs"], run.seed_for("pairs"))
        scorer = TokenScorer.from_policy(policy, seed=seed % 2**32)
        fitting = FitSettings(seed=seed, **under(run.settings, "reward_model"))
        train_on_preferences(scorer, policy.tokenizer, pairs, fitting)
        scorer.save(folder)

    prefixes = ("task", "policy", "preferences", "reward_model")
    named = {name: value for name, value in run.settings.items() if name.split(".")[0] in prefixes}
    return TokenScorer.load(run.shared("reward model", named, build))


def _objective(chosen: Mapping[str, Any]) -> PolicyObjective:
    kind, weight = chosen["penalty"], chosen["penalty.weight"]
    if kind == "none":
        return PolicyLoss()
    if kind == "token kl":
        return PolicyLoss(kl=weight)
    if kind in ("sqrt_chi2", "chi2", "kl"):
        return NearReference(weight, kind)
    raise EvidenceError(f"language.penalty={kind!r}; expected none, token kl, kl, chi2 or sqrt_chi2")


def _correlations(directory: Path) -> tuple[Correlated, Correlated]:
    """Of reward and gold over the rollouts of the first and of the last steps."""
    rows = [one for one in read_rollouts(directory / "rollouts").completions if one.gold is not None]
    step = np.array([one.step for one in rows])
    proxy = np.array([sum(value or 0.0 for value in one.rewards.values()) for one in rows])
    gold = np.array([one.gold for one in rows], dtype=np.float64)
    sides = (step < step.min() + _STEPS, step > step.max() - _STEPS)
    first, last = (correlation(proxy[side], gold[side]) for side in sides)
    return first, last
