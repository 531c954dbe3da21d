"""TRL's trainer of reward models with Trueward's losses on pairs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor
from trl.trainer.reward_trainer import DataCollatorForPreference

from trueward.adapters.trl.engine import engine
from trueward.errors import TrainingError
from trueward.objectives.aggregation import Loss
from trueward.objectives.preference import bradley_terry

_TRL: Any = engine()

COLUMNS = ("label", "weight", "margin")


class PairLoss(Protocol):
    """A loss on the scores of pairs, as `bradley_terry` and whatever `functools.partial` makes of it."""

    def __call__(self, score_a: Tensor, score_b: Tensor, label: Tensor | None = None, /, **columns: Tensor) -> Loss:
        """Loss and metrics.

        Args:
            score_a, score_b: of the chosen and of the rejected rollout of each pair.
            label: probability that the chosen one is better; None where the data set has no such column.
            columns: `weight` and `margin`, where the data set has them.
        """


@dataclass
class PairCollator(DataCollatorForPreference):
    """TRL's collator, which also keeps the columns `label` and `weight`."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """A batch of pairs."""
        batch: dict[str, Any] = super().torch_call(examples)
        for name in COLUMNS:
            if name in examples[0] and name not in batch:
                batch[name] = torch.tensor([float(example[name]) for example in examples])
        return batch


class TruewardRewardTrainer(_TRL.RewardTrainer):  # type: ignore[misc]
    """`RewardTrainer` with one of Trueward's losses, soft labels and weights.

    TRL reads the column `margin`. This one also reads `label`, the probability that the chosen one is better (.5 is a
    tie), and `weight`. Metrics of the loss join TRL's as `loss/…`.

    Args:
        model, args, given: as in `RewardTrainer`.
        loss: on the scores of pairs; by default `bradley_terry` with `args.center_rewards_coefficient`.

    Raises:
        TrainingError: a loss is given and `center_rewards_coefficient` is set, which only TRL's own loss reads.
    """

    data_collator: Any
    _signature_columns: list[str]

    def __init__(self, model: Any, args: Any = None, *others: Any, loss: PairLoss | None = None, **given: Any) -> None:
        centring = None if args is None else args.center_rewards_coefficient
        if loss is not None and centring is not None:
            raise TrainingError(
                f"center_rewards_coefficient={centring} with loss: give loss=partial(bradley_terry, "
                f"centring={centring}) and leave the setting out"
            )
        self.pair_loss: PairLoss = partial(bradley_terry, centring=centring or 0.0) if loss is None else loss
        own_collator = given.get("data_collator") is None and not (others and others[0] is not None)
        super().__init__(model, args, *others, **given)
        if own_collator:
            self.data_collator = PairCollator(self.data_collator.pad_token_id, self.data_collator.pad_to_multiple_of)

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        self._signature_columns = list(dict.fromkeys([*self._signature_columns, *COLUMNS]))

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The loss on a batch of pairs, with TRL's metrics."""
        columns = {name: inputs[name] for name in COLUMNS if name in inputs}
        plain = {name: value for name, value in inputs.items() if name not in COLUMNS}
        _, outputs = super().compute_loss(model, plain, True, num_items_in_batch)
        chosen, rejected = torch.chunk(outputs.logits.squeeze(-1), chunks=2)
        loss, metrics = self.pair_loss(chosen, rejected, columns.pop("label", None), **columns)
        told = self.accelerator.gather(torch.stack([value.float() for value in metrics.values()]).unsqueeze(0))
        mode = "train" if self.model.training else "eval"
        for name, value in zip(metrics, told.mean(dim=0).tolist(), strict=True):
            self._metrics[mode][f"loss/{name}"].append(value)
        return (loss, outputs) if return_outputs else loss
