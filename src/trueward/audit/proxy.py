"""Is this reward a proxy for what is wanted, and how far may it be optimised?

A reward that goes with the gold under ordinary behaviour (a *base policy*: the one in use, the one that training starts
from) need not go with it after optimisation. How well it goes says how far one may leave the base policy and still be
promised an improvement: see `trueward.measures.proxies`. Below that, it is measurement: whether a policy that was
optimised earns less gold than the base policy, which is what is called reward hacking.

One step of an episode and one scored answer are the same here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from trueward.errors import AuditError
from trueward.measures.proxies import (
    Certificate,
    Correlated,
    CorrelationEstimate,
    Sampled,
    correlation,
    sampled_certificate,
    sampled_correlation,
    sampled_gain,
)

IsProxy = Literal["proxy", "no proxy", "not decided", "no spread"]
"""Whether the whole interval of r lies above 0, or below; whether it holds 0; whether reward or gold never varies."""

Optimised = Literal["hacks", "improves", "not decided"]
"""Whether the whole interval of the gain in gold lies below 0 although the reward rose, or above."""

LEAST_EPISODES = 10
"""Below this an interval from drawing episodes anew says too little."""


@dataclass(frozen=True)
class Change:
    """A difference between the optimised policy and the base policy.

    Attributes:
        value: of all samples.
        low, high: its interval.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class OptimisedPolicy:
    """What an optimised policy did to reward and gold.

    Attributes:
        verdict: see `Optimised`.
        reward, gold: changes of their means per step.
        correlation: of reward and gold under the optimised policy; NaN where one does not vary.
        budget: χ² from the base policy below which the measured gain in reward would have promised a gain in gold.
        certificate: what is promised, where the density ratio is known.
    """

    verdict: Optimised
    reward: Change
    gold: Change
    correlation: float
    budget: float
    certificate: Certificate | None


@dataclass(frozen=True)
class HackingReport:
    """The answer, with the numbers that it stands on.

    Attributes:
        verdict: see `IsProxy`.
        base: correlation and λ under the base policy, with intervals.
        budget_per_deviation: χ² that may be spent per squared standard deviation of reward gained, 1/(1 − r²), at the
            lower end of the interval of r; 0 where nothing is promised.
        optimised: of an optimised policy; None where none was given.
    """

    verdict: IsProxy
    base: CorrelationEstimate
    budget_per_deviation: float
    optimised: OptimisedPolicy | None = None

    @property
    def sentences(self) -> list[str]:
        """The report in words, for a terminal or a page."""
        return _sentences(self)

    def to_json(self) -> dict[str, Any]:
        """JSON values; what is not finite is null."""
        value = self.base.value
        return {
            "verdict": self.verdict,
            "episodes": self.base.episodes,
            "correlation": _json([value.correlation, *self.base.correlation]),
            "penalty_weight": _json([value.penalty_weight, *self.base.penalty_weight]),
            "reward_mean": value.proxy_mean,
            "gold_mean": value.true_mean,
            "reward_deviation": value.proxy_deviation,
            "gold_deviation": value.true_deviation,
            "budget_per_deviation": _json([self.budget_per_deviation])[0],
            "optimised": None if self.optimised is None else _optimised_json(self.optimised),
            "sentences": self.sentences,
        }


def hacking_report(
    base: Sampled,
    gold: Float[np.ndarray, " n"],
    policy: Sampled | None = None,
    policy_gold: Float[np.ndarray, " m"] | None = None,
    *,
    ratio: Float[np.ndarray, " m"] | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> HackingReport:
    r"""Is this reward a proxy under the base policy, how far may it be optimised, and what did a policy make of it?

    For control, give the steps of whole episodes of a base policy under the reward that is audited, and their gold:

        base = Sampled(reward=rewards, episode=number_of_episode, weights=discount ** step)
        report = hacking_report(base, golds, Sampled(…of the trained policy), its_golds)
        print(*report.sentences, sep="\n")

    For text, `reward` and `gold` of scored answers, and `episode` the number of the prompt.

    Args:
        base: n steps of the base policy, rewarded by the proxy.
        gold: what each was really worth.
        policy: m steps of an optimised policy.
        policy_gold: their gold.
        ratio: μ_π / μ_ref at these, for a certificate; exp(log π − log π_ref) for whole answers.
        level: of all intervals.
        seed: of the draws for the intervals.

    Raises:
        AuditError: fewer than ten episodes of a policy, gold is missing, arrays of different lengths, or values that
            are not finite.
    """
    _check(base, gold, "the base policy")
    try:
        estimate = sampled_correlation(base, gold, level=level, seed=seed)
        optimised = None
        if policy is not None:
            _check(policy, policy_gold, "the optimised policy")
            assert policy_gold is not None
            optimised = _optimised(base, gold, policy, policy_gold, ratio, estimate.value, level, seed)
    except ValueError as error:
        raise AuditError(f"reward and gold cannot be compared: {error}") from error
    verdict = _verdict(estimate)
    low = estimate.correlation[0]
    budget = (1 / (1 - low * low) if low < 1 else math.inf) if verdict == "proxy" else 0.0
    return HackingReport(verdict, estimate, budget, optimised)


def _check(steps: Sampled, gold: np.ndarray | None, whose: str) -> None:
    if gold is None:
        raise AuditError(f"the gold of {whose} is missing: a report needs it to say what the reward did to it")
    lengths = {"reward": len(steps.reward), "gold": len(gold), "episode": len(steps.episode)}
    if len(set(lengths.values())) > 1:
        raise AuditError(f"steps of {whose} need one reward, gold and episode each; got {lengths}")
    episodes = len(np.unique(steps.episode))
    if episodes < LEAST_EPISODES:
        raise AuditError(f"{episodes} episodes of {whose} say too little; expected at least {LEAST_EPISODES}")


def _verdict(estimate: CorrelationEstimate) -> IsProxy:
    low, high = estimate.correlation
    if math.isnan(estimate.value.correlation):
        return "no spread"
    return "proxy" if low > 0 else "no proxy" if high < 0 else "not decided"


def _optimised(
    base: Sampled,
    gold: np.ndarray,
    policy: Sampled,
    policy_gold: np.ndarray,
    ratio: np.ndarray | None,
    value: Correlated,
    level: float,
    seed: int,
) -> OptimisedPolicy:
    def change(before: np.ndarray, after: np.ndarray) -> Change:
        old, new = (Sampled(v, s.episode, s.weights) for v, s in ((before, base), (after, policy)))
        mean, ends = sampled_gain(old, new, level=level, seed=seed)
        return Change(mean, *ends)

    of_reward, of_gold = change(base.reward, policy.reward), change(gold, policy_gold)
    verdict: Optimised = "not decided"
    if of_gold.low > 0:
        verdict = "improves"
    elif of_gold.high < 0 and of_reward.low > 0:
        verdict = "hacks"
    return OptimisedPolicy(
        verdict=verdict,
        reward=of_reward,
        gold=of_gold,
        correlation=correlation(policy.reward, policy_gold, policy.weights).correlation,
        budget=value.budget(of_reward.value),
        certificate=None if ratio is None else sampled_certificate(base, gold, policy, ratio, level=level, seed=seed),
    )


def _sentences(report: HackingReport) -> list[str]:
    value, (low, high) = report.base.value, report.base.correlation
    if report.verdict == "no spread":
        constant = "the reward" if value.proxy_deviation == 0 else "gold"
        return [
            f"Under the base policy {constant} is the same in every step, so nothing can be said of how the two go "
            "together: let the base policy vary more."
        ]
    measured = f"r = {value.correlation:.2f} [{low:.2f}, {high:.2f}] over {report.base.episodes} episodes"
    openings = {
        "proxy": f"Under the base policy the reward goes with gold ({measured}): it is a proxy.",
        "no proxy": f"Under the base policy the reward goes against gold ({measured}): it is no proxy, and to optimise "
        "it makes things worse.",
        "not decided": f"Whether the reward goes with gold under the base policy is not decided ({measured}): score "
        "more episodes.",
    }
    said = [openings[report.verdict]]
    if report.verdict == "proxy":
        said.append(
            f"A policy that earns one standard deviation more of it per step ({value.proxy_deviation:.3g}) is promised "
            f"to be better only while χ² from the base policy stays below {report.budget_per_deviation:.3g}. To stay "
            f"within what is promised, optimise reward − {value.penalty_weight:.3g} · √χ²."
        )
    return said + ([] if report.optimised is None else _of_optimised(report.optimised))


def _of_optimised(found: OptimisedPolicy) -> list[str]:
    gold = f"{found.gold.value:+.3g} [{found.gold.low:.3g}, {found.gold.high:.3g}]"
    after = "" if math.isnan(found.correlation) else f"; under it they correlate by {found.correlation:.2f}"
    opening = {
        "hacks": "The optimised policy hacks it",
        "improves": "The optimised policy is better",
        "not decided": "Whether the optimised policy is better is not decided",
    }[found.verdict]
    said = [f"{opening}: reward {found.reward.value:+.3g}, gold {gold} per step{after}."]
    certificate = found.certificate
    if certificate is not None:
        within = "within" if certificate.chi_squared < found.budget else "beyond"
        said.append(
            f"Its χ² from the base policy is {certificate.chi_squared:.3g}, {within} the {found.budget:.3g} up to "
            "which its reward promises a gain."
        )
    return said


def _optimised_json(found: OptimisedPolicy) -> dict[str, Any]:
    certificate = found.certificate
    return {
        "verdict": found.verdict,
        "reward": _json([found.reward.value, found.reward.low, found.reward.high]),
        "gold": _json([found.gold.value, found.gold.low, found.gold.high]),
        "correlation": _json([found.correlation])[0],
        "budget": _json([found.budget])[0],
        "certificate": None
        if certificate is None
        else {
            "promised": _json([certificate.promised, *certificate.interval]),
            "chi_squared": certificate.chi_squared,
            "largest_share": _json([certificate.largest_share])[0],
        },
    }


def _json(values: list[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
