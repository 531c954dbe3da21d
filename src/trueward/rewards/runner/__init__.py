"""Runners: where rewards run, and the limits that hold there.

In: items (prompt, completion, columns), grouped into calls. Out: one outcome per item: a value or a status, never an
exception because of what an answer or a reward did.

- `types`: `Item`, `Outcome`, `Demands`, and the `Runner` protocol.
- `batches`: many rows in few calls, without letting one row spoil the others.
- `pool`: `WorkerPool`, worker processes with deadline, memory limit, and one warm spare.
- `session`: one run of a pool: who scores what, and who has overstepped a limit.
- `process`: one worker process, seen from its parent.
- `worker`: the worker process itself.
- `wire`: frames between the two.
- `sandbox`: runs programs that nobody trusts; `sandbox_back_ends`, `sandbox_session`, `sandbox_limits`,
  `sandbox_filter`, `sandbox_processes` are its parts; `sandbox_inside`, `sandbox_harness` are what runs in it.
- `in_process`: `InProcess`, for rewards that no worker could load.
- `combined`: `Combined`, a combined reward whose leaves run elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trueward.rewards.runner.types import Item, Outcome, Runner

if TYPE_CHECKING:
    from trueward.rewards.runner.in_process import InProcess
    from trueward.rewards.runner.pool import WorkerPool

__all__ = ["InProcess", "Item", "Outcome", "Runner", "WorkerPool"]


def __getattr__(name: str) -> Any:
    """Loads the two runners when they are first used: a worker needs neither."""
    if name == "WorkerPool":
        from trueward.rewards.runner.pool import WorkerPool

        return WorkerPool
    if name == "InProcess":
        from trueward.rewards.runner.in_process import InProcess

        return InProcess
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
