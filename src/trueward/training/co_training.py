"""A reward model that is trained beside its policy, on pairs out of the policy's own rollouts.

A frozen reward model is optimised against until its score means nothing. This hook builds pairs from every step's
rollouts (positives that a certificate vouches for, negatives that differ from them in what matters and in nothing
else) and takes a Bradley–Terry step on them. Rewards and advantages of a step come from the model before that step's
update: the loop calls its hooks last.

    hook = CoTraining(scorer, tokenizer, PairBuilder(first_valid, rewritten(corrupt), judged_wrong(check)), rule)
    train(policy, rows, LearnedReward("verifier", scorer, tokenizer, sigmoid=True), …, hooks=[hook])

Reference: Hong et al. 2025 (Cooper), arXiv 2508.05613.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from trueward.batch import Context, Preferences, Rollouts, Scores
from trueward.errors import TrainingError
from trueward.measures.reliability import area_under_curve
from trueward.policies.scorer import TokenScorer
from trueward.rewards.models.learned_inputs import Layout
from trueward.training.hooks import StopRun
from trueward.training.pairs import PairBuilder, PairCounts
from trueward.training.reward_model import update_on_preferences
from trueward.training.reward_model_loop import optimizer_of

if TYPE_CHECKING:
    import torch

    from trueward.rewards.base import Reward

_CERTIFIED = 0.5  # a certificate's verdict above this says right


@dataclass
class CoTraining:
    """A hook that trains a reward model on pairs of each step's rollouts; see the module.

    Pairs tell differences only, so that the level of the scores may wander until their sigmoid is flat: watch
    `score_mean`, and use `anchor` or `centring` where it does.

    Attributes:
        scorer: the reward model; the reward that the policy is trained on must hold this very object.
        tokenizer: of the scorer.
        builder: makes pairs, and keeps recent ones to learn from when a step gives few.
        certify: says which rollouts may be positives (score above ½); None for all, which leaves the choice to the
            builder's selector and so to the reward model's own scores.
        layout: how its text is made; that of the reward.
        learning_rate, weight_decay: of AdamW, constant.
        batch_size: most pairs of one optimiser step.
        anchor: weight of binary cross-entropy on both sides of the pairs.
        centring: see `bradley_terry`.
        relabel: changes pairs before they are learnt from, for controls.
        least_rate: the run is stopped when fewer prompts than this share gave a pair, over `window` steps: a model
            that has nothing to learn from is a frozen one.
        window: steps.
    """

    scorer: TokenScorer
    tokenizer: Any
    builder: PairBuilder
    certify: Reward | None = None
    layout: Layout | None = None
    learning_rate: float = 1e-5
    weight_decay: float = 0.01
    batch_size: int = 64
    anchor: float = 0.0
    centring: float = 0.0
    relabel: Callable[[Preferences, np.random.Generator], Preferences] | None = None
    least_rate: float = 0.0
    window: int = 10
    _optimizer: torch.optim.Optimizer = field(init=False, repr=False)
    _rates: deque[float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Raises `TrainingError` for a share outside [0, 1], or a window or batch of nothing."""
        if not 0 <= self.least_rate <= 1 or self.window < 1 or self.batch_size < 1 or self.anchor < 0:
            raise TrainingError(
                f"co-training with least_rate={self.least_rate}, window={self.window}, batch_size={self.batch_size}, "
                f"anchor={self.anchor}: expected a share in [0, 1], at least one step and pair, and no negative weight"
            )
        self._optimizer = optimizer_of(self.scorer, self.learning_rate, self.weight_decay)
        self._rates = deque(maxlen=self.window)

    def modules(self) -> Mapping[str, torch.nn.Module]:
        """The reward model."""
        return {"reward model": self.scorer}

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Its optimiser."""
        return {"reward model": self._optimizer}

    def state_dict(self) -> Mapping[str, Any]:
        """Recent pairs, and how many prompts gave one."""
        return {"pairs": self.builder.state_dict(), "rates": list(self._rates)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take that back."""
        self.builder.load_state_dict(state["pairs"])
        self._rates = deque(state["rates"], maxlen=self.window)

    def after_rollouts(self, rollouts: Rollouts, scores: Scores, context: Context) -> Mapping[str, float]:
        """One pass over the pairs of these rollouts.

        Returns:
            Numbers to log: `valid_pair_rate`, `pairs`, `replayed`; `certified`, the share of rollouts that may be
            positives, and `agreement`, the AUC of the rewards against that; those of `update_on_preferences`.

        Raises:
            StopRun: too few prompts gave a pair.
        """
        generator = context.generator or np.random.default_rng(context.step)
        rewards = scores.total()
        valid = None
        told: dict[str, float] = {}
        if self.certify is not None:
            # NaN, a certificate that could not be given, is not above anything.
            valid = self.certify.score(rollouts, context).total() > _CERTIFIED
            known = np.isfinite(rewards)
            told["certified"] = float(valid.mean())
            told["agreement"] = area_under_curve(rewards[known], valid[known].astype(np.float64))
        pairs, counts = self.builder.build(rollouts, rewards, valid, generator)
        told |= {"valid_pair_rate": counts.valid_rate, "pairs": counts.valid, "replayed": counts.replayed}
        if pairs is not None:
            told |= self._learn(pairs if self.relabel is None else self.relabel(pairs, generator))
        self._watch(counts)
        return told

    def _learn(self, pairs: Preferences) -> dict[str, float]:
        return update_on_preferences(
            self.scorer,
            self.tokenizer,
            self._optimizer,
            pairs,
            batch_size=self.batch_size,
            layout=self.layout,
            centring=self.centring,
            anchor=self.anchor,
        )

    def _watch(self, counts: PairCounts) -> None:
        self._rates.append(counts.valid_rate)
        rate = float(np.mean(self._rates))
        if len(self._rates) == self.window and rate < self.least_rate:
            raise StopRun(
                f"over {self.window} steps {rate:.1%} of the prompts gave a pair, fewer than {self.least_rate:.1%}: "
                "the reward model no longer learns, and is optimised against like a frozen one"
            )
