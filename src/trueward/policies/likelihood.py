"""Teacher-forced likelihood: how probable a policy finds tokens that are there already."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor

from trueward.policies.inputs import model_inputs
from trueward.policies.output_layer import output_layer_inputs


@dataclass(frozen=True)
class Likelihood:
    """What a policy thinks of decisions that were made.

    Attributes:
        logprobs: log p(y_t | y_<t) under softmax(z / τ); single precision.
        entropy: −Σ_v p_v log p_v at each decision; None unless wanted.
        hidden: what the output layer read where each decision was made; None unless wanted.
    """

    logprobs: Float[Tensor, "n t"]
    entropy: Float[Tensor, "n t"] | None = None
    hidden: Float[Tensor, "n t d"] | None = None


def likelihood(
    model: Any,
    token_ids: Int[Tensor, "n l"],
    attention: Bool[Tensor, "n l"],
    decisions: int,
    *,
    temperature: float = 1.0,
    want: Sequence[str] = (),
) -> Likelihood:
    """One forward pass over rows of prompt and completion, with gradient.

    Logits exist for the columns of the decisions only.

    Args:
        model: causal language model.
        token_ids: prompts padded on the left, completions on the right.
        attention: True on tokens.
        decisions: T; the last T columns are what is asked for.
        temperature: τ.
        want: "entropy", "hidden", or both.

    Raises:
        ValueError: no column stands before the decisions, or something unknown is wanted.
    """
    check_wanted(want)
    if not 0 < decisions < token_ids.shape[1]:
        raise ValueError(
            f"{decisions} decisions in {token_ids.shape[1]} columns: there must be at least one decision, and a column "
            "of the prompt before the first"
        )
    # The last token predicts nothing that is asked for.
    inputs = model_inputs(model, token_ids[:, :-1], attention[:, :-1], logits=decisions)
    with output_layer_inputs(model) if "hidden" in want else nullcontext() as read:
        logits = model(**inputs).logits[:, -decisions:].float()
    if temperature != 1.0:
        logits = logits / temperature
    total = logits.logsumexp(dim=-1)
    chosen = logits.gather(-1, token_ids[:, -decisions:].unsqueeze(-1)).squeeze(-1)
    entropy = None
    if "entropy" in want:
        entropy = total - (logits.softmax(dim=-1) * logits).sum(dim=-1)
    hidden = read[-1][:, -decisions:] if read else None
    return Likelihood(chosen - total, entropy, hidden)


def check_wanted(want: Sequence[str]) -> None:
    """Raises `ValueError` when something is wanted that no policy gives."""
    unknown = sorted(set(want) - {"entropy", "hidden"})
    if unknown:
        raise ValueError(f"want={tuple(want)!r}: {unknown} is unknown; a policy gives 'entropy' and 'hidden'")
