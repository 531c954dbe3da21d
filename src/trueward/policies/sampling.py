"""How the next token is drawn from a model's logits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How completions are drawn.

    Attributes:
        max_new_tokens: most tokens of a completion.
        temperature: τ of softmax(z / τ).
        top_p: the most probable tokens that hold this share of the probability are drawn from; 1 for all.
        top_k: the k most probable tokens are drawn from; 0 for all.
        greedy: take the most probable token instead of drawing.
        stop: texts after which a completion ends. They stay part of it. Only what was sampled counts, not a prefix.
    """

    max_new_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    greedy: bool = False
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises `ValueError` for a setting outside its range."""
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens={self.max_new_tokens} must be at least 1")
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"temperature={self.temperature} must be positive; greedy=True takes the likeliest token")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p={self.top_p} must be in (0, 1]; 1 draws from all tokens")
        if self.top_k < 0:
            raise ValueError(f"top_k={self.top_k} must not be negative; 0 draws from all tokens")
        stop: object = self.stop
        if not isinstance(stop, tuple) or not all(stop):
            raise ValueError(f"stop={self.stop!r} must be a tuple of texts that are not empty")


def uniforms(rows: int, columns: int, generator: torch.Generator) -> Float[Tensor, "n t"]:
    """One number in [0, 1) per row and decision, all at once.

    Row i always has the numbers of row i, whenever other rows end, and the generator moves on by as much.
    """
    numbers = torch.rand(rows, columns, generator=generator, dtype=torch.float64, device=generator.device)
    # So that a product with a total stays below the total after rounding.
    return numbers.clamp_(max=1 - 2.0**-40)


def draw(
    logits: Float[Tensor, "n v"], uniform: Float[Tensor, " n"], sampling: Sampling
) -> tuple[Int[Tensor, " n"], Float[Tensor, "n v"]]:
    """The next token of each row: the inverse of the cumulative distribution at u.

    token = min {k : Σ_{j ≤ k} q_j > u Σ_j q_j}, with p = softmax(z / τ) and q = p where top-k and top-p leave it.

    Args:
        logits: z.
        uniform: u in [0, 1), one per row, so that no row depends on another.
        sampling: τ, top-k, top-p, greedy.

    Returns:
        Tokens, and p over all tokens, in single precision.
    """
    scaled = logits.float() if sampling.temperature == 1.0 else logits.float() / sampling.temperature
    probabilities = scaled.softmax(dim=-1)
    if sampling.greedy:
        return scaled.argmax(dim=-1), probabilities
    cumulative = _truncated(probabilities, sampling).cumsum(dim=-1, dtype=torch.float64)
    threshold = uniform.unsqueeze(-1) * cumulative[:, -1:]
    return torch.searchsorted(cumulative, threshold, right=True).squeeze(-1), probabilities


def _truncated(probabilities: Float[Tensor, "n v"], sampling: Sampling) -> Float[Tensor, "n v"]:
    """Probabilities with those of tokens outside top-k and top-p set to 0; top-p within what top-k leaves."""
    if 0 < sampling.top_k < probabilities.shape[-1]:
        least = probabilities.topk(sampling.top_k, dim=-1).values[:, -1:]
        probabilities = probabilities.where(probabilities >= least, 0.0)
    if sampling.top_p < 1:
        ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
        before = ordered.cumsum(dim=-1) - ordered
        kept = ordered.where(before < sampling.top_p * ordered.sum(dim=-1, keepdim=True), 0.0)
        probabilities = torch.zeros_like(probabilities).scatter(-1, order, kept)
    return probabilities
