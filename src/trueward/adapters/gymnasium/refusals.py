"""What no reward wrapper can wrap."""

from __future__ import annotations

from typing import Any

from trueward.errors import RewardError


def refuse_unreadable(observation_space: Any, action_space: Any) -> None:
    """Refuse spaces whose members are no arrays.

    Raises:
        RewardError: observations or actions are mappings, tuples, graphs or text.
    """
    for what, space in (("observations", observation_space), ("actions", action_space)):
        if getattr(space, "shape", None) is None:
            raise RewardError(
                f"rewards of control read arrays, and the {what} of this environment are of {type(space).__name__}: "
                "put a wrapper that makes arrays of them below, for example gymnasium.wrappers.FlattenObservation"
            )


def refuse_wrapped(wrapped: bool) -> None:
    """Refuse a second reward wrapper: what it would call raw is what the first one has shaped.

    Raises:
        RewardError: there is one already.
    """
    if wrapped:
        raise RewardError(
            "the environment has a reward wrapper of Trueward already, so what comes out of it is no raw reward: "
            "combine the rewards, first + second, and wrap once"
        )
