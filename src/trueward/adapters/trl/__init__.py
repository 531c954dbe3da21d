"""TRL's trainers with Trueward's rewards, credit and objectives.

    trainer = TruewardGRPOTrainer(model, reward_funcs=reward, credit=SegmentReturns(), args=GRPOConfig(...),
                                  train_dataset=dataset, callbacks=[AuditCallback(gold=strict_check, budget=8)])

Everything of TRL's trainer stays. What is added: rewards in parts, with a status for each row; one advantage per token;
losses as pure functions; groups that straddle processes; scoring while the trainer goes on; a watch over the run.

- `trainers`: `TruewardGRPOTrainer`, `TruewardRLOOTrainer`; `training`: what they share.
- `reward_functions`: rewards, addresses and TRL's own functions as one reward.
- `sampled`: TRL's completions as rollouts. `scoring`: their scores. `crediting`: advantages. `policy_loss`: the loss.
- `passes`: forward passes that credit asks for. `gathering`: the rows of all processes.
- `telling`: what is logged. `refusals`: settings that cannot work together.
- `audit_callback`: `AuditCallback`. `coroutine`: `as_coroutine`, for TRL's own trainers.
- `reward_trainer`: `TruewardRewardTrainer`, for reward models. `segments`: where completions are cut into steps.

What was checked against which version, what is refused and why: docs/trl.md.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trueward.adapters.trl.audit_callback import AuditCallback
    from trueward.adapters.trl.coroutine import as_coroutine
    from trueward.adapters.trl.reward_trainer import TruewardRewardTrainer
    from trueward.adapters.trl.segments import line_breaks
    from trueward.adapters.trl.trainers import TruewardGRPOTrainer, TruewardRLOOTrainer

_WHERE = {
    "AuditCallback": "audit_callback",
    "TruewardGRPOTrainer": "trainers",
    "TruewardRLOOTrainer": "trainers",
    "TruewardRewardTrainer": "reward_trainer",
    "as_coroutine": "coroutine",
    "line_breaks": "segments",
}

__all__ = [
    "AuditCallback",
    "TruewardGRPOTrainer",
    "TruewardRLOOTrainer",
    "TruewardRewardTrainer",
    "as_coroutine",
    "line_breaks",
]


def __getattr__(name: str) -> Any:
    """Loads TRL when one of its trainers is first asked for."""
    if name in _WHERE:
        return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
