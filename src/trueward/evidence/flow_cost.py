"""What it costs to train a flow policy up to a level: processor time and network evaluations, without measuring it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from trueward.measures.speed import first_reaching
from trueward.training.flow.loop import Evaluate
from trueward.training.flow.update import FlowHook

BACKWARD = 2
"""Forward passes that a backward pass costs: one for the gradient of the activations, one for that of the weights."""


@dataclass(frozen=True)
class Cost:
    """What was spent.

    Attributes:
        seconds: processor time of the thread that trains. Time in which another process had the processor is not in it;
            with several threads per operation, what the others do is not either.
        evaluations: samples that went through a network, with a gradient counted as 1 + `BACKWARD`. The same on every
            machine.
    """

    seconds: float
    evaluations: float


class TrainingCost(FlowHook):
    """A clock of a training run that stands still while the policy is measured.

        cost.watch(policy, reference); cost.start()
        train_flow(policy, update, evaluate=cost.evaluating(evaluate, "proxy"), hooks=[cost])
        cost.until(0.95)

    It goes along as a hook, so that a run that was killed goes on with the clock where it was. What is spent between
    `start` and the first update counts too: a pool that is drawn first is not for nothing.

    Attributes:
        curve: step, seconds, evaluations and the value measured, at every evaluation.
    """

    def __init__(self) -> None:
        self.curve: list[tuple[int, float, float, float]] = []
        self._seconds = self._evaluations = 0.0
        self._since: float | None = None

    def watch(self, *networks: nn.Module) -> None:
        """Count what goes through these networks."""

        # A function, not a method: copies of a network (running averages) keep the hook, and must not get a clock each.
        def count(network: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
            if self._since is not None:
                self._evaluations += len(output) * (1 + BACKWARD if output.requires_grad else 1)

        for network in networks:
            network.register_forward_hook(count)

    def start(self) -> None:
        """The clock runs."""
        self._since = time.thread_time()

    @property
    def spent(self) -> Cost:
        """So far."""
        running = 0.0 if self._since is None else time.thread_time() - self._since
        return Cost(self._seconds + running, self._evaluations)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """The clock stands still."""
        self._seconds, self._since = self.spent.seconds, None
        try:
            yield
        finally:
            self.start()

    def evaluating(self, evaluate: Evaluate, of: str) -> Evaluate:
        """The same evaluation with the clock stopped; notes what had been spent when it measured `of`."""

        def measured(policy: nn.Module, step: int) -> Mapping[str, float]:
            with self.stopped():
                found = evaluate(policy, step)
            self.curve.append((step, self._seconds, self._evaluations, float(found[of])))
            return found

        return measured

    def until(self, level: float) -> tuple[Cost, bool]:
        """What was spent when the value first reached a level, on a straight line between two evaluations.

        Returns:
            The cost, that of the whole run where the level was not reached, and whether it was.

        Raises:
            ValueError: nothing was evaluated.
        """
        steps, seconds, evaluations, values = zip(*self.curve, strict=True) if self.curve else ((), (), (), ())
        found = first_reaching(steps, values, level)
        return Cost(found.at(seconds), found.at(evaluations)), found.reached

    def state_dict(self) -> Mapping[str, Any]:
        """Where the clock stands."""
        spent = self.spent
        return {"seconds": spent.seconds, "evaluations": spent.evaluations, "curve": self.curve}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take that back; what was spent on starting again does not count."""
        self._seconds, self._evaluations = float(state["seconds"]), float(state["evaluations"])
        self.curve = [(int(step), *map(float, rest)) for step, *rest in state["curve"]]  # type: ignore[misc]
        self.start()
