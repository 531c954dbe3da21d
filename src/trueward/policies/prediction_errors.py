"""What a policy expected and what came: prediction errors, with the states in which it expected it."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trueward.policies.inputs import model_inputs
from trueward.policies.output_layer import output_layer_inputs

_LOGITS_AT_ONCE = 2**26  # numbers, a quarter of a gigabyte in single precision


@torch.no_grad()
def hidden_and_errors(
    model: Any,
    token_ids: Int[Tensor, "n l"],
    attention: Bool[Tensor, "n l"],
    mask: Bool[Tensor, "n t"],
    group: Int[Tensor, " n"],
    *,
    temperature: float = 1.0,
    vocabulary: Int[Tensor, "n k"] | None = None,
    rows_at_once: int | None = None,
) -> tuple[Float[Tensor, "n t d"], Float[Tensor, "n t k"]]:
    """Final states and prediction errors of the decisions of whole groups.

    h_t is what the output layer reads where decision t is made, and

        g_t = onehot(y_t) − π(· | x, y_<t)

    on V*, the tokens that the completions of the row's group hold: column j of the errors is the same token for all
    rows of a group, so that ⟨g_s, g_t⟩ and ⟨h_s, h_t⟩ within it need nothing else. Probabilities are those of
    softmax(z / τ) over all tokens; what V* leaves out is sliced away, not made up for.

    Args:
        model: causal language model; asked in evaluation mode.
        token_ids: prompts padded on the left, completions on the right; the last T columns are the decisions.
        attention: True on tokens.
        mask: True on decisions of the policy.
        group: rows with the same number belong together.
        temperature: τ at which the rows were sampled.
        vocabulary: V* of each row's group, −1 beyond, where groups are not whole here; by default it is gathered.
        rows_at_once: rows of a forward pass, where shards of the model elsewhere must make as many; by default as
            many as fit.

    Returns:
        Hidden states and errors in single precision, 0 outside the mask; K is the largest |V*|, and the columns that a
        group does not need are 0.

    Reference: Deng et al. 2025, "Token hidden reward", arXiv 2510.03669.
    """
    decisions = mask.shape[1]
    device = token_ids.device
    mask = mask.to(device).bool()
    chosen = token_ids[:, -decisions:]
    vocabulary = group_vocabulary(chosen, mask, group.to(device)) if vocabulary is None else vocabulary.to(device)
    was_training = model.training
    model.eval()
    hidden, errors = [], []
    try:
        size = rows_at_once or _rows_that_fit(model, decisions)
        for rows in torch.split(torch.arange(len(token_ids), device=device), size):
            inputs = model_inputs(model, token_ids[rows, :-1], attention[rows, :-1], logits=decisions)
            with output_layer_inputs(model) as read:
                logits = model(**inputs).logits[:, -decisions:].float() / temperature
            total = logits.logsumexp(dim=-1, keepdim=True)
            ids = vocabulary[rows].unsqueeze(1).expand(-1, decisions, -1)
            known = ids >= 0
            probabilities = torch.exp(logits.gather(-1, ids.clamp(min=0)) - total)
            error = (ids == chosen[rows].unsqueeze(-1)).float() - probabilities
            errors.append(error * (known & mask[rows].unsqueeze(-1)))
            hidden.append(read[-1][:, -decisions:].float() * mask[rows].unsqueeze(-1))
    finally:
        model.train(was_training)
    return torch.cat(hidden), torch.cat(errors)


def group_vocabulary(
    chosen: Int[Tensor, "n t"], mask: Bool[Tensor, "n t"], group: Int[Tensor, " n"]
) -> Int[Tensor, "n k"]:
    """V* of each row: the tokens that the completions of its group hold, in ascending order; −1 beyond them."""
    numbers, index = torch.unique(group, return_inverse=True)
    pairs = torch.unique(torch.stack([index.unsqueeze(1).expand_as(chosen)[mask], chosen[mask]]), dim=1)
    count = torch.bincount(pairs[0], minlength=len(numbers))
    place = torch.arange(pairs.shape[1], device=chosen.device) - (count.cumsum(0) - count)[pairs[0]]
    table = torch.full((len(numbers), max(1, int(count.max()))), -1, device=chosen.device)
    table[pairs[0], place] = pairs[1]
    return table[index]


def _rows_that_fit(model: Any, decisions: int) -> int:
    return max(1, _LOGITS_AT_ONCE // max(1, decisions * int(model.get_output_embeddings().weight.shape[0])))
