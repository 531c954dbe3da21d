"""Distances in words: each stretch of the scale, and no words where there are none."""

from __future__ import annotations

import math

import pytest

from trueward.report.distance_document import DistanceDocument
from trueward.report.distance_terminal import distance_lines, in_words


def document(**changes: object) -> DistanceDocument:
    made: DistanceDocument = {
        "schema": "trueward-distance",
        "schema_version": 1,
        "trueward_version": "0",
        "command": "",
        "mdp": {"name": "world.npz", "states": 1234, "actions": 4, "discount": 0.95, "sparse": False},
        "rewards": [{"name": "a.npy", "trivial": False}, {"name": "b.npy", "trivial": False}],
        "canonical": "value",
        "norm": "2",
        "metric": "2",
        "policy": "uniform",
        "distances": {"starc": [[0.0, 0.25], [0.25, 0.0]]},
        "regret": [[0.0, 0.031], [0.004, 0.0]],
        "worst_case": None,
    }
    made.update(changes)  # type: ignore[typeddict-item]
    return made


@pytest.mark.parametrize(
    ("distance", "words"),
    [
        (0.0, "no difference"),
        (0.2, "close"),
        (1.0, "related"),
        (math.sqrt(2), "little to do with each other"),
        (1.8, "opposed"),
        (2.0, "exactly opposite"),
    ],
)
def test_words_are_those_of_the_angle(distance: float, words: str) -> None:
    assert in_words("starc", distance, document()) == words
    assert in_words("epic", distance / 2, document()) == words


def test_other_norms_have_no_words() -> None:
    assert in_words("starc", 1.0, document(norm="1")) == ""
    assert in_words("starc", 1.0, document(canonical="epic")) == ""
    assert in_words("starc", 0.0, document(norm="1")) == "no difference"


def test_two_rewards_line_by_line() -> None:
    lines = distance_lines(document())
    assert lines[:5] == [
        "a.npy and b.npy in world.npz (1,234 states, 4 actions, discount 0.95)",
        "",
        "starc  0.2500  close",
        "",
        "lost under a.npy by optimising b.npy: 3.1 %",
    ]
    assert lines[5] == "lost under b.npy by optimising a.npy: 0.4 %"


def test_a_trivial_reward_is_named_and_has_no_words() -> None:
    rewards = [{"name": "a.npy", "trivial": False}, {"name": "b.npy", "trivial": True}]
    lines = distance_lines(document(rewards=rewards, regret=[[0.0, 1.0], [None, None]]))
    assert lines[2] == "starc  0.2500"
    assert "lost under b.npy by optimising a.npy: -" in lines
    assert lines[-1].startswith("b.npy: all policies earn the same")
