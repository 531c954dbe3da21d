"""verl's actor worker, which can also tell what the policy expected and in which state.

verl's pass over the log-probabilities returns two numbers per token. Token hidden rewards need the state before each
token and the error of the prediction on all tokens of the prompt's rollouts; they are computed where the model is, in a
pass of its own after verl's, and go to the trainer through verl's queue.

For FSDP without sequence parallelism. Every worker makes the same number of passes of the same shape, as the shards of
a model must.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor
from verl.experimental.separation.engine_workers import DetachActorWorker
from verl.single_controller.base.decorator import Dispatch, make_nd_compute_dataproto_dispatch_fn, register
from verl.utils import tensordict_utils as tu
from verl.workers.engine_workers import ActorRolloutRefWorker

from trueward.adapters.verl.model_pass import states_and_errors
from trueward.adapters.verl.registered import check_registered
from trueward.errors import TrainingError

HIDDEN, ERRORS, VOCABULARY = "trueward_hidden", "trueward_errors", "trueward_vocabulary"
PROMPTS, RESPONSES, ROWS = "trueward_prompt_width", "trueward_response_width", "trueward_rows_at_once"


class TruewardActor:
    """What Trueward's trainers ask of the workers of verl's actor; mixed into each kind of them."""

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)  # type: ignore[untyped-decorator]
    def check_trueward(self, name: str) -> str:
        """Prove that the loss of a name is known in this process, where verl will ask for it.

        Raises:
            TrainingError: Trueward's names, or this one, are missing.
        """
        from verl.trainer.ppo.core_algos import POLICY_LOSS_REGISTRY

        rank = self.rank  # type: ignore[attr-defined]
        check_registered(f"actor worker {rank} of verl")
        if name not in POLICY_LOSS_REGISTRY:
            raise TrainingError(
                f"actor.policy_loss.loss_mode={name} is unknown in actor worker {rank}; it knows "
                f"{', '.join(POLICY_LOSS_REGISTRY)}"
            )
        return name

    @register(dispatch_mode=make_nd_compute_dataproto_dispatch_fn(mesh_name="actor"))  # type: ignore[untyped-decorator]
    def compute_hidden_and_errors(self, data: TensorDict) -> TensorDict:
        """Hidden states and prediction errors of the responses of this worker's rows; see the module.

        Args:
            data: rows of verl with prompts, responses, response_mask and, per row, the token ids on which errors are
                wanted (`trueward_vocabulary`, −1 beyond); beside them the temperature, the widths of the whole batch
                and the rows of a pass.

        Returns:
            `trueward_hidden` [B, t, D] and `trueward_errors` [B, t, K], t the length of each response.
        """
        refuse_engine(self.config)  # type: ignore[attr-defined]
        actor = self.actor  # type: ignore[attr-defined]
        prompts, responses, masks, wanted = (
            rows_of(data[name]) for name in ("prompts", "responses", "response_mask", VOCABULARY)
        )
        before, after, at_once = (tu.get_non_tensor_data(data, name, None) for name in (PROMPTS, RESPONSES, ROWS))
        with actor.engine.eval_mode():
            hidden, errors = states_and_errors(
                actor.engine.module,
                prompts,
                responses,
                masks,
                wanted,
                widths=(int(before), int(after)),
                rows_at_once=int(at_once),
                temperature=float(tu.get_non_tensor_data(data, "temperature", 1.0)),
                device=torch.device(actor.device_name),
            )
        return TensorDict({HIDDEN: _nested(hidden), ERRORS: _nested(errors)}, batch_size=[len(hidden)])


class TruewardWorker(TruewardActor, ActorRolloutRefWorker):  # type: ignore[misc]
    """verl's worker of the actor."""


class TruewardDetachWorker(TruewardActor, DetachActorWorker):  # type: ignore[misc]
    """verl's worker of the actor where rollouts have devices of their own."""


WORKERS: Mapping[str, type[TruewardActor]] = {
    ActorRolloutRefWorker.__name__: TruewardWorker,
    DetachActorWorker.__name__: TruewardDetachWorker,
}
"""What takes the place of which worker of verl."""


def refuse_engine(config: Any) -> None:
    """Refuse an actor whose model is not there to be asked as a whole.

    Raises:
        TrainingError: another engine than FSDP, sequence parallelism, or fused kernels, which give no logits.
    """
    actor, model = config.actor, config.model
    sequence = actor.get("ulysses_sequence_parallel_size", 1) or 1
    sequence = max(sequence, (actor.get("fsdp_config") or {}).get("ulysses_sequence_parallel_size", 1) or 1)
    if actor.strategy not in ("fsdp", "fsdp2") or sequence > 1 or model.get("use_fused_kernels", False):
        raise TrainingError(
            "hidden states and prediction errors come from FSDP without sequence parallelism and fused kernels; here "
            f"strategy={actor.strategy}, ulysses_sequence_parallel_size={sequence}, "
            f"use_fused_kernels={model.get('use_fused_kernels', False)}"
        )


def rows_of(values: Any) -> list[Tensor]:
    """The rows of a nested or a plain tensor: verl stores rows of equal length as one matrix."""
    return list(values.unbind())


def _nested(rows: list[Tensor]) -> Tensor:
    return torch.nested.as_nested_tensor(rows, layout=torch.jagged)
