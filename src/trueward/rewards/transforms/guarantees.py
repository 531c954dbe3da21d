"""What a transform promises about the rewards that it gives back."""

from __future__ import annotations

from enum import Enum


class Guarantee(str, Enum):
    """A promise that a transform keeps for every part that it changes; each is tested for each that declares it.

    Members:
        POLICY_INVARIANT: inside a group it is r' = a · r + b with a > 0 for all members, so that group-normalised
            advantages are what they were: under GRPO such a transform does nothing.
        ORDER_PRESERVING: inside a group r_i ≤ r_j implies r'_i ≤ r'_j.
        BOUNDED: every r' lies in the declared range, whatever r is.
    """

    POLICY_INVARIANT = "policy-invariant"
    ORDER_PRESERVING = "order-preserving"
    BOUNDED = "bounded"
