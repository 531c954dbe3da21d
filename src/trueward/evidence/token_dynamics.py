"""What one step on some tokens does to the likelihood of the correct rollouts: token hidden rewards against training.

Group by group a policy takes one small step of plain gradient ascent on the tokens that were chosen,

    θ' = θ + η ∇ Σ_jt m_jt A_jt log π(y_jt),

and what comes of it is measured and taken back. To first order, where the output layer alone is free to move, the mean
log-likelihood of the correct rollouts changes by η Σ_jt m_jt |A_jt| THR_jt / |P|: this holds the scores of tokens
against training itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trueward.training.rollouts import tokens_of

if TYPE_CHECKING:
    from trueward.batch import Rollouts
    from trueward.policies.language import LanguagePolicy


def step_effects(
    policy: LanguagePolicy,
    rollouts: Rollouts,
    correct: Bool[np.ndarray, " n"],
    advantages: Float[np.ndarray, "n t"],
    chosen: Mapping[str, Bool[np.ndarray, "n t"]],
    *,
    rate: float,
    output_layer_only: bool = False,
    temperature: float = 1.0,
) -> dict[str, Float[np.ndarray, " g"]]:
    """Change of the correct rollouts' mean log-likelihood after one step, for each group and choice of tokens.

    Args:
        policy: is stepped, and put back every time.
        rollouts: with tokens, mask and groups.
        correct: which rollouts are right; groups without any are left out.
        advantages: A.
        chosen: named choices of decisions, each stepped on by itself.
        rate: η, small enough for first order.
        output_layer_only: only the output layer moves, and not the embedding that may be tied to it.
        temperature: τ of the likelihoods.

    Returns:
        For each choice, one number per group with a correct rollout, in ascending order of the groups.
    """
    group, right = np.asarray(rollouts.group), np.asarray(correct, dtype=bool)
    found: dict[str, list[float]] = {name: [] for name in chosen}
    with _movable(policy.model, output_layer_only) as moved:
        for number in np.unique(group[right]):
            rows = np.flatnonzero(group == number)
            one = _Group.of(policy, rollouts, rows, right[rows], temperature)
            before = one.logprobs()
            # All gradients first: a step changes what the graph was made with.
            gradients = {
                name: one.gradient(before, advantages[rows], tokens[rows], moved) for name, tokens in chosen.items()
            }
            for name, gradient in gradients.items():
                with torch.no_grad(), _stepped(moved, gradient, rate):
                    found[name].append(one.mean(one.logprobs()) - one.mean(before))
    return {name: np.array(values) for name, values in found.items()}


class _Group:
    """The rollouts of one group, without columns that none of them uses."""

    def __init__(
        self, policy: LanguagePolicy, ids: Tensor, attention: Tensor, mask: Tensor, temperature: float
    ) -> None:
        self.policy, self.ids, self.attention, self.mask = policy, ids, attention, mask
        self.temperature = temperature
        self.right = torch.ones(len(ids), dtype=torch.bool)

    @classmethod
    def of(
        cls, policy: LanguagePolicy, rollouts: Rollouts, rows: np.ndarray, right: np.ndarray, temperature: float
    ) -> _Group:
        ids, attention = tokens_of(rollouts)
        mask = torch.from_numpy(np.asarray(rollouts.mask, dtype=bool)[rows])
        width = int(mask.any(dim=0).nonzero().max()) + 1
        cut = ids.shape[1] - mask.shape[1] + width
        found = cls(policy, ids[rows, :cut], attention[rows, :cut], mask[:, :width].to(policy.device), temperature)
        found.right = torch.from_numpy(right).to(policy.device)
        return found

    def logprobs(self) -> Tensor:
        return self.policy.likelihood(
            self.ids, self.attention, self.mask.shape[1], temperature=self.temperature
        ).logprobs

    def gradient(
        self, logprobs: Tensor, advantages: np.ndarray, chosen: np.ndarray, moved: Sequence[Tensor]
    ) -> tuple[Tensor | None, ...]:
        """Of the chosen decisions' log-probabilities, weighted with their advantages."""
        weights = np.where(chosen, advantages, 0.0)[:, : logprobs.shape[1]]
        gain = (logprobs * torch.as_tensor(weights, dtype=logprobs.dtype, device=logprobs.device)).sum()
        return torch.autograd.grad(gain, moved, retain_graph=True, allow_unused=True)

    def mean(self, logprobs: Tensor) -> float:
        """Mean over correct rollouts of their mean log-probability per token."""
        chosen = self.mask[self.right]
        means = torch.where(chosen, logprobs[self.right], 0.0).sum(dim=1) / chosen.sum(dim=1)
        return float(means.detach().mean())


@contextmanager
def _movable(model: Any, output_layer_only: bool) -> Iterator[list[Tensor]]:
    """The parameters that are to move, without dropout; the output layer gets weights of its own while it is alone."""
    was_training = model.training
    layer = model.get_output_embeddings()
    shared = layer.weight
    model.eval()
    try:
        if output_layer_only:
            layer.weight = torch.nn.Parameter(shared.detach().clone())
        yield list(layer.parameters() if output_layer_only else model.parameters())
    finally:
        layer.weight = shared
        model.train(was_training)


@contextmanager
def _stepped(parameters: Sequence[Tensor], gradients: Sequence[Tensor | None], rate: float) -> Iterator[None]:
    """Parameters moved along gradients inside the block, then put back to the bit."""
    kept = [parameter.detach().clone() for parameter in parameters]
    try:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None:
                parameter.add_(gradient, alpha=rate)
        yield
    finally:
        for parameter, value in zip(parameters, kept, strict=True):
            parameter.copy_(value)
