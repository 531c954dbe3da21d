"""Training of reward models: on preferences, on labels of rollouts or steps, with two heads; and weight averaging.

Each takes a scorer and changes it in place. Losses are those of `objectives`; the loop is `reward_model_loop`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trueward.batch import Preferences, Rollouts
from trueward.errors import TrainingError
from trueward.objectives.aggregation import Loss
from trueward.objectives.preference import Centring, bradley_terry
from trueward.objectives.supervised import binary_cross_entropy
from trueward.objectives.two_heads import two_heads
from trueward.policies.scorer import TokenScorer
from trueward.rewards.models.learned_inputs import Layout, Packed, most_tokens, packed
from trueward.rewards.models.process import step_ends
from trueward.training.pairs_labelled import prompt_numbers, text_content
from trueward.training.reward_model_loop import FitResult, FitSettings, batches, fit, step


def train_on_preferences(
    scorer: TokenScorer,
    tokenizer: Any,
    preferences: Preferences,
    settings: FitSettings | None = None,
    *,
    layout: Layout | None = None,
    smoothing: float = 0.0,
    centring: float = 0.0,
    centre: Centring = "sum",
) -> FitResult:
    """Bradley–Terry on the last token's first output; see `objectives.bradley_terry`.

    Label, weight and margin of the pairs count. Both sides of a batch go through the scorer in one pass.

    Args:
        scorer: changed in place.
        tokenizer: of the scorer.
        preferences: pairs of text.
        settings: how; None for the defaults.
        layout: how text is made; it must be that of the reward that uses the scorer.
        smoothing, centring, centre: of the loss.

    Returns:
        The history, with `accuracy` among the held-out metrics.

    Raises:
        TrainingError: no pair can be encoded.
    """
    pairs = _Pairs.of(scorer, tokenizer, preferences, layout)

    def batch_loss(places: np.ndarray) -> Loss:
        return pairs.loss(scorer, places, smoothing, centring, centre)

    return fit(scorer, batch_loss, prompt_numbers(preferences.a), pairs.usable, settings or FitSettings())


def update_on_preferences(
    scorer: TokenScorer,
    tokenizer: Any,
    optimizer: torch.optim.Optimizer,
    preferences: Preferences,
    *,
    batch_size: int = 64,
    layout: Layout | None = None,
    smoothing: float = 0.0,
    centring: float = 0.0,
    centre: Centring = "sum",
    anchor: float = 0.0,
    clip_norm: float = 1.0,
) -> dict[str, float]:
    """One pass over new pairs with an optimiser that goes on: a reward model that is trained beside its policy.

    Args:
        scorer: changed in place; its mode stays.
        tokenizer: of the scorer.
        optimizer: from `optimizer_of`; keep it in the checkpoint of the run.
        preferences: pairs of text, in the order in which they are trained on.
        batch_size: pairs of a step.
        layout, smoothing, centring, centre: as in `train_on_preferences`.
        anchor: weight of binary cross-entropy on both sides of the pairs, the label of b being that of a turned round:
            it holds the level of the scores, where pairs tell only differences.
        clip_norm: longest gradient.

    Returns:
        Metrics, means over the pairs, with `loss`, `dropped` (pairs that cannot be encoded) and `skipped` (steps whose
        gradient was not finite).
    """
    pairs = _Pairs.of(scorer, tokenizer, preferences, layout)
    summed: dict[str, float] = {}
    skipped = 0
    places = np.flatnonzero(pairs.usable)
    for some in batches(places, batch_size):
        loss, metrics = pairs.loss(scorer, some, smoothing, centring, centre, anchor)
        skipped += not step(scorer, optimizer, loss, clip_norm)
        for name, value in {"loss": loss.detach(), **metrics}.items():
            summed[name] = summed.get(name, 0.0) + value.item() * len(some) / len(places)
    return {**summed, "dropped": float(len(pairs.usable) - len(places)), "skipped": float(skipped)}


def train_on_labels(
    scorer: TokenScorer,
    tokenizer: Any,
    rollouts: Rollouts,
    labels: Float[np.ndarray, "..."],
    settings: FitSettings | None = None,
    *,
    layout: Layout | None = None,
    positive_weight: float = 1.0,
) -> FitResult:
    """Binary cross-entropy on the first output: a verifier of rollouts, or of their steps.

    Args:
        scorer: changed in place.
        tokenizer: of the scorer.
        rollouts: text; for step labels with tokens and segments.
        labels: in [0, 1], [N] for the last token of each rollout or [N, S] for the last token of each segment; NaN
            where there is none.
        settings: how; None for the defaults.
        layout: how text is made; None for step labels, which are read at the policy's own tokens.
        positive_weight: of the loss.

    Returns:
        The history, with `accuracy` among the held-out metrics.

    Raises:
        TrainingError: labels of another shape, a layout with step labels, or nothing to train on.
    """
    by_step = labels.ndim == 2
    ends = step_ends(rollouts) if by_step else None
    if len(labels) != len(rollouts) or (ends is not None and (layout is not None or labels.shape != ends.shape)):
        raise TrainingError(
            f"labels of shape {labels.shape} for {len(rollouts)} rollouts"
            + (
                ""
                if ends is None
                else f" with {ends.shape[1]} segments, layout {'none' if layout is None else 'given'}"
            )
            + "; expected one label per rollout, or one per segment and no layout"
        )
    rows = packed(rollouts, tokenizer, layout, most_tokens(scorer))
    known = np.isfinite(labels) if ends is None else np.isfinite(labels) & (ends >= 0)
    target = torch.from_numpy(np.where(known, labels, 0.0)).float()
    weight = torch.from_numpy(known).float()

    def batch_loss(places: np.ndarray) -> Loss:
        logits = _at_end(scorer, rows, places)[:, 0] if ends is None else _at_steps(scorer, rows, ends, places)
        device = logits.device
        return binary_cross_entropy(
            logits, target[places].to(device), weight[places].to(device), positive_weight=positive_weight
        )

    usable = rows.ok & (known.any(axis=1) if by_step else known)
    return fit(scorer, batch_loss, prompt_numbers(rollouts), usable, settings or FitSettings())


def train_two_heads(
    scorer: TokenScorer,
    tokenizer: Any,
    preferences: Preferences,
    settings: FitSettings | None = None,
    *,
    correlation: float = 1.0,
    orthogonality: float = 1.0,
) -> FitResult:
    """A scorer of two outputs, the first for quality, the second for length; see `objectives.two_heads`.

    As a reward only output 0 is used. The loss is taken per batch, and the correlation within it: give batches of some
    size.

    Args:
        scorer: two outputs; changed in place.
        tokenizer: of the scorer.
        preferences: pairs of text.
        settings: how; None for the defaults.
        correlation, orthogonality: weights of the loss.

    Returns:
        The history, with `quality_accuracy` and `quality_length_correlation` among the held-out metrics.

    Raises:
        TrainingError: another number of outputs, or no pair can be encoded.
    """
    if scorer.outputs != 2:
        raise TrainingError(f"two heads need a scorer of 2 outputs, got {scorer.outputs}: TokenScorer(…, outputs=2)")
    pairs = _Pairs.of(scorer, tokenizer, preferences, None)
    length_a, length_b = (torch.from_numpy(_lengths(side)).float() for side in (preferences.a, preferences.b))

    def batch_loss(places: np.ndarray) -> Loss:
        a, b = pairs.outputs(scorer, places)
        heads = scorer.head.weight
        return two_heads(
            a[:, 0],
            b[:, 0],
            a[:, 1],
            b[:, 1],
            length_a[places].to(a.device),
            length_b[places].to(a.device),
            heads[:1],
            heads[1:],
            pairs.label[places].to(a.device),
            weight=None if pairs.weight is None else pairs.weight[places].to(a.device),
            correlation=correlation,
            orthogonality=orthogonality,
        )

    return fit(scorer, batch_loss, prompt_numbers(preferences.a), pairs.usable, settings or FitSettings())


def weight_average(scorers: Sequence[TokenScorer]) -> TokenScorer:
    """A scorer whose weights are the mean of those of several: w = (1/K) Σ_k w_k.

    The scorers must have grown from the same trunk: between means of unrelated weights there is no low loss.

    Args:
        scorers: K of the same architecture; they stay as they are.

    Raises:
        TrainingError: no scorers, or weights of other names or shapes.

    Reference: Ramé et al. 2024 (WARM), arXiv 2401.12187, §3.
    """
    if not scorers:
        raise TrainingError("a weight average of no scorers: give at least one")
    states = [scorer.state_dict() for scorer in scorers]
    shapes = [{name: tuple(weight.shape) for name, weight in state.items()} for state in states]
    for number, found in enumerate(shapes):
        differing = sorted(name for name in {*found, *shapes[0]} if found.get(name) != shapes[0].get(name))
        if differing:
            name = differing[0]
            raise TrainingError(
                f"scorer {number} has another architecture than scorer 0: {len(differing)} weights differ in name or "
                f"shape, such as {name}: {found.get(name)} and {shapes[0].get(name)}. Weights of one architecture, "
                "trained from one trunk, can be averaged; average the scores of others (Ensemble)"
            )
    mean = {
        name: torch.stack([state[name].double() for state in states]).mean(dim=0).to(weight.dtype)
        if weight.is_floating_point()
        else weight
        for name, weight in states[0].items()
    }
    averaged = copy.deepcopy(scorers[0])
    averaged.load_state_dict(mean)
    return averaged


class _Pairs:
    """Pairs tokenized once: rows 0…n−1 are a, rows n…2n−1 are b."""

    def __init__(self, a: Packed, b: Packed, preferences: Preferences) -> None:
        width = max(a.token_ids.shape[1], b.token_ids.shape[1])
        ids = [np.pad(side.token_ids, ((0, 0), (0, width - side.token_ids.shape[1]))) for side in (a, b)]
        self.rows = Packed(
            np.concatenate(ids),
            np.concatenate([a.lengths, b.lengths]),
            [*a.status, *b.status],
            [*a.details, *b.details],
        )
        self.usable: Bool[np.ndarray, " n"] = a.ok & b.ok
        self.label = _single(preferences.label)
        self.weight = None if preferences.weight is None else _single(preferences.weight)
        self.margin = None if preferences.margin is None else _single(preferences.margin)

    @classmethod
    def of(cls, scorer: TokenScorer, tokenizer: Any, preferences: Preferences, layout: Layout | None) -> _Pairs:
        a, b = (packed(side, tokenizer, layout, most_tokens(scorer)) for side in (preferences.a, preferences.b))
        return cls(a, b, preferences)

    def outputs(self, scorer: TokenScorer, places: np.ndarray) -> tuple[Tensor, Tensor]:
        """Outputs [B, K] of both sides, from one pass."""
        a, b = _at_end(scorer, self.rows, np.concatenate([places, places + len(self.usable)])).chunk(2)
        return a, b

    def loss(
        self,
        scorer: TokenScorer,
        places: np.ndarray,
        smoothing: float,
        centring: float,
        centre: Centring,
        anchor: float = 0.0,
    ) -> Loss:
        a, b = (side[:, 0] for side in self.outputs(scorer, places))
        label = self.label[places].to(a.device)
        weight = None if self.weight is None else self.weight[places].to(a.device)
        loss, metrics = bradley_terry(
            a,
            b,
            label,
            weight=weight,
            margin=0.0 if self.margin is None else self.margin[places].to(a.device),
            smoothing=smoothing,
            centring=centring,
            centre=centre,
        )
        if anchor:
            sides = None if weight is None else torch.cat([weight, weight])
            entropy, _ = binary_cross_entropy(torch.cat([a, b]), torch.cat([label, 1 - label]), sides)
            loss, metrics = loss + anchor * entropy, {**metrics, "anchor": entropy.detach()}
        return loss, metrics


def _single(numbers: Any) -> Tensor:
    return torch.as_tensor(np.asarray(numbers, dtype=np.float32))


def _read(scorer: TokenScorer, rows: Packed, places: np.ndarray, how: Callable[..., Tensor]) -> Tensor:
    device = next(scorer.parameters()).device
    return how(*(torch.from_numpy(array).to(device) for array in rows.rows(places)))


def _at_end(scorer: TokenScorer, rows: Packed, places: np.ndarray) -> Tensor:
    """Outputs [B, K] at the last token."""
    return _read(scorer, rows, places, scorer.at_end)


def _at_steps(scorer: TokenScorer, rows: Packed, ends: np.ndarray, places: np.ndarray) -> Tensor:
    """The first output [B, S] at the last token of each step; that of the first token where there is none."""
    scores = _read(scorer, rows, places, scorer)[..., 0]
    return scores.gather(1, torch.from_numpy(np.maximum(ends[places], 0)).to(scores.device))


def _lengths(rollouts: Rollouts) -> np.ndarray:
    """Decisions of each completion where there is a mask, else words: what the length head has to explain."""
    if rollouts.mask is not None:
        counts: np.ndarray = np.asarray(rollouts.mask).sum(axis=1)
        return counts
    return np.array([len(str(completion).split()) for completion in text_content(rollouts).completions])
