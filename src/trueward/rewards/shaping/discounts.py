"""Whether shaping and training discount alike."""

from __future__ import annotations

from collections.abc import Iterator

from trueward.errors import RewardError
from trueward.rewards.control.base import ControlReward
from trueward.rewards.shaping.potential import PotentialShaping

_SAME = 1e-12


def every_piece(reward: ControlReward) -> Iterator[ControlReward]:
    """A reward and all that it is made of, at any depth."""
    yield reward
    for piece in reward.pieces():
        yield from every_piece(piece)


def is_shaped(reward: ControlReward) -> bool:
    """True where a potential is part of a reward."""
    return any(isinstance(piece, PotentialShaping) for piece in every_piece(reward))


def check_discount(reward: ControlReward, discount: float) -> None:
    """Refuse shaping that discounts otherwise than whoever is trained.

    With another γ the sum along an episode no longer telescopes: what is left over, (γ' − γ) Σ_t γ^t Φ(s_{t+1}) for the
    γ' of the shaping and the γ of the trainer, pays for being where the potential is high.

    Raises:
        RewardError: a potential of the reward has another γ.
    """
    for piece in every_piece(reward):
        if isinstance(piece, PotentialShaping) and abs(piece.discount - discount) > _SAME:
            raise RewardError(
                f"the shaping discounts with {piece.discount:g} and the trainer with {discount:g}, so what it adds "
                "depends on the policy and may change which one is optimal: "
                f"use PotentialShaping(potential, discount={discount:g})"
            )
