"""One update: policy and critic learn from a batch of rollouts with known advantages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trueward.batch import Rollouts
from trueward.credit.estimators import Credited
from trueward.objectives.aggregation import Metrics
from trueward.objectives.policy_loss import PolicyObjective
from trueward.objectives.value import clipped_value_loss
from trueward.policies.language import LanguagePolicy
from trueward.policies.scorer import TokenScorer
from trueward.training.rollouts import tokens_of, values_before

_PARTS, _ROWS_TOGETHER = 4, 24  # forward passes per minibatch, by length; fewer rows than that are not worth one


@dataclass(frozen=True)
class UpdateSettings:
    """How a batch is learnt from.

    Attributes:
        epochs: passes over the batch.
        minibatches: optimiser steps per pass.
        micro_batch: most rows per forward pass; None for no limit. Changes memory, not the result.
        gradient_clip: largest norm of the gradient.
        value_clip: of `clipped_value_loss`.
        temperature: at which the rollouts were sampled.
    """

    epochs: int = 1
    minibatches: int = 1
    micro_batch: int | None = None
    gradient_clip: float = 1.0
    value_clip: float = 0.2
    temperature: float = 1.0


@dataclass
class Learner:
    """A network with its optimiser, and what is learnt with a constant rate after a linear warm-up.

    Attributes:
        network: what learns.
        optimizer: of its parameters.
        rate: learning rate after the warm-up.
        warm_up: optimiser steps until then.
        steps: optimiser steps done.
    """

    network: torch.nn.Module
    optimizer: torch.optim.Optimizer
    rate: float
    warm_up: int = 0
    steps: int = 0

    def step(self, gradient_clip: float) -> float:
        """Follow the gradients that have been accumulated, then clear them.

        Returns:
            The norm of the gradient before it was clipped. Where that is not finite nothing is changed.
        """
        norm = float(torch.nn.utils.clip_grad_norm_(self.network.parameters(), gradient_clip))
        if np.isfinite(norm):
            self.steps += 1
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate * min(1.0, self.steps / max(1, self.warm_up))
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return norm

    def state_dict(self) -> dict[str, Any]:
        """How far the warm-up has come."""
        return {"steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take that back."""
        self.steps = int(state["steps"])


def learner(network: torch.nn.Module, rate: float, warm_up: int = 0, weight_decay: float = 0.0) -> Learner:
    """A network with AdamW."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=weight_decay, fused=True)
    return Learner(network, optimizer, rate, warm_up)


@dataclass(frozen=True)
class _Batch:
    """The tensors of a batch, on the policy's device."""

    ids: Tensor
    attention: Tensor
    mask: Tensor
    group: Tensor
    old_logprobs: Tensor
    advantages: Tensor
    ref_logprobs: Tensor | None
    old_values: Tensor | None
    returns: Tensor | None

    def rows(self, chosen: Tensor) -> _Batch:
        fields: dict[str, Any] = {name: None if value is None else value[chosen] for name, value in vars(self).items()}
        return _Batch(**fields)

    def trimmed(self) -> _Batch:
        """Without columns that are padding in every row."""
        width, decisions = self.ids.shape[1], self.mask.shape[1]
        used, decided = self.attention.any(dim=0).nonzero(), self.mask.any(dim=0).nonzero()
        first = min(int(used[0]), width - decisions - 1) if len(used) else 0
        last = int(decided[-1]) + 1 if len(decided) else 1
        fields: dict[str, Any] = dict(vars(self))
        for name, value in fields.items():
            if name in ("ids", "attention"):
                fields[name] = value[:, first : width - decisions + last]
            elif value is not None and value.ndim == 2:
                fields[name] = value[:, :last]
        return _Batch(**fields)

    def parts(self, rows: Tensor, most: int | None) -> Iterator[tuple[Tensor, _Batch]]:
        """Rows of similar length together, trimmed: padding is computed too, and lengths differ."""
        by_length = rows[torch.argsort(self.mask[rows].sum(dim=1), stable=True)]
        size = min(most or len(rows), max(_ROWS_TOGETHER, -(-len(rows) // _PARTS)))
        for chosen in torch.split(by_length, size):
            yield chosen, self.rows(chosen).trimmed()


def update(
    policy: LanguagePolicy,
    actor: Learner,
    rollouts: Rollouts,
    credited: Credited,
    objective: PolicyObjective,
    settings: UpdateSettings,
    generator: np.random.Generator,
    *,
    critic: TokenScorer | None = None,
    critic_learner: Learner | None = None,
) -> dict[str, float]:
    """Let policy and critic learn from a batch.

    Rows without any advantage are left out of the forward pass where the objective needs nothing else of them; they
    still count in its denominator.

    Args:
        policy: what learns.
        actor: its optimiser.
        rollouts: with tokens, mask, groups and log-probabilities.
        credited: advantages, and returns for the critic.
        objective: the loss.
        settings: passes, minibatches, clipping.
        generator: of the order of rows.
        critic: token-level values.
        critic_learner: its optimiser.

    Returns:
        Means over the optimiser steps of loss, gradient norm and metrics; `skipped_updates`: steps with nothing to
        learn or a gradient that was not finite.
    """
    batch = _batch(rollouts, credited, policy.device)
    told: dict[str, list[float]] = {}
    skipped = 0
    for chosen in _minibatches(len(batch.ids), settings, generator):
        part = batch.rows(chosen)
        found = _policy_step(policy, actor, part, objective, settings)
        skipped += found is None
        for name, value in (found or {}).items():
            told.setdefault(name, []).append(value)
        if critic is not None and critic_learner is not None:
            for name, value in _critic_step(critic, critic_learner, part, settings).items():
                told.setdefault(name, []).append(value)
    return {**{name: float(np.mean(values)) for name, values in told.items()}, "skipped_updates": float(skipped)}


def _batch(rollouts: Rollouts, credited: Credited, device: torch.device) -> _Batch:
    ids, attention = tokens_of(rollouts)

    def tensor(values: Any, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(values), dtype=dtype, device=device)

    features = rollouts.features
    return _Batch(
        ids=ids.to(device),
        attention=attention.to(device),
        mask=tensor(rollouts.mask, torch.bool),
        group=tensor(rollouts.group, torch.int64),
        old_logprobs=tensor(rollouts.logprobs),
        advantages=tensor(credited.advantages),
        ref_logprobs=None if rollouts.ref_logprobs is None else tensor(rollouts.ref_logprobs),
        old_values=tensor(features["value"]) if "value" in features else None,
        returns=None if credited.returns is None else tensor(credited.returns),
    )


def _minibatches(rows: int, settings: UpdateSettings, generator: np.random.Generator) -> Iterator[Tensor]:
    for _ in range(settings.epochs):
        order = generator.permutation(rows) if settings.minibatches > 1 else np.arange(rows)
        for part in np.array_split(order, settings.minibatches):
            yield torch.from_numpy(np.sort(part))


def _policy_step(
    policy: LanguagePolicy, actor: Learner, batch: _Batch, objective: PolicyObjective, settings: UpdateSettings
) -> dict[str, float] | None:
    weight = objective.weight(batch.mask, batch.group)
    rows = torch.arange(len(batch.ids), device=batch.ids.device)
    if not objective.needs:
        learnt = batch.advantages != 0
        rows = rows[learnt if learnt.ndim == 1 else learnt.any(dim=1)]
    if not len(rows):
        return None
    total, told, decisions = 0.0, [], int(batch.mask[rows].sum())
    want = ("entropy",) if "entropy" in objective.needs else ()
    for chosen, part in batch.parts(rows, settings.micro_batch):
        width = part.mask.shape[1]
        under = policy.likelihood(part.ids, part.attention, width, temperature=settings.temperature, want=want)
        loss, metrics = objective(
            under.logprobs,
            part.old_logprobs,
            part.advantages,
            part.mask,
            weight[chosen],
            ref_logprobs=part.ref_logprobs,
            entropy=under.entropy,
        )
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
        told.append((int(part.mask.sum()) / max(1, decisions), metrics))
    norm = actor.step(settings.gradient_clip)
    return {"loss": total, "gradient_norm": norm, **_joined(told)} if np.isfinite(norm) else None


def _joined(told: Sequence[tuple[float, Metrics]]) -> dict[str, float]:
    """Metrics of parts as those of the whole: counts add up, of the largest there is one, means weigh decisions."""
    joined: dict[str, float] = {}
    for share, metrics in told:
        for name, value in metrics.items():
            number = float(value)
            if name == "decisions":
                joined[name] = joined.get(name, 0.0) + number
            elif name.endswith("_max"):
                joined[name] = max(joined.get(name, number), number)
            else:
                joined[name] = joined.get(name, 0.0) + share * number
    return joined


def _critic_step(
    critic: TokenScorer, critic_learner: Learner, batch: _Batch, settings: UpdateSettings
) -> dict[str, float]:
    if batch.returns is None or batch.old_values is None:
        raise ValueError("this credit gives no returns, so a critic has nothing to learn: use GeneralisedAdvantage")
    # A row that could not be scored has no return, and teaches nothing.
    batch = replace(batch, mask=batch.mask & batch.returns.isfinite())
    weight = torch.full((len(batch.ids),), 1.0, device=batch.ids.device) / batch.mask.sum().clamp(min=1)
    rows = torch.arange(len(batch.ids), device=batch.ids.device)
    total, told, decisions = 0.0, [], int(batch.mask.sum())
    for chosen, part in batch.parts(rows, settings.micro_batch):
        assert part.old_values is not None and part.returns is not None
        values = values_before(critic, part.ids, part.attention, part.mask.shape[1])
        loss, metrics = clipped_value_loss(
            values, part.old_values, part.returns, part.mask, weight[chosen], clip=settings.value_clip
        )
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
        told.append((int(part.mask.sum()) / max(1, decisions), metrics))
    norm = critic_learner.step(settings.gradient_clip)
    found = {"loss": total, "gradient_norm": norm, **_joined(told)}
    return {f"critic/{name}": value for name, value in found.items()}
