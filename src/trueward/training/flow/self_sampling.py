"""SePPO: preference of winners over samples of earlier checkpoints, which are also the references."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trueward.errors import TrainingError
from trueward.policies.flow.base import Condition, condition_length, condition_rows
from trueward.policies.flow.kernels import time_grid
from trueward.policies.flow.sampling import sample
from trueward.training.flow.preference import PreferenceSettings, preference_loss
from trueward.training.flow.settings import FlowSettings
from trueward.training.flow.update import FlowUpdate, Losses, frozen_copy

Reference = Literal["uniform", "latest", "first"]


class CheckpointPool(nn.Module):
    """Weights of a policy at earlier moments, oldest first; a module, so that checkpoints of a run keep it.

    Args:
        policy: the first member.
        window: members kept; the oldest goes when there are more. None keeps all: old ones then stay as likely as new
            ones.

    Raises:
        TrainingError: the window holds less than one.
    """

    def __init__(self, policy: nn.Module, window: int | None = None) -> None:
        super().__init__()
        if window is not None and window < 1:
            raise TrainingError(f"window={window!r}: a pool keeps at least one checkpoint; None keeps all")
        self.window = window
        for name, value in policy.state_dict().items():
            self.register_buffer(_key(name), value.detach().clone()[None])

    def __len__(self) -> int:
        return len(next(self.buffers()))

    def append(self, policy: nn.Module) -> None:
        """Keep what the policy is now."""
        kept = slice(None) if self.window is None else slice(-self.window, None)
        for name, value in policy.state_dict().items():
            members = self.get_buffer(_key(name))
            setattr(self, _key(name), torch.cat([members, value.detach().to(members.device)[None]])[kept])

    def put(self, place: int, module: nn.Module) -> None:
        """Give a copy of the policy the weights of a member."""
        module.load_state_dict({name: self.get_buffer(_key(name))[place] for name in module.state_dict()})

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Take members back, however many there are."""
        for name, value in state_dict.items():
            if name in self._buffers:
                setattr(self, name, torch.empty_like(value, device=self.get_buffer(name).device))
        return super().load_state_dict(state_dict, strict, assign)


def _key(name: str) -> str:
    return name.replace(".", "/")


@dataclass(frozen=True)
class SelfSamplingSettings:
    """Where the other images come from, and how they are compared with winners.

    Attributes:
        preference: batch, β and flipper.
        reference: which checkpoint samples and is the reference: any of the pool alike (SePPO), the latest
            (SPIN-Diffusion), or the one where training began.
        save_every: updates between checkpoints.
        window: checkpoints kept; None keeps all.
        sampling_steps, shift: of the deterministic sampler, see `time_grid`.
    """

    preference: PreferenceSettings = field(default_factory=lambda: PreferenceSettings(flip="sign"))
    reference: Reference = "uniform"
    save_every: int = 30
    window: int | None = None
    sampling_steps: int = 12
    shift: float = 1.0

    def __post_init__(self) -> None:
        """Raises `TrainingError` for a reference that there is not, or numbers that cannot be."""
        if self.reference not in ("uniform", "latest", "first"):
            raise TrainingError(f"reference={self.reference!r} is unknown; choose uniform, latest or first")
        if self.save_every < 1 or self.sampling_steps < 1:
            raise TrainingError(
                f"save_every={self.save_every!r} and sampling_steps={self.sampling_steps!r} have to be positive"
            )


@dataclass
class SelfSamplingUpdate(FlowUpdate):
    """Winners against samples of earlier checkpoints: SePPO, and SPIN-Diffusion by settings.

    Only winners are needed, no losers and no reward. The pool begins with the policy where training begins.

        every update: draw winners x^w and one reference; sample x^r from it for the same conditions
        L = −log σ(−β (δ_w − a δ_r)), a = sign(−δ_w)          # objectives.flow.preference
        after every `save_every` updates the policy joins the pool

    Attributes:
        winners: [N, …] images, clean.
        condition: of each winner.
        settings: all others.
        sampled_as: turns a checkpoint into what is sampled where the policy is used (`ClassifierFree`), so that x^r and
            evaluated images come from the same kind of model. By default the checkpoint itself.

    Raises:
        TrainingError: there are no winners, or not one condition for each.

    Reference: Zhang, Lan et al. 2024 (SePPO), Algorithm 1.
    """

    winners: Float[Tensor, "n *sample"]
    condition: Condition
    settings: SelfSamplingSettings = field(default_factory=SelfSamplingSettings)
    sampled_as: Callable[[nn.Module], nn.Module] | None = None

    def __post_init__(self) -> None:
        """Checks lengths."""
        if not len(self.winners) or len(self.winners) != condition_length(self.condition):
            raise TrainingError(
                f"{len(self.winners)} winners and {condition_length(self.condition)} conditions: at least one of each, "
                "and equally many"
            )

    def begin(self, policy: nn.Module, settings: FlowSettings) -> None:
        """The policy is the first checkpoint."""
        self.pool = CheckpointPool(policy, self.settings.window)
        self._reference = frozen_copy(policy)
        self._sampler = self._reference if self.sampled_as is None else self.sampled_as(self._reference)

    def losses(self, policy: nn.Module, step: int, generator: torch.Generator) -> Losses:
        """One loss on one batch of winners; the policy then joins the pool where it is time."""
        chosen = self.settings.preference
        rows = torch.randint(len(self.winners), (chosen.batch,), generator=generator).to(self.winners.device)
        condition, winners = condition_rows(self.condition, rows), self.winners[rows]
        reference, age = self.drawn(generator)
        others = self.sampled(condition, generator)
        loss, metrics = preference_loss(policy, reference, winners, others, condition, chosen, generator)
        yield loss, {**metrics, "reference_age": age}
        if self.settings.reference != "first" and step % self.settings.save_every == 0:
            self.pool.append(policy)

    def drawn(self, generator: torch.Generator) -> tuple[nn.Module, int]:
        """A reference of the pool, and how many checkpoints are newer than it."""
        count = len(self.pool)
        place = count - 1
        if self.settings.reference == "uniform":
            place = int(torch.randint(count, (), generator=generator))
        return self.reference(place), count - 1 - place

    def reference(self, place: int) -> nn.Module:
        """A checkpoint of the pool as a network, which is good until another one is asked for."""
        self.pool.put(place, self._reference)
        return self._reference

    def sampled(self, condition: Condition, generator: torch.Generator) -> Float[Tensor, "n *sample"]:
        """x^r: one image of the reference that was asked for last for each condition."""
        times = time_grid(self.settings.sampling_steps, self.settings.shift)
        shape = tuple(self.winners.shape[1:])
        return sample(self._sampler, condition, shape=shape, times=times, generator=generator).final

    def modules(self) -> Mapping[str, nn.Module]:
        """The pool."""
        return {"pool": self.pool}

    def identity(self) -> Mapping[str, Any]:
        """Settings and number of winners."""
        return {"winners": len(self.winners), **asdict(self.settings)}
