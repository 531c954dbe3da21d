"""The distance document: how far apart some rewards are, as plain JSON.

The terminal and the file of `--json` are made from it. `SCHEMA_VERSION` is raised when a field changes its meaning or
disappears; new fields may appear within a version. A number that is not defined is null.
"""

from __future__ import annotations

from typing import TypedDict

SCHEMA = "trueward-distance"
SCHEMA_VERSION = 1


class ComparedReward(TypedDict):
    """One of the R rewards."""

    name: str  # the file, as it was typed
    trivial: bool  # True where all policies earn the same


class World(TypedDict):
    """The MDP in which they are compared."""

    name: str
    states: int
    actions: int
    discount: float
    sparse: bool


class DistanceDocument(TypedDict):
    """Distances and regrets of R rewards."""

    schema: str
    schema_version: int
    trueward_version: str
    command: str
    mdp: World
    rewards: list[ComparedReward]
    canonical: str  # of the STARC distance, and its norm, metric and policy
    norm: str
    metric: str
    policy: str
    distances: dict[str, list[list[float]]]  # "starc", "epic", "dard" to R × R
    regret: list[list[float | None]]  # share lost under the row's reward by optimising the column's
    worst_case: list[list[float | None]] | None  # the same at worst; null where it was not asked for
