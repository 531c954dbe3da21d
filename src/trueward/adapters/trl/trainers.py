"""TRL's trainers of policies with Trueward's rewards, credit and objectives."""

from __future__ import annotations

from typing import Any

import torch

from trueward.adapters.trl.engine import engine
from trueward.adapters.trl.training import TruewardTraining
from trueward.errors import TrainingError

_TRL: Any = engine()


class TruewardGRPOTrainer(TruewardTraining, _TRL.GRPOTrainer):  # type: ignore[misc]
    """GRPO as in TRL, plus `credit`, `objective` and `segment`.

    Args:
        model: as in `GRPOTrainer`.
        reward_funcs: a Trueward reward, an address, a function, or a list of them with `args.reward_weights`. No
            networks: give "hf:NAME".
        args: `GRPOConfig`.
        others, given: as in `GRPOTrainer`, in its order or by name.
        credit: scores to advantages, one per completion or one per token; None for TRL's own estimator.
        objective: advantages to a loss, such as `PolicyLoss`; None for TRL's own loss. Where it needs a reference,
            one is made; `args.beta` stays 0.
        segment: cuts completions into steps, such as `line_breaks(tokenizer)`.

    Raises:
        TrainingError: settings that cannot hold together, with what to write in their place.
        RewardError: a reward cannot be found or called.
    """

    config_class: Any = _TRL.GRPOConfig
    kl_in_reward = False

    def _generated(self, found: tuple[Any, ...]) -> dict[str, Any]:
        prompt_ids, completion_ids, chosen, completions, _, extra, *_ = found
        return {
            "completions": completions,
            "prompt_ids": prompt_ids,
            "completion_ids": completion_ids,
            "chosen": chosen,
            "extra": extra,
        }


class TruewardRLOOTrainer(TruewardTraining, _TRL.RLOOTrainer):  # type: ignore[misc]
    """RLOO as in TRL, plus `credit`, `objective` and `segment`; see `TruewardGRPOTrainer`.

    TRL's own loss for RLOO has one ratio and one advantage per completion: credit per token needs an objective.
    """

    config_class: Any = _TRL.RLOOConfig
    kl_in_reward = True

    def _generated(self, found: tuple[Any, ...]) -> dict[str, Any]:
        prompt_ids, completion_ids, completions, *_ = found
        return {
            "completions": completions,
            "prompt_ids": prompt_ids,
            "completion_ids": completion_ids,
            "chosen": None,
            "extra": {},
        }

    def _check_advantages(self, advantages: torch.Tensor) -> None:
        if advantages.ndim > 1 and self.policy_objective is None:
            raise TrainingError(
                "credit gave one advantage per token, and TRL's loss for RLOO takes one per completion: "
                "give objective=PolicyLoss(...)"
            )
