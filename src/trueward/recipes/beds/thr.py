"""What token hidden rewards are put to the test on, and everything else that they are compared with at scale "full"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trueward.errors import EvidenceError
from trueward.evidence.coverage import COVERAGE_METRICS
from trueward.evidence.recipe import Arm, Metric, Settings

if TYPE_CHECKING:
    from trueward.credit.estimators import Estimator
    from trueward.evidence.run import Run

METRICS = (
    *COVERAGE_METRICS,
    Metric("kept_share", "tokens that are learnt from, of those in mixed groups, mean over training", None, "share"),
    Metric("positive_share", "tokens with a positive hidden reward, mean over training", None, "share"),
    Metric("kl", "divergence from the warm start, after training", None, "nats"),
)

# fmt: off
SETTINGS: Settings = {
    "task.largest": 6, "task.largest_target": 30, "task.products": 0.45, "task.demonstrated_products": 0.015,
    "policy.layers": 2, "policy.width": 64, "policy.heads": 4, "policy.positions": 24,
    "policy.demonstrations": 20000, "policy.steps": 1700, "policy.batch_size": 64, "policy.learning_rate": 3e-3,
    "rows.train": 4000, "rows.held out": 64,
    "credit.kind": "grpo", "credit.p": 0.0, "credit.threshold": "least", "credit.shuffled": False,
    "credit.over": "grpo", "credit.k": 4, "credit.mix": 0.2, "credit.share": 0.5,
    "objective.ratio": "token", "objective.entropy": 0.0, "objective.covariance": 0.0,
    "objective.covariance_share": 0.02,
    "train.steps": 200, "train.prompts": 32, "train.group": 8, "train.learning_rate": 2.5e-4, "train.minibatches": 2,
    "train.evaluate_every": 200, "train.checkpoint_every": 200, "train.tensorboard": False,
    "sampling.max_new_tokens": 8,
    "coverage.prompts": 320, "coverage.samples": 256, "coverage.accuracy prompts": 1000, "coverage.accuracy samples": 8,
}

SCALES: Mapping[str, Settings] = {
    "smoke": {
        "task.largest": 4, "task.largest_target": 15, "task.demonstrated_products": 0.2, "policy.width": 32,
        "policy.demonstrations": 2000, "policy.steps": 120, "rows.train": 200, "rows.held out": 16,
        "train.steps": 2, "train.prompts": 16, "train.evaluate_every": 2,
        "coverage.prompts": 8, "coverage.accuracy prompts": 32, "coverage.accuracy samples": 2,
    },
    "small": {},
    "full": {"train.steps": 300, "train.prompts": 64, "coverage.prompts": 400},
}

FULL_ARMS = (
    Arm("thr_explore_mild", "p = −0.1, as published", "reference", {"credit.kind": "thr", "credit.p": -0.1}, full=True),
    Arm("thr_exploit_mild", "p = 0.1, as published", "reference", {"credit.kind": "thr", "credit.p": 0.1}, full=True),
    Arm("thr_mean", "p = 0, threshold over the mean of correct rollouts instead of the least", "reference",
        {"credit.kind": "thr", "credit.threshold": "mean"}, full=True),
    Arm("pass_at_k", "prompts count by the root of the chance that four samples fail", "reference",
        {"credit.kind": "pass at k", "credit.mix": 1.0}, full=True),
    Arm("thr_explore_pass_at_k", "p = −0.5 on top of the pass@k mix", "reference",
        {"credit.kind": "thr", "credit.p": -0.5, "credit.over": "pass at k"}, full=True),
    Arm("nthr", "wrong tokens that correct rollouts share are spared", "reference", {"credit.kind": "nthr"}, full=True),
    Arm("covariance", "KL-Cov on the fiftieth of the tokens with the largest covariance", "reference",
        {"objective.covariance": 1.0}, full=True),
    Arm("entropy_bonus", "an entropy bonus", "reference", {"objective.entropy": 0.003}, full=True),
    Arm("top_entropy", "the half of the tokens with the highest entropy", "reference",
        {"credit.kind": "top entropy"}, full=True),
    Arm("gspo", "one importance ratio per rollout", "reference", {"objective.ratio": "sequence"}, full=True),
    Arm("gspo_explore", "one importance ratio per rollout, p = −0.5", "reference",
        {"objective.ratio": "sequence", "credit.kind": "thr", "credit.p": -0.5}, full=True),
)
# fmt: on


def reaches_target(
    completions: Sequence[str], numbers: Sequence[Sequence[int]], target: Sequence[int], **columns: Any
) -> list[float]:
    """1 where the completion is an expression of all the numbers, each once, that comes to the target; else 0."""
    from trueward.tasks.text.procedural.countdown import formed

    found = [formed(given, text) for given, text in zip(numbers, completions, strict=True)]
    return [float(one is not None and one.value == wanted) for one, wanted in zip(found, target, strict=True)]


def credit_of(run: Run) -> Estimator:
    """The estimator of an arm.

    Raises:
        EvidenceError: `credit.kind` or `credit.over` names none.
    """
    from trueward.credit.estimators import GroupRelative
    from trueward.credit.token_estimators import NegativeTokenHiddenReward, PassAtK, TokenHiddenReward, TopEntropy

    chosen = run.settings
    whole: dict[str, Estimator] = {
        "grpo": GroupRelative(),
        "pass at k": PassAtK(chosen["credit.k"], chosen["credit.mix"]),
    }
    kind, below = chosen["credit.kind"], chosen["credit.over"]
    if below not in whole:
        raise EvidenceError(f"credit.over={below!r}; expected one of {', '.join(whole)}")
    over, threshold = whole[below], chosen["credit.threshold"]
    shuffled = run.seed_for("control") if chosen["credit.shuffled"] else None
    kinds: dict[str, Estimator] = {
        **whole,
        "thr": TokenHiddenReward(chosen["credit.p"], threshold=threshold, over=over, shuffled=shuffled),
        "nthr": NegativeTokenHiddenReward(threshold=threshold, over=over),
        "top entropy": TopEntropy(chosen["credit.share"], over),
    }
    if kind not in kinds:
        raise EvidenceError(f"credit.kind={kind!r}; expected one of {', '.join(kinds)}")
    return kinds[kind]


def token_shares(metrics: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Shares of tokens over training, not a number where the credit tells none; the divergence at the end."""
    import numpy as np

    found = {}
    for name in ("kept_share", "positive_share"):
        values = [line[f"credit/{name}"] for line in metrics if line.get(f"credit/{name}") is not None]
        found[name] = float(np.mean(values)) if values else float("nan")
    ends = [line["kl"] for line in metrics if line.get("kl") is not None]
    return {**found, "kl": float(ends[-1])}
