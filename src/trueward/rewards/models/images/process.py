"""A reward of noisy states with a gradient: what guides denoising, and what credits its steps.

r_φ(x_t, t, c) says of a state on the way what the finished sample will be worth. It is any module; on classes it is a
classifier that was trained on noised images with the label of the finished one at every noise level,

    r_φ(x_t, t, c) = log p_φ(c | x_t, t)

so that ∇_x r_φ is classifier guidance. It knows less the noisier the state is: near t = 1 it says what is common and
nothing of this sample, so look at its accuracy at each t before crediting steps with it. Its gradient is also the
shortest way to a state that only looks good to it: hold its norm, and watch r_φ against what is really wanted.

Reference: Zhong et al. 2026, arXiv 2602.04928; Dhariwal and Nichol 2021, arXiv 2105.05233, section 4 (guidance).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from trueward.batch import Context, Denoising, Part, Rollouts, Scores
from trueward.errors import RewardError
from trueward.policies.flow.base import along, condition_repeat, condition_rows, noised
from trueward.rewards.base import Reward
from trueward.rewards.runner import Runner
from trueward.status import Status

if TYPE_CHECKING:
    from trueward.policies.flow.base import Condition

StateValue = Callable[[Tensor, Tensor, Any], Tensor]
"""(x [N, *S], t [N], condition) → [N], differentiable in x."""


class ClassEvidence(nn.Module):
    """log p(c | x_t, t) of a classifier that is told the time: a process reward for classes.

    Attributes:
        classifier: (x [N, *S], t [N]) → logits [N, classes].
    """

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, x: Float[Tensor, "n *s"], t: Float[Tensor, " n"], label: Int[Tensor, " n"]) -> Tensor:
        """[N] log-probabilities of the labels."""
        logits: Tensor = self.classifier(x, t)
        return logits.log_softmax(dim=1).gather(1, label[:, None])[:, 0]


class LatentProcessReward(Reward):
    """A process reward of noisy states: its value, its gradient, and the reward of every step of a path.

    A state on which the model fails has no value (NaN) and no gradient (0: the step goes on unguided), is counted, and
    leaves the statistics of its group; it is never paid 0. A model that fails before it has ever worked is wired
    wrongly, and what it raised is raised.

    Attributes:
        model: r_φ. A module is used as it is: put it into evaluation mode.
        conditions: makes the model's condition out of N prompts; needed for scoring rollouts.
        clip_norm: longest gradient of a sample; a longer one is scaled down. None for no bound.
        batch_size: states of one pass when rollouts are scored.
        calls: states whose value was asked for so far.
        gradient_calls: those of them whose gradient was asked for too.
        failures: states without a value so far.
        last_failure: what became of the last one; "" where there was none.
    """

    def __init__(
        self,
        name: str,
        model: StateValue,
        conditions: Callable[[Sequence[Any]], Condition] | None = None,
        *,
        clip_norm: float | None = None,
        batch_size: int = 1024,
    ) -> None:
        if not name or batch_size < 1 or (clip_norm is not None and not clip_norm > 0):
            raise RewardError(
                f"process reward {name!r} with clip_norm={clip_norm}, batch_size={batch_size}: expected a name, a "
                "positive norm or None, and at least one state in a batch"
            )
        self._name = name
        self.model = model
        self.conditions = conditions
        self.clip_norm = clip_norm
        self.batch_size = batch_size
        self.calls = self.gradient_calls = self.failures = 0
        self.last_failure = ""

    @property
    def name(self) -> str:
        """Name of its part."""
        return self._name

    def use(self, runner: Runner) -> bool:
        """It has no address: it stays in this process."""
        return False

    def value(self, x: Float[Tensor, "n *s"], t: Float[Tensor, " n"], condition: Condition) -> Float[Tensor, " n"]:
        """r_φ of each state, without gradient; NaN where the model failed."""
        with torch.no_grad():
            return self._asked(x.detach(), t, condition)

    def gradient(
        self, x: Float[Tensor, "n *s"], t: Float[Tensor, " n"], condition: Condition
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n *s"]]:
        """r_φ of each state and ∇_x r_φ, both detached and in single precision: what `Guidance.gradient` asks for.

        States are independent, so one backward pass of the sum gives the gradient of each.

        Returns:
            Values, NaN where the model failed or its gradient is not finite; gradients, 0 there.
        """
        self.gradient_calls += len(x)
        with torch.enable_grad():
            state = x.detach().float().requires_grad_(True)
            value = self._asked(state, t, condition)
            known = value.isfinite()
            if not value.requires_grad:
                return value.detach(), torch.zeros_like(state)
            (found,) = torch.autograd.grad(torch.where(known, value, 0.0).sum(), state)
        finite = found.flatten(1).isfinite().all(dim=1)
        self._count(int((known & ~finite).sum()), "the gradient is not finite")
        found = torch.where(along(known & finite, found) > 0, found, 0.0)
        return torch.where(finite, value.detach(), torch.nan), self._held(found)

    def _held(self, gradient: Float[Tensor, "n *s"]) -> Float[Tensor, "n *s"]:
        if self.clip_norm is None:
            return gradient
        norm = gradient.flatten(1).norm(dim=1)
        return gradient * along(self.clip_norm / norm.clamp(min=self.clip_norm), gradient)

    def _asked(self, x: Tensor, t: Tensor, condition: Condition) -> Float[Tensor, " n"]:
        worked = self.calls > self.failures
        self.calls += len(x)
        try:
            value = self.model(x, t, condition)
        except Exception as error:
            if not worked:
                raise
            self._count(len(x), f"{type(error).__name__}: {error}")
            return torch.full((len(x),), torch.nan, device=x.device)
        if value.shape != (len(x),):
            raise RewardError(f"{self.name}: the model gave values of shape {tuple(value.shape)} for {len(x)} states")
        value = value.float()
        self._count(int((~value.isfinite()).sum()), "the value is not finite")
        return torch.where(value.isfinite(), value, torch.nan)

    def _count(self, states: int, why: str) -> None:
        if states:
            self.failures += states
            self.last_failure = why

    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        """One token part [N, T]: r_φ of the state that each denoising step starts from.

        Raises:
            RewardError: the rollouts hold no denoising with times, or there is nothing that makes conditions of
                prompts.
        """
        content = rollouts.content
        if not isinstance(content, Denoising) or content.times is None:
            raise RewardError(
                f"{self.name} scores states on the way with their times; the rollouts hold {type(content).__name__} "
                "without times: give batch.Denoising with samples [N, T+1, …] and times [T+1]"
            )
        if self.conditions is None:
            raise RewardError(f"{self.name}: give `conditions`, which makes the model's condition out of prompts")
        states = torch.as_tensor(content.samples)[:, :-1].float()
        n, steps = states.shape[:2]
        times = torch.as_tensor(content.times, dtype=torch.float32, device=states.device)[:-1].repeat(n)
        conditions = condition_repeat(self.conditions(content.prompts), steps)
        flat, values = states.flatten(0, 1), np.empty(n * steps)
        for start in range(0, n * steps, self.batch_size):
            rows = torch.arange(start, min(start + self.batch_size, n * steps), device=states.device)
            value = self.value(flat[rows], times[rows], condition_rows(conditions, rows))
            values[start : start + len(rows)] = value.double().cpu().numpy()
        exists = np.ones((n, steps), bool) if rollouts.mask is None else np.asarray(rollouts.mask, dtype=bool)
        return Scores({self.name: _part(values.reshape(n, steps), exists, self.last_failure)})

    def state_dict(self) -> dict[str, Any]:
        """How often it was asked and how often it failed."""
        return {"calls": self.calls, "gradient_calls": self.gradient_calls, "failures": self.failures}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take that back."""
        self.calls, self.gradient_calls = int(state["calls"]), int(state["gradient_calls"])
        self.failures = int(state["failures"])


def accuracy_at(
    classifier: nn.Module,
    images: Float[Any, "n *s"],
    labels: Int[Any, " n"],
    times: Sequence[float],
    *,
    seed: int = 0,
    draws: int = 4,
) -> dict[float, float]:
    """How often a classifier is right about the class of images that are noised to each t.

    Chance is all that is left at t = 1. Credit of steps is worth no more than the accuracy there.

    Args:
        classifier: (x [N, *S], t [N]) → logits.
        images, labels: that it was not fitted to.
        times: noise levels.
        seed: of the noise, which is the same at all times.
        draws: noises per image.
    """
    x0, wanted = torch.as_tensor(images, dtype=torch.float32), torch.as_tensor(labels).long()
    x0, wanted = x0.repeat(draws, *[1] * (x0.ndim - 1)), wanted.repeat(draws)
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(seed))
    found = {}
    with torch.no_grad():
        for time in times:
            logits = classifier(noised(x0, noise, time), torch.full((len(x0),), float(time)))
            found[float(time)] = float((logits.argmax(dim=1) == wanted).float().mean())
    return found


def _part(values: Float[np.ndarray, "n t"], exists: Bool[np.ndarray, "n t"], why: str) -> Part:
    ok = (np.isfinite(values) | ~exists).all(axis=1)
    status = [Status.OK if one else Status.NOT_FINITE for one in ok]
    details = ["" if one else why for one in ok]
    return Part(np.where(ok[:, None], values, np.nan), status, "token", exists=exists, details=details)
