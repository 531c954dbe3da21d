"""Advantages for verl: one function that lets any of Trueward's estimators read what verl hands to its registry.

verl gives token rewards [B, T], the mask of the policy's tokens [B, T] and the prompt of each row, and wants advantages
and returns [B, T]. A row whose reward is not a number was not scored: it leaves the statistics of its group and its
advantages are exactly 0. Rows that verl adds to fill a batch take no part.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from trueward.adapters.verl.settings import names_of, refuse_unknown, section, with_settings
from trueward.adapters.verl.shown import Shown, shown_now
from trueward.batch import Context, Part, Rollouts, Scores, Text
from trueward.credit import Estimator, GroupRelative, SegmentReturns
from trueward.credit.spread import spread_written
from trueward.credit.token_estimators import TokenHiddenReward
from trueward.errors import TrainingError
from trueward.rewards.transforms.group_switch import grpo_lambda
from trueward.rewards.transforms.parts import Transform
from trueward.status import Status

if TYPE_CHECKING:
    import torch

REWARD = "reward"
_PADDING = re.compile(r"pad[0-9a-f]{32}")  # how verl names the prompts of rows that only fill a batch
_OUTSIDE = frozenset({"segments", "response_length"})

VerlEstimator = Callable[..., "tuple[torch.Tensor, torch.Tensor]"]


@dataclass(frozen=True)
class Registered:
    """An estimator under a name of verl's registry.

    Attributes:
        credit: with the settings that the name stands for.
        transform: makes a transform of the rewards before they are credited; None for none.
    """

    credit: Any
    transform: Callable[..., Transform] | None = None


ESTIMATORS: Mapping[str, Registered] = {
    "trueward_z_score": Registered(GroupRelative()),
    "trueward_leave_one_out": Registered(GroupRelative("leave_one_out")),
    "trueward_centre": Registered(GroupRelative("centre")),
    "trueward_segment_returns": Registered(SegmentReturns()),
    "trueward_grpo_lambda": Registered(GroupRelative(), grpo_lambda),
    "trueward_separately": Registered(GroupRelative(separately=True)),
    "trueward_thr": Registered(TokenHiddenReward()),
}


def register_estimators() -> None:
    """Put them into verl's registry."""
    from verl.trainer.ppo.core_algos import register_adv_est

    for name, registered in ESTIMATORS.items():
        register_adv_est(name)(_named(name, registered))


def estimator(credit: Estimator, reward_transform: Transform | None = None, name: str = "") -> VerlEstimator:
    """An estimator in the form of verl's registry, for one of your own: `register_adv_est("mine")(estimator(credit))`.

    Args:
        credit: scores and rollouts to advantages.
        reward_transform: applied to the scores first.
        name: for messages.
    """
    return _named(name or type(credit).__name__, Registered(credit, reward_transform and (lambda: reward_transform)))


def credit_of(name: str, config: Any) -> Estimator | None:
    """The estimator of Trueward that verl has under a name, with what `algorithm.trueward` sets; None for others.

    Raises:
        TrainingError: a setting is unknown.
    """
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY

    registered: Registered | None = getattr(ADV_ESTIMATOR_REGISTRY.get(name), "registered", None)
    return None if registered is None else chosen(name, registered, config)[0]


def chosen(name: str, registered: Registered, config: Any) -> tuple[Estimator, Transform | None, dict[str, Any]]:
    """An estimator with what `algorithm.trueward` sets, its transform, and how rewards are to be read.

    Raises:
        TrainingError: a setting is unknown.
    """
    settings = section(config)
    of_credit = names_of(type(registered.credit)) - {"over"}  # an estimator, which no configuration can spell
    of_transform = names_of(registered.transform) if registered.transform else frozenset()
    refuse_unknown(settings, of_credit | of_transform | _OUTSIDE, f"algorithm.trueward under {name}")
    credit = with_settings(registered.credit, {key: settings[key] for key in settings if key in of_credit})
    transform = None
    if registered.transform:
        transform = registered.transform(**{key: settings[key] for key in settings if key in of_transform})
    return credit, transform, {key: settings[key] for key in settings if key in _OUTSIDE}


def _named(name: str, registered: Registered) -> VerlEstimator:
    def compute(
        token_level_rewards: torch.Tensor,
        response_mask: torch.Tensor,
        index: Any = None,
        config: Any = None,
        **_others: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        credit, transform, reading = chosen(name, registered, config)
        rewards = token_level_rewards.detach().cpu().double().numpy()
        mask = response_mask.detach().cpu().numpy().astype(bool)
        shown = shown_now()
        if shown is None:
            _refuse_blind(name, credit)
            seen = _blind(rewards, mask, index, reading)
        else:
            seen = _seen(name, shown, rewards, mask, reading)
        scores = _scores(name, credit, transform is not None, seen, rewards, config)
        if transform is not None:
            scores = transform(scores, seen.rollouts, seen.context)
        credited = credit(scores, seen.rollouts, seen.context)
        seen.metrics.update(credited.metrics)
        advantages = _over_batch(credited.advantages, seen, mask)
        returns = advantages if credited.returns is None else _over_batch(credited.returns, seen, mask)
        given = token_level_rewards
        placed = torch.as_tensor(advantages, dtype=given.dtype, device=given.device)
        return placed, placed if returns is advantages else torch.as_tensor(returns, dtype=given.dtype).to(given.device)

    compute.__name__ = compute.__qualname__ = name
    compute.__doc__ = f"{name} of Trueward; see trueward.adapters.verl.estimators."
    compute.registered = registered  # type: ignore[attr-defined]
    return compute


def _seen(name: str, shown: Shown, rewards: np.ndarray, mask: np.ndarray, reading: Mapping[str, Any]) -> Shown:
    """What the trainer shows, under the mask that verl's corrections left, and in steps where the reward tells none."""
    useless = set(reading) - ({"segments"} if shown.scores is None else set())
    if useless:
        raise TrainingError(
            f"algorithm.trueward.{', '.join(sorted(useless))} would have no effect under {name}: Trueward's trainer "
            "knows which responses were cut off, and the steps that the reward was given"
        )
    own = mask[shown.place]
    rollouts = replace(shown.rollouts, mask=own)
    if shown.scores is None:
        segments = segments_in(rewards[shown.place], own, reading.get("segments", "rewards"))
        rollouts = replace(rollouts, segments=segments)
    return replace(shown, rollouts=rollouts, metrics=shown.metrics)


def _refuse_blind(name: str, credit: Estimator) -> None:
    lacking = sorted(credit.needs) + (["the parts of the reward"] if _reads_parts(credit) else [])
    if lacking:
        raise TrainingError(
            f"algorithm.adv_estimator={name} needs {', '.join(lacking)}, and verl's own trainers hand an estimator "
            "rewards, mask and prompt ids only: set trainer.v1.trainer_mode=trueward"
        )


def _blind(rewards: np.ndarray, mask: np.ndarray, index: Any, reading: Mapping[str, Any]) -> Shown:
    """What can be known from rewards, mask and prompts alone."""
    if index is None:
        raise TrainingError("verl gave no prompt ids (uid), so there are no groups to compare within")
    names = [str(name) for name in index]
    padding = np.array([_PADDING.fullmatch(name) is not None for name in names], dtype=bool)
    place = np.flatnonzero(~padding)
    _, group = np.unique(np.asarray(names)[place], return_inverse=True)
    features = {}
    if "response_length" in reading:
        features["finished"] = mask[place].sum(axis=1) < int(reading["response_length"])
    rollouts = Rollouts(
        Text([""] * len(place), [""] * len(place)),
        group=group.ravel(),
        mask=mask[place],
        segments=segments_in(rewards[place], mask[place], reading.get("segments", "rewards")),
        features=features,
    )
    return Shown(rollouts, None, Context(training=True), place, np.where(padding, -1, np.arange(len(names))))


def segments_in(rewards: Float[np.ndarray, "n t"], mask: Bool[np.ndarray, "n t"], by: str) -> Int[np.ndarray, "n t"]:
    """The segment of each token, where nothing but rewards and mask tells.

    Args:
        rewards: per token.
        mask: the policy's tokens.
        by: "rewards": a segment ends where a reward stands; one that earned exactly 0 cannot be seen and counts to the
            next. "turns": a segment is what the policy wrote without interruption, whatever it earned.

    Raises:
        TrainingError: another `by`.
    """
    if by == "rewards":
        ends = mask & (np.nan_to_num(rewards) != 0.0)
        number = np.cumsum(ends, axis=1) - ends
    elif by == "turns":
        starts = mask & ~np.pad(mask, ((0, 0), (1, 0)))[:, :-1]
        number = np.cumsum(starts, axis=1) - 1
    else:
        raise TrainingError(f"algorithm.trueward.segments={by!r} is unknown; choose rewards or turns")
    belongs: np.ndarray = np.where(mask, number, -1)
    return belongs


def _reads_parts(credit: Estimator) -> bool:
    return bool(getattr(credit, "separately", False))


def _scores(name: str, credit: Estimator, switched: bool, seen: Shown, rewards: np.ndarray, config: Any) -> Scores:
    by_segment = isinstance(credit, SegmentReturns)
    whole = isinstance(credit, GroupRelative) and not switched and not credit.separately
    kl = bool(config is not None and config.get("use_kl_in_reward", False))
    if kl and not whole:
        raise TrainingError(
            f"algorithm.use_kl_in_reward=true mixes a penalty into every token's reward, and {name} needs the reward "
            "itself: set it to false, and actor_rollout_ref.actor.use_kl_loss=true where a divergence is wanted"
        )
    if seen.scores is not None and not kl:
        return seen.scores
    if _reads_parts(credit):
        raise TrainingError(
            f"{name} compares the parts of a reward, and this reward tells none: set "
            "reward.reward_manager.name=trueward"
        )
    return from_token_rewards(rewards[seen.place], seen.rollouts.segments if by_segment else None)


def from_token_rewards(rewards: Float[np.ndarray, "n t"], segments: Int[np.ndarray, "n t"] | None = None) -> Scores:
    """One part, "reward": the sum of a row's token rewards, or of a segment's.

    Values are ok where all of the row are numbers; verl has no other sign for a row that was not scored. The range of
    values is declared only where all of them are 0 or 1.
    """
    scored = ~np.isnan(rewards).any(axis=1)
    status = [Status.OK if ok else Status.UNAVAILABLE for ok in scored.tolist()]
    kept = np.where(scored[:, None], rewards, 0.0)
    if segments is None:
        totals = np.where(scored, kept.sum(axis=1), np.nan)
        zero_one = bool(np.isin(totals[scored], (0.0, 1.0)).all())
        low, high = (0.0, 1.0) if zero_one else (None, None)
        return Scores({REWARD: Part(totals, status, low=low, high=high)})
    belongs = np.asarray(segments)
    width = int(belongs.max(initial=0)) + 1
    row, column = np.nonzero(belongs >= 0)
    summed = np.zeros((len(rewards), width))
    np.add.at(summed, (row, belongs[row, column]), kept[row, column])
    exists = np.zeros(summed.shape, dtype=bool)
    exists[row, belongs[row, column]] = True
    return Scores({REWARD: Part(np.where(scored[:, None], summed, np.nan), status, level="segment", exists=exists)})


def _over_batch(advantages: np.ndarray, seen: Shown, mask: Bool[np.ndarray, "b t"]) -> Float[np.ndarray, "b t"]:
    """Advantages of the rows that earn rewards, on all rows of the batch."""
    placed = np.zeros(mask.shape)
    if advantages.ndim == 2:
        others = (seen.last >= 0) & (seen.last != np.arange(len(mask)))
        if others.any():
            raise TrainingError(
                f"{int(others.sum())} outputs stand before the last one of their session, and this estimator gives one "
                "advantage per token of the last one only: choose an estimator of whole rollouts"
            )
        placed[seen.place] = advantages
        return np.where(mask, placed, 0.0)
    of_row = np.zeros(len(mask))
    of_row[seen.place] = advantages
    inside = seen.last >= 0
    return spread_written(np.where(inside, of_row[seen.last], 0.0), mask, np.float64)
