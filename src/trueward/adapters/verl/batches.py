"""A batch of verl's queue as rollouts, and what goes back into the queue.

Rows of verl have the key `{prompt}_{session}_{output}`. A session may have several outputs, of which the last one earns
the reward of all; rows marked as padding only fill the batch. Tensors come nested, or as plain matrices where all rows
are equally long.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from tensordict import TensorDict
from torch import Tensor

from trueward.adapters.verl.estimators import from_token_rewards
from trueward.adapters.verl.recorded import FIELD
from trueward.adapters.verl.rows import columns_of, prompt_of
from trueward.adapters.verl.shown import Shown
from trueward.adapters.verl.worker import PROMPTS, RESPONSES, ROWS, VOCABULARY, rows_of
from trueward.batch import Rollouts, Scores, Text
from trueward.policies.inputs import pad_left, pad_right
from trueward.policies.prediction_errors import group_vocabulary

_LOGITS_AT_ONCE = 2**26  # numbers of one forward pass, a quarter of a gigabyte in single precision

FIELDS = (
    "uid",
    "prompts",
    "responses",
    "response_mask",
    "rm_scores",
    "rollout_log_probs",
    "old_log_probs",
    "ref_log_prob",
    "values",
    "entropy",
    "raw_prompt",
    "reward_model",
    "data_source",
    "extra_info",
    "extra_fields",
    FIELD,
)
_TENSORS = {"old_log_probs": "logprobs", "rollout_log_probs": "logprobs", "ref_log_prob": "ref_logprobs"}
_COLUMNS = ("raw_prompt", "reward_model", "data_source", "extra_info")


@dataclass(frozen=True)
class Seen:
    """A batch as rollouts.

    Attributes:
        rollouts: the N rows that earn a reward.
        recorded: what the reward manager sent along with each of them; None where nothing came.
        place, last: as in `Shown`.
        lengths: tokens of every response of the batch.
    """

    rollouts: Rollouts
    recorded: Sequence[str | None]
    place: Int[np.ndarray, " n"]
    last: Int[np.ndarray, " b"]
    lengths: Int[np.ndarray, " b"]


def seen_in(
    data: TensorDict, keys: Sequence[str], tags: Sequence[Mapping[str, Any]], tokenizer: Any, longest: int
) -> Seen:
    """The rollouts of a batch.

    Args:
        data: of all rows, with those of `FIELDS` that there are.
        keys, tags: of all rows, from verl.
        tokenizer: of the policy.
        longest: most tokens that a response may have; one of so many that does not end by itself was cut off.
    """
    last = last_outputs(keys, [bool(tag.get("is_padding", False)) for tag in tags])
    place = np.flatnonzero(last == np.arange(len(keys)))
    prompts, responses, masks = (rows_of(data[name]) for name in ("prompts", "responses", "response_mask"))
    prompt_rows = [prompts[row].tolist() for row in place]
    response_rows = [responses[row].tolist() for row in place]
    padding = tokenizer.pad_token_id or 0
    (before, asked), (after, written) = pad_left(prompt_rows, padding), pad_right(response_rows, padding)
    own = _matrix([masks[row] for row in place], written.shape[1]).astype(bool)
    table = {name: list(data[name]) for name in _COLUMNS if name in data}
    fields = [{name: values[row] for name, values in table.items()} for row in place]
    decoded = tokenizer.batch_decode(prompt_rows, skip_special_tokens=True)
    _, group = np.unique([str(uid) for uid in np.array(list(data["uid"]), dtype=object)[place]], return_inverse=True)
    content = Text(
        [prompt_of(row, text) for row, text in zip(fields, decoded, strict=True)],
        tokenizer.batch_decode(response_rows, skip_special_tokens=True),
        torch.cat([before, after], dim=1).numpy(),
        torch.cat([asked, written], dim=1).numpy(),
    )
    rollouts = Rollouts(
        content,
        group=group.ravel(),
        mask=own,
        reference=[columns_of(row) for row in fields],
        features=_features(data, place, response_rows, tokenizer.eos_token_id, longest, written.shape[1]),
        **_logprobs(data, place, written.shape[1]),
    )
    lengths = np.array([len(response) for response in responses])
    return Seen(rollouts, [_recorded(data, row) for row in place.tolist()], place, last, lengths)


def last_outputs(keys: Sequence[str], padding: Sequence[bool]) -> Int[np.ndarray, " b"]:
    """For each row the row of the last output of its session; −1 for padding."""
    best: dict[str, tuple[int, int]] = {}
    sessions = []
    for row, key in enumerate(keys):
        session, _, number = key.rpartition("_")
        sessions.append(session)
        output = int(number) if number.isdigit() else 0
        if session not in best or output > best[session][0]:
            best[session] = (output, row)
    return np.array([-1 if fills else best[session][1] for session, fills in zip(sessions, padding, strict=True)])


def with_segments(rollouts: Rollouts, segment: Callable[[Rollouts], Any] | None) -> Rollouts:
    """The rollouts, cut into steps where there is a function for it."""
    return rollouts if segment is None else dataclasses.replace(rollouts, segments=segment(rollouts))


def with_features(rollouts: Rollouts, features: Mapping[str, np.ndarray]) -> Rollouts:
    """The rollouts with more features."""
    return dataclasses.replace(rollouts, features={**rollouts.features, **features})


def from_rm_scores(data: TensorDict, seen: Seen) -> Scores:
    """One part, where another reward manager scored."""
    scores = rows_of(data["rm_scores"])
    width = np.asarray(seen.rollouts.mask).shape[1]
    return from_token_rewards(_matrix([scores[row] for row in seen.place], width))


def final_rewards(
    keys: Sequence[str], seen: Seen, scores: Scores, unscored: float | None
) -> tuple[list[str], TensorDict]:
    """The totals as verl stores them: at the last token of each row, on all outputs of a session.

    Args:
        keys: of all rows.
        seen: the batch.
        scores: of the rows that earn a reward.
        unscored: what stands for a row without a reward; NaN by default.

    Returns:
        Keys and fields of the rows that are not padding.
    """
    total = np.full(len(keys), np.nan)
    total[seen.place] = scores.total()
    if unscored is not None:
        total = np.where(np.isnan(total), unscored, total)
    rows = np.flatnonzero(seen.last >= 0).tolist()
    placed = []
    for row in rows:
        rewards = torch.zeros(int(seen.lengths[row]))
        rewards[-1] = float(total[seen.last[row]])
        placed.append(rewards)
    return [keys[row] for row in rows], TensorDict({"rm_scores": _nested(placed)}, batch_size=[len(rows)])


def question(data: TensorDict, seen: Seen, vocabulary_size: int) -> tuple[TensorDict, dict[str, Any]]:
    """What the actor's workers must know to tell states and errors of the rows that they get.

    Groups may be spread over workers, so each row brings the tokens of its group along; and all workers make passes of
    one shape.

    Args:
        data: of all rows.
        seen: the batch.
        vocabulary_size: tokens that the model knows, for the number of rows of a pass.

    Returns:
        A field for each row, and what is the same for all.
    """
    rollouts = seen.rollouts
    assert isinstance(rollouts.content, Text) and rollouts.content.token_ids is not None
    mask = torch.from_numpy(np.asarray(rollouts.mask))
    chosen = torch.from_numpy(np.asarray(rollouts.content.token_ids))[:, -mask.shape[1] :]
    wanted = group_vocabulary(chosen, mask, torch.from_numpy(np.asarray(rollouts.group)))
    of_row = torch.full((len(seen.last), wanted.shape[1]), -1, dtype=wanted.dtype)
    of_row[torch.from_numpy(seen.place)] = wanted
    widths = [max(len(row) for row in rows_of(data[name])) for name in ("prompts", "responses")]
    at_once = max(1, _LOGITS_AT_ONCE // (widths[1] * vocabulary_size))
    extra = {PROMPTS: widths[0], RESPONSES: widths[1], ROWS: at_once}
    return TensorDict({VOCABULARY: of_row}, batch_size=[len(of_row)]), extra


def padded(values: Tensor, seen: Seen) -> Float[np.ndarray, "n t k"]:
    """Numbers per token of the rows that earn a reward, 0 beyond each response."""
    rows = rows_of(values)
    width = np.asarray(seen.rollouts.mask).shape[1]
    placed = np.zeros((len(seen.place), width, rows[0].shape[-1]), dtype=np.float32)
    for number, row in enumerate(seen.place):
        placed[number, : len(rows[row])] = rows[row].float().numpy()
    return placed


def told(scores: Scores) -> dict[str, float]:
    """Parts and statuses of a batch, as numbers for verl's log."""
    metrics = {}
    for name, part in scores.parts.items():
        values = part.filled() if part.level == "rollout" else part.filled().sum(axis=1)
        known = values[~np.isnan(values)]
        if known.size:
            metrics[f"reward/{name}/mean"], metrics[f"reward/{name}/std"] = float(known.mean()), float(known.std())
    for status in scores.status:
        if not status.ok:
            name = f"reward/status/{status.value.replace(' ', '_')}"
            metrics[name] = metrics.get(name, 0.0) + 1.0 / len(scores)
    metrics["reward/unscored"] = float(np.isnan(scores.total()).mean())
    return metrics


def by_key(keys: Sequence[str], shown: Shown, scores: Scores) -> dict[str, dict[str, Any]]:
    """Parts and status of each row under its key; sessions of several outputs under all of theirs."""
    filled = {name: part.filled() for name, part in scores.parts.items()}
    sums = {name: values if values.ndim == 1 else values.sum(axis=1) for name, values in filled.items()}
    status = scores.status
    number = {row: place for place, row in enumerate(shown.place.tolist())}
    found = {}
    for key, last in zip(keys, shown.last.tolist(), strict=True):
        if last >= 0:
            values = {f"reward/{name}": float(column[number[last]]) for name, column in sums.items()}
            told = {name: None if np.isnan(value) else value for name, value in values.items()}
            found[key] = {**told, "status": status[number[last]].value}
    return found


def of_scored_rows(data: TensorDict, tags: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """verl's statistics of scores and rewards, over the rows that have one."""
    counted = [row for row, tag in enumerate(tags) if not tag.get("is_padding", False)]
    metrics = {}
    for name, field in (("score", "rm_scores"), ("rewards", "token_level_rewards")):
        rows = rows_of(data[field if field in data else "rm_scores"])
        sums = np.array([float(rows[row].sum()) for row in counted])
        known = sums[~np.isnan(sums)]
        if known.size:
            for statistic in ("mean", "max", "min"):
                metrics[f"critic/{name}/{statistic}"] = float(getattr(known, statistic)())
    return metrics


def _recorded(data: TensorDict, row: int) -> str | None:
    """What the reward manager sent along: among verl's extra fields, or as a field where whole batches are scored."""
    if FIELD in data:
        return str(list(data[FIELD])[row])
    fields = list(data["extra_fields"])[row] if "extra_fields" in data else None
    info = fields.get("reward_extra_info") if isinstance(fields, Mapping) else None
    text = info.get(FIELD) if isinstance(info, Mapping) else None
    return None if text is None else str(text)


def _features(
    data: TensorDict, place: np.ndarray, responses: Sequence[Sequence[int]], end: Any, longest: int, width: int
) -> dict[str, np.ndarray]:
    ends = set(end) if isinstance(end, list | tuple) else {end}
    finished = [len(response) < longest or response[-1] in ends for response in responses]
    features: dict[str, np.ndarray] = {"finished": np.array(finished, dtype=bool)}
    for field, name in (("values", "value"), ("entropy", "entropy")):
        if field in data:
            rows = rows_of(data[field])
            features[name] = _matrix([rows[row] for row in place], width)
    return features


def _logprobs(data: TensorDict, place: np.ndarray, width: int) -> dict[str, Any]:
    found = {}
    for field, name in _TENSORS.items():
        if field in data and name not in found:
            rows = rows_of(data[field])
            found[name] = _matrix([rows[row] for row in place], width)
    return found


def _matrix(rows: Sequence[Tensor], width: int) -> Float[np.ndarray, "n t"]:
    placed = np.zeros((len(rows), width), dtype=np.float64)
    for number, row in enumerate(rows):
        placed[number, : len(row)] = row.double().cpu().numpy()
    return placed


def _nested(rows: Sequence[Tensor]) -> Tensor:
    return torch.nested.as_nested_tensor(list(rows), layout=torch.jagged)
