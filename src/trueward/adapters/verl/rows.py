"""What a reward gets to see of a row of verl: prompt, completion, and columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trueward.tasks.text.values import json_value

# What verl keeps beside the user's own columns.
_VERLS_OWN = frozenset(
    {
        "agent_name",
        "extra_fields",
        "global_steps",
        "input_ids",
        "interaction_kwargs",
        "metrics",
        "mm_processor_kwargs",
        "multi_modal_data",
        "multi_modal_inputs",
        "num_turns",
        "__num_turns__",
        "prompt_len",
        "raw_prompt",
        "raw_prompt_ids",
        "response_len",
        "reward_scores",
        "session_id",
        "tool_extra_fields",
        "tools_kwargs",
        "uid",
        "validate",
    }
)


def columns_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a row, as JSON values.

    `ground_truth` is taken out of `reward_model`, where verl keeps it, and `extra_info` learns what verl's own manager
    adds to it: the number of turns, the fields of tools, and rewards that the rollout gave itself.

    Args:
        fields: of one row, without tensors.

    Raises:
        DataError: a column holds what is no JSON value.
    """
    columns = {
        name: json_value(value, "verl's batch", name) for name, value in fields.items() if name not in _VERLS_OWN
    }
    reward_model = columns.get("reward_model")
    if isinstance(reward_model, Mapping) and "ground_truth" in reward_model:
        columns.setdefault("ground_truth", reward_model["ground_truth"])
    extra = dict(columns.get("extra_info") or {})
    tools = fields.get("tool_extra_fields")
    if isinstance(tools, Mapping):
        extra |= {name: _if_json(value, name) for name, value in tools.items() if name != "reward_extra_info"}
    if "__num_turns__" in fields:
        extra["num_turns"] = json_value(fields["__num_turns__"], "verl's batch", "__num_turns__")
    extra["rollout_reward_scores"] = _if_json(fields.get("reward_scores", {}), "reward_scores")
    return {**columns, "extra_info": extra}


def _if_json(value: Any, name: str) -> Any:
    """What tools leave behind may be anything, and no reward was promised all of it."""
    from trueward.errors import DataError

    try:
        return json_value(value, "verl's batch", name)
    except DataError:
        return None


def prompt_of(fields: Mapping[str, Any], decoded: str) -> Any:
    """The prompt as messages, where verl has them, else as text."""
    messages = fields.get("raw_prompt")
    if messages is None:
        return decoded
    return json_value(list(messages), "verl's batch", "raw_prompt")
