"""What bonuses out of networks have in common: a predictor, the average of its iterates, and how it is trained.

A gradient step of constant size forgets: after many visits the predictor still moves by a share of each new draw, and
its distance from the mean of all draws has a floor, η/(2 − η) · σ² for a table with step size η. What counts visits is
the average of the iterates (or a step size that falls like 1/n), which is why there is one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from trueward.errors import RewardError

Network = Callable[[], nn.Module]
"""Makes a network from observations to outputs; targets and predictor are one each."""


@dataclass(frozen=True)
class PredictorSettings:
    """Networks of a bonus and how its predictor is trained.

    Attributes:
        outputs: d, numbers that are predicted.
        hidden: widths of the hidden layers, with ReLU.
        learning_rate: of Adam.
        decay: gradient steps after which the learning rate has halved, η_t = η · decay / (decay + t); None: constant.
        averaging: p of the average of all iterates so far, with weights that grow like t^p: 0 for the plain average,
            more to forget the iterates from before a state was known; None for the last iterate alone.
        minibatch, epochs: of gradient steps in one call of `learn`. With more than one epoch a draw is used again, not
            drawn again.
        proportion: share of the visits that is trained on; the bonus then falls like 1 / (proportion · n).
        gradient_clip: largest norm of a gradient.
        warm_up: observations after which the normaliser of observations stands still; 0 for observations as they are.
        start: "zero" for a predictor that says 0 everywhere at first, so that the first bonus is the size of the
            target alone; "random" for one as random as the target.
    """

    outputs: int = 64
    hidden: tuple[int, ...] = (64,)
    learning_rate: float = 3e-4
    decay: float | None = None
    averaging: float | None = None
    minibatch: int = 256
    epochs: int = 1
    proportion: float = 1.0
    gradient_clip: float = 0.5
    warm_up: int = 10_000
    start: str = "random"

    def __post_init__(self) -> None:
        """Raises `RewardError` for numbers that make no sense."""
        wrong = [
            name
            for name in ("outputs", "learning_rate", "minibatch", "epochs", "gradient_clip", "proportion")
            if not getattr(self, name) > 0
        ]
        wrong += [name for name in ("decay",) if getattr(self, name) is not None and not getattr(self, name) > 0]
        wrong += [name for name in ("averaging",) if getattr(self, name) is not None and not getattr(self, name) >= 0]
        wrong += ["proportion"] if self.proportion > 1 else []
        wrong += ["start"] if self.start not in ("zero", "random") else []
        if wrong:
            given = ", ".join(f"{name}={getattr(self, name)!r}" for name in wrong)
            raise RewardError(f"PredictorSettings({given}): counts, rates and shares above 0 are needed (see its help)")


class Predictor:
    """A network that is trained, and the average of its iterates.

    Attributes:
        net: the last iterate.
        averaged: the average; None where there is none.
        optimizer: of the net.
    """

    def __init__(self, net: nn.Module, settings: PredictorSettings) -> None:
        self.net, self.settings = net, settings
        self.optimizer = torch.optim.Adam(net.parameters(), lr=settings.learning_rate, eps=1e-5)
        self.averaged = None if settings.averaging is None else AveragedModel(net, multi_avg_fn=self._average)
        self.steps = 0

    def __call__(self, inputs: Float[Tensor, "n ..."]) -> Float[Tensor, "n d"]:
        """What is taken for the prediction: that of the average, where there is one."""
        output: Tensor = (self.net if self.averaged is None else self.averaged)(inputs)
        return output

    def step(self, inputs: Float[Tensor, "m ..."], wanted: Float[Tensor, "m d"]) -> float:
        """One gradient step on ‖f(x) − wanted‖² / d.

        Returns:
            The loss before it.
        """
        chosen = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = chosen.learning_rate * (
                1.0 if chosen.decay is None else chosen.decay / (chosen.decay + self.steps)
            )
        loss = nn.functional.mse_loss(self.net(inputs), wanted)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), chosen.gradient_clip)
        self.optimizer.step()
        self.steps += 1
        if self.averaged is not None:
            self.averaged.update_parameters(self.net)
        return float(loss.detach())

    def _average(self, averaged: Sequence[Any], current: Sequence[Any], seen: Any) -> None:
        """a ← a + w · (f − a) with w = (p + 1) / (t + p) at the t-th iterate."""
        power = float(self.settings.averaging or 0.0)
        torch._foreach_lerp_(list(averaged), list(current), (power + 1.0) / (float(seen) + 1.0 + power))

    def modules(self) -> dict[str, nn.Module]:
        """Networks to be saved."""
        return {"predictor": self.net} | ({} if self.averaged is None else {"average": self.averaged})


def perceptron(inputs: int, settings: PredictorSettings, *, zero: bool = False) -> nn.Sequential:
    """A network with orthogonal weights of gain √2.

    Args:
        inputs: numbers in an observation.
        settings: widths.
        zero: the last layer starts with weights of 0.
    """
    widths = [inputs, *settings.hidden, settings.outputs]
    layers: list[nn.Module] = []
    for into, out in itertools.pairwise(widths):
        linear = nn.Linear(into, out)
        nn.init.orthogonal_(linear.weight, math.sqrt(2.0))
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
    last = layers[-2]
    if zero and isinstance(last, nn.Linear):
        nn.init.zeros_(last.weight)
    return nn.Sequential(*layers[:-1])


def seeded(seed: int, build: Callable[[], nn.Module]) -> nn.Module:
    """A network whose weights depend on the seed and on nothing else."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def frozen(net: nn.Module) -> nn.Module:
    """A network that nobody trains."""
    return net.requires_grad_(False).eval()


def noise(generator: np.random.Generator, count: int, outputs: int) -> Float[Tensor, "n d"]:
    """Standard normal draws, one row for each visit."""
    return torch.from_numpy(generator.standard_normal((count, outputs), dtype=np.float32))


def of_unit_size(outputs: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Each row scaled to length √d, so that its entries have a mean square of 1."""
    scaled: Tensor = nn.functional.normalize(outputs, dim=-1) * math.sqrt(outputs.shape[-1])
    return scaled
