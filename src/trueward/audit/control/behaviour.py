"""What a policy does, in words: it stands still, ends the episode early, goes round, stays, sits at the reward's limit.

A finding says that a worse policy is paid as much; its behaviour says why. All of it is read from episodes:
observations that come back, lengths, ends, and how often the reward is at its highest value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trueward.audit.control.comparing import Measured
from trueward.audit.control.episodes import Episodes

ENDING_EARLY = "ending early"
SATURATED = "saturated"
STANDING_STILL = "standing still"
GOING_ROUND = "going round"
LOITERING = "loitering"
OTHER = "less gold"

# Behaviour → what it means, in the order in which it is asked for.
BEHAVIOURS = {
    ENDING_EARLY: "the episode is over long before that of the competent policy",
    SATURATED: "the reward is at its highest value in most steps, where gold still differs",
    STANDING_STILL: "nothing changes from the first step on",
    GOING_ROUND: "it comes back to where it was, again and again",
    LOITERING: "it does not finish where the competent policy does, or takes twice as long",
    OTHER: "it gets less of what is wanted in any other way",
}

_LONGEST_LAP = 24
_EARLY = 0.75
_LATE = 2.0
_MOSTLY = 0.8
_CEILING = 1e-6


@dataclass(frozen=True)
class Lap:
    """A round that an episode repeats until it ends.

    Attributes:
        steps: of a round; 1 where it stays where it is.
        begins: first step of the first round.
        reward, gold: of one round.
    """

    steps: int
    begins: int
    reward: float
    gold: float


def lap_of(episodes: Episodes, start: int) -> Lap | None:
    """The shortest round that the second half of an episode repeats, at least three times; None where it does not."""
    length = int(episodes.lengths[start])
    keys = episodes.keys[: length + 1, start]
    half = length // 2
    for steps in range(1, min(_LONGEST_LAP, (length - half) // 3) + 1):
        if (keys[half + steps :] == keys[half:-steps]).all():
            same = keys[steps:] == keys[:-steps]
            begins = int(np.flatnonzero(~same)[-1]) + 1 if not same.all() else 0
            last = slice(length - steps, length)
            gold = 0.0 if episodes.gold is None else float(episodes.gold[last, start].sum())
            return Lap(steps, begins, float(episodes.reward[last, start].sum()), gold)
    return None


@dataclass(frozen=True)
class Ceiling:
    """The highest value that the reward of a step had.

    Attributes:
        value: of one step.
        gold_low, gold_high: gold of steps at that value.
    """

    value: float
    gold_low: float
    gold_high: float


def ceiling_of(played: Sequence[Episodes]) -> Ceiling | None:
    """The highest reward of any step, where it was reached with different gold; None where it was not."""
    rewards = np.concatenate([e.reward[e.exists] for e in played])
    gold = np.concatenate([(e.reward if e.gold is None else e.gold)[e.exists] for e in played])
    known = np.isfinite(rewards) & np.isfinite(gold)
    rewards, gold = rewards[known], gold[known]
    if not len(rewards) or rewards.max() - rewards.min() <= 0:
        return None
    at = gold[rewards >= rewards.max() - _CEILING * (rewards.max() - rewards.min())]
    if len(at) < 2 or at.max() - at.min() <= 0.05 * (gold.max() - gold.min()):
        return None
    return Ceiling(float(rewards.max()), float(at.min()), float(at.max()))


def behaviour_of(tried: Measured, competent: Measured, ceiling: Ceiling | None) -> str:
    """The first of `BEHAVIOURS` that fits.

    Args:
        tried: a policy with less gold than the competent one.
        competent: the competent one.
        ceiling: of the reward.
    """
    episodes, best = tried.episodes, competent.episodes
    ends = episodes.terminated.mean() >= 0.5
    finishes = best.terminated.mean() >= 0.5
    if ends and np.median(episodes.lengths) <= (_EARLY if finishes else 1.0) * np.median(best.lengths):
        return ENDING_EARLY
    if ceiling is not None and _share_at(episodes, ceiling) >= _MOSTLY:
        return SATURATED
    laps = [lap_of(episodes, start) for start in range(len(episodes.lengths))]
    round_lengths = np.array([0 if lap is None else lap.steps for lap in laps])
    if np.mean([lap is not None and lap.steps == 1 and lap.begins == 0 for lap in laps]) >= 0.5:
        return STANDING_STILL
    if (round_lengths >= 2).mean() >= 0.5:
        return GOING_ROUND
    if finishes and (not ends or np.median(episodes.lengths) >= _LATE * np.median(best.lengths)):
        return LOITERING
    return OTHER


def _share_at(episodes: Episodes, ceiling: Ceiling) -> float:
    """Share of the steps in the second halves of episodes at which the reward is at its ceiling."""
    late = episodes.exists & (np.arange(len(episodes.reward))[:, None] >= episodes.lengths // 2)
    near = _CEILING * max(1.0, abs(ceiling.value))
    return float((episodes.reward[late] >= ceiling.value - near).mean())


def part_to_blame(tried: Measured, competent: Measured, discount: float) -> str | None:
    """The part of the reward without which the competent policy earns more on average; None without such a part.

    Of several, the one that favours the worse policy most.
    """
    parts = tried.episodes.parts
    if len(parts) < 2:
        return None
    favours = {}
    for name, values in parts.items():
        other = competent.episodes.parts.get(name, np.zeros_like(competent.episodes.reward))
        mine = tried.episodes.discounted(values, discount)
        favours[name] = float(np.nanmean(mine) - np.nanmean(competent.episodes.discounted(other, discount)))
    whole = sum(favours.values())
    guilty = [name for name, favour in favours.items() if whole - favour < 0 < favour]
    return max(guilty, key=lambda name: favours[name], default=None)
