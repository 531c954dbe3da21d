"""Credit: turns scores into an advantage per decision.

Enters: `Scores` (or plain rewards), the group of each rollout, and, where decisions are told apart, masks, segments and
a critic's values. Leaves: advantages [N], or [N, S], or [N, T], and a record of what could not be compared. All of it
is pure functions on NumPy arrays. Rewards and group statistics are float64. Matrices over decisions may also be torch
tensors in CPU memory, which are read in place; nothing here imports torch, and no gradient passes through credit.

The pipeline, of which every step may be left out:

    compare within the group  →  return over segments  →  spread to decisions  →  weigh decisions
    `score_advantages`           `returns_to_go`          `spread…`               `weigh`, `whiten`

- `group`: centre, z-score, leave-one-out over numbers and group ids; ReMax's greedy baseline.
- `scores`: the same for `Scores`, of the total or of each part by itself.
- `denoising`: states on the way to a sample, compared step by step.
- `softmax_targets`: Plackett–Luce targets of a ranking, for losses on groups that were scored beforehand.
- `returns`: discounted sums, generalised advantages, λ-returns; of single episodes and of environments that go on.
- `environments`: the same with one row per time: what ends with an episode, and what goes on through its end.
- `scan`: the recurrence that all returns are made of.
- `spread`: rollouts to decisions (a view), segments to decisions, rewards to the last decision of their segment.
- `weight`: weights of decisions; whitening over the batch.
- `estimators`: these steps joined, as a training loop takes them: `GroupRelative`, `GreedyBaseline`, `SegmentReturns`,
  `GeneralisedAdvantage`.
- `tokens`: what a step on a token does to the likelihood of correct rollouts, and weights made of it.
- `token_estimators`: estimators that tell the tokens of a rollout apart: `TokenHiddenReward`,
  `NegativeTokenHiddenReward`, `TopEntropy`; and `PassAtK`.

What each estimator estimates, and where it is biased: docs/credit.md.
"""

from trueward.credit.estimators import (
    Credited,
    Estimator,
    GeneralisedAdvantage,
    GreedyBaseline,
    GroupRelative,
    SegmentReturns,
    log_ratios,
    token_rewards,
)
from trueward.credit.group import Advantages, greedy_advantages, group_advantages
from trueward.credit.returns import Estimates, gae, gae_over_episodes, lambda_returns, returns_to_go
from trueward.credit.scores import ScoredAdvantages, score_advantages
from trueward.credit.spread import at_segment_ends, spread, spread_segments, spread_written
from trueward.credit.token_estimators import (
    NegativeTokenHiddenReward,
    PassAtK,
    TokenHiddenReward,
    TopEntropy,
    token_hidden_reward,
)
from trueward.credit.weight import weigh, whiten

__all__ = [
    "score_advantages",
    "ScoredAdvantages",
    "group_advantages",
    "greedy_advantages",
    "Advantages",
    "returns_to_go",
    "lambda_returns",
    "gae",
    "gae_over_episodes",
    "Estimates",
    "spread",
    "spread_written",
    "spread_segments",
    "at_segment_ends",
    "weigh",
    "whiten",
    "Estimator",
    "Credited",
    "GroupRelative",
    "GreedyBaseline",
    "SegmentReturns",
    "GeneralisedAdvantage",
    "TokenHiddenReward",
    "token_hidden_reward",
    "NegativeTokenHiddenReward",
    "TopEntropy",
    "PassAtK",
    "token_rewards",
    "log_ratios",
]
