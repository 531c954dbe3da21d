"""The loop that all trainings of scorers share: seeded batches, AdamW with warm-up and decay, a held-out share.

Everything is tokenized once, before the first step. Two calls with the same scorer, data and settings give the same
weights bit by bit, on one machine with the same number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Int, Shaped

from trueward.errors import TrainingError
from trueward.objectives.aggregation import Loss
from trueward.policies.scorer import TokenScorer

BatchLoss = Callable[[Int[np.ndarray, " b"]], Loss]
"""Places of the examples of a batch → loss and metrics, each a mean over the batch."""


@dataclass(frozen=True)
class FitSettings:
    """How a scorer is trained.

    Attributes:
        epochs: how often every example is seen.
        batch_size: examples (pairs, rollouts) of a step.
        learning_rate: at its highest.
        warmup: share of the steps in which the rate rises linearly from 0; then it falls linearly to 0.
        weight_decay: of AdamW.
        clip_norm: longest gradient; a longer one is scaled down.
        held_out: share of the prompts whose examples are kept from training; 0 for none.
        seed: of the split, the order and dropout.
    """

    epochs: int = 1
    batch_size: int = 32
    learning_rate: float = 1e-3
    warmup: float = 0.1
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    held_out: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises `TrainingError` for a setting outside its range."""
        positive = min(self.epochs, self.batch_size, self.learning_rate, self.clip_norm)
        if not (positive > 0 and self.weight_decay >= 0 and 0 <= self.warmup <= 1 and 0 <= self.held_out < 1):
            raise TrainingError(
                f"{self}: epochs, batch_size, learning_rate and clip_norm must be positive, weight_decay not negative, "
                "warmup in [0, 1] and held_out in [0, 1)"
            )


@dataclass(frozen=True)
class FitResult:
    """What became of a training.

    Attributes:
        losses: of each step.
        epochs: mean metrics of each epoch, as they were while it trained.
        held_out: metrics on the held-out examples afterwards, `loss` among them; empty where there are none.
        trained: number of examples trained on.
        tested: number of held-out examples.
        dropped: number of examples that could not be encoded.
        skipped: steps left out because their gradient was not finite.
    """

    losses: tuple[float, ...]
    epochs: tuple[Mapping[str, float], ...]
    held_out: Mapping[str, float] = field(default_factory=dict)
    trained: int = 0
    tested: int = 0
    dropped: int = 0
    skipped: int = 0


def optimizer_of(scorer: TokenScorer, learning_rate: float, weight_decay: float = 0.01) -> torch.optim.AdamW:
    """AdamW over all weights of a scorer that learn."""
    learning = [weight for weight in scorer.parameters() if weight.requires_grad]
    return torch.optim.AdamW(learning, lr=learning_rate, weight_decay=weight_decay)


def fit(
    scorer: TokenScorer,
    batch_loss: BatchLoss,
    prompt: Int[np.ndarray, " n"],
    usable: Shaped[np.ndarray, " n"],
    settings: FitSettings,
) -> FitResult:
    """Train on the examples that are usable.

    Args:
        scorer: changed in place; in evaluation mode afterwards.
        batch_loss: of a batch of examples.
        prompt: number of the prompt of each example: those of one prompt are held out together.
        usable: True on examples that could be encoded.
        settings: how.

    Raises:
        TrainingError: there is nothing to train on.
    """
    generator = np.random.default_rng(settings.seed)
    train, test = _split(prompt, np.asarray(usable, dtype=bool), settings.held_out, generator)
    if not len(train):
        raise TrainingError(
            f"there is nothing to train on: {len(prompt)} examples, of which {int(np.sum(usable))} could be encoded "
            f"and {len(test)} are held out"
        )
    optimizer = optimizer_of(scorer, settings.learning_rate, settings.weight_decay)
    steps = settings.epochs * -(-len(train) // settings.batch_size)
    losses: list[float] = []
    epochs, skipped = [], 0
    with _training(scorer, settings.seed):
        for _ in range(settings.epochs):
            seen: list[tuple[int, dict[str, float]]] = []
            for places in batches(generator.permutation(train), settings.batch_size):
                for entry in optimizer.param_groups:
                    entry["lr"] = settings.learning_rate * _rate(len(losses), steps, settings.warmup)
                loss, metrics = batch_loss(places)
                skipped += not step(scorer, optimizer, loss, settings.clip_norm)
                losses.append(loss.item())
                seen.append((len(places), {name: value.item() for name, value in metrics.items()}))
            epochs.append(_means(seen))
    return FitResult(
        losses=tuple(losses),
        epochs=tuple(epochs),
        held_out=evaluate(batch_loss, test, settings.batch_size),
        trained=len(train),
        tested=len(test),
        dropped=int(len(prompt) - np.sum(usable)),
        skipped=skipped,
    )


def step(scorer: TokenScorer, optimizer: torch.optim.Optimizer, loss: torch.Tensor, clip_norm: float) -> bool:
    """One update; False, and none, where the gradient is not finite."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(scorer.parameters(), clip_norm)
    if not bool(torch.isfinite(norm)):
        optimizer.zero_grad(set_to_none=True)
        return False
    optimizer.step()
    return True


def evaluate(batch_loss: BatchLoss, places: Int[np.ndarray, " n"], batch_size: int) -> dict[str, float]:
    """Mean metrics of some examples, without a gradient, `loss` among them; {} for no examples."""
    seen = []
    with torch.no_grad():
        for some in batches(places, batch_size):
            loss, metrics = batch_loss(some)
            seen.append((len(some), {"loss": loss.item(), **{name: value.item() for name, value in metrics.items()}}))
    return _means(seen)


def batches(places: Int[np.ndarray, " n"], size: int) -> list[Int[np.ndarray, " b"]]:
    """Consecutive pieces of at most `size`; none for no places."""
    return [places[start : start + size] for start in range(0, len(places), size)]


def _rate(done: int, steps: int, warmup: float) -> float:
    """Share of the highest rate: rising over the first steps, then falling, never 0 at a step that is taken."""
    rising = int(warmup * steps)
    return (done + 1) / rising if done < rising else (steps - done) / max(1, steps - rising)


def _split(
    prompt: np.ndarray, usable: np.ndarray, share: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Places to train on and to test on, no prompt in both; at least one prompt to test on where a share is asked."""
    prompts = np.unique(prompt[usable])
    order = generator.permutation(prompts)
    tested = order[: min(len(order) - 1, max(1, round(share * len(order))))] if share and len(order) else order[:0]
    test = usable & np.isin(prompt, tested)
    return np.flatnonzero(usable & ~test), np.flatnonzero(test)


def _means(seen: list[tuple[int, dict[str, float]]]) -> dict[str, float]:
    """Means of metrics over batches, weighted by their size."""
    total = sum(size for size, _ in seen)
    names = seen[0][1] if seen else {}
    return {name: sum(size * metrics[name] for size, metrics in seen) / total for name in names}


@contextmanager
def _training(scorer: TokenScorer, seed: int) -> Iterator[None]:
    """Training mode with a seed for dropout, that leaves the caller's random numbers as they were."""
    scorer.train()
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        scorer.eval()
