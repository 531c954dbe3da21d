"""Runs in an environment of verl: what verl's registries hold after `import verl`, on real objects of verl.

python verl_registry.py: prints one JSON object per case.
"""

from __future__ import annotations

import json
import sys

import verl  # noqa: F401 - loads plugins

LOADED = [name for name in ("plugin", "estimators", "trainer") if f"trueward.adapters.verl.{name}" in sys.modules]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402
from verl.trainer.ppo import core_algos  # noqa: E402
from verl.workers.config import ActorConfig  # noqa: E402

ROWS, WIDTH = 24, 9
GROUPS = np.repeat([f"prompt-{number}" for number in range(6)], 4)


def say(name: str, **values: object) -> None:
    print(json.dumps({"name": name, **values}))


def drawn() -> dict[str, torch.Tensor]:
    seed = torch.Generator().manual_seed(3)
    mask = torch.arange(WIDTH) < torch.randint(1, WIDTH + 1, (ROWS, 1), generator=seed)
    mask[5] = False
    old = -2 * torch.rand(ROWS, WIDTH, generator=seed)
    return {
        "old": old,
        "new": old + 0.5 * torch.randn(ROWS, WIDTH, generator=seed),
        "advantages": torch.randn(ROWS, WIDTH, generator=seed),
        "weights": torch.rand(ROWS, WIDTH, generator=seed) * 2,
        "mask": mask,
    }


def actor(**settings: object) -> ActorConfig:
    fixed = {"strategy": "fsdp", "rollout_n": 1, "ppo_micro_batch_size_per_gpu": 1, "clip_ratio_high": 0.28}
    return ActorConfig(**fixed, **{"clip_ratio_c": 1.5, "optim": OmegaConf.create({"lr": 1e-6}), **settings})


WHOLE = {"dp_size": 4, "batch_num_tokens": 413, "global_batch_size": 96, "loss_scale_factor": None}


def losses() -> None:
    """Against verl's own losses, in every mode, on a part of a larger batch, with and without weights of rollouts."""
    given = drawn()
    pairs = [("trueward_clip", "vanilla", mode) for mode in MODES] + [
        ("trueward_sequence", "gspo", "seq-mean-token-mean")
    ]
    for ours, theirs, mode in pairs:
        for info in ({}, WHOLE, {**WHOLE, "loss_scale_factor": 1000}):
            for weights in (None, given["weights"]):
                found = {}
                for name in (ours, theirs):
                    config = actor()
                    config.global_batch_info.update(info)
                    new = given["new"].clone().requires_grad_()
                    loss, metrics = core_algos.get_policy_loss_fn(name)(
                        old_log_prob=given["old"], log_prob=new, advantages=given["advantages"],
                        response_mask=given["mask"], loss_agg_mode=mode, config=config, rollout_is_weights=weights,
                    )  # fmt: skip
                    (gradient,) = torch.autograd.grad(loss, new)
                    found[name] = (loss.item(), gradient, metrics)
                mine, reference = found[ours], found[theirs]
                shared = [key for key in reference[2] if key != "actor/pg_clipfrac_lower" or theirs == "vanilla"]
                say(
                    "loss", ours=ours, mode=mode, whole=bool(info), weighted=weights is not None, loss=mine[0],
                    difference=abs(mine[0] - reference[0]),
                    gradient=float((mine[1] - reference[1]).abs().max() / reference[1].abs().max()),
                    metrics=max(abs(mine[2][key] - reference[2][key]) for key in shared), shared=len(shared),
                )  # fmt: skip


MODES = ("token-mean", "token-sum", "seq-mean-token-sum", "seq-mean-token-mean", "seq-mean-token-sum-norm")


def refused(name: str, function: object, *arguments: object, **named: object) -> None:
    try:
        function(*arguments, **named)
    except Exception as error:
        say(name, error=type(error).__name__, message=str(error))
    else:
        say(name, error="", message="")


def refusals() -> None:
    given = drawn()
    rewards = torch.zeros(ROWS, WIDTH)
    call = {"token_level_rewards": rewards, "response_mask": given["mask"], "index": GROUPS}

    def config(**settings: object) -> object:
        return OmegaConf.create({"use_kl_in_reward": False, **settings})

    z_score = core_algos.get_adv_estimator_fn("trueward_z_score")
    refused("unknown setting", z_score, **call, config=config(trueward={"epsilom": 1e-3}))
    refused("thr without trainer", core_algos.get_adv_estimator_fn("trueward_thr"), **call, config=config())
    refused(
        "separately without trainer", core_algos.get_adv_estimator_fn("trueward_separately"), **call, config=config()
    )
    lam = core_algos.get_adv_estimator_fn("trueward_grpo_lambda")
    refused("kl in a switched reward", lam, **call, config=config(use_kl_in_reward=True))
    refused("no groups", z_score, rewards, given["mask"], config=config())
    refused(
        "reinforce twice", core_algos.get_policy_loss_fn("trueward_reinforce"), given["old"], given["new"],
        given["advantages"], given["mask"], config=actor(ppo_epochs=2),
    )  # fmt: skip


def rewards_of(outcomes: np.ndarray, mask: torch.Tensor) -> torch.Tensor:
    """As verl places them: at the last token of the row."""
    rewards = torch.zeros(mask.shape)
    ends = (mask.sum(dim=1) - 1).clamp(min=0)
    rewards[torch.arange(len(mask)), ends] = torch.from_numpy(outcomes).float()
    return rewards


def estimators() -> None:
    """Rows that were not scored, rows that fill a batch, settings, and what verl computes itself."""
    mask = drawn()["mask"]
    mask[5, :4] = True
    outcomes = np.random.default_rng(0).normal(size=ROWS)
    config = OmegaConf.create({"use_kl_in_reward": False})
    rewards = rewards_of(outcomes, mask)
    for ours, theirs, options in (
        ("trueward_z_score", "grpo", {}),
        ("trueward_centre", "grpo", {"norm_adv_by_std_in_grpo": False}),
        ("trueward_leave_one_out", "rloo", {}),
    ):
        mine, returns = core_algos.get_adv_estimator_fn(ours)(rewards, mask, index=GROUPS, config=config)
        reference, _ = core_algos.get_adv_estimator_fn(theirs)(rewards.clone(), mask.float(), index=GROUPS, **options)
        difference, size = float((mine - reference).abs().max()), float(mine.abs().max())
        say("estimator", ours=ours, difference=difference, size=size, same=bool((mine == returns).all()))
    lost = rewards.clone()
    lost[2, mask[2].sum() - 1] = torch.nan
    mine, _ = core_algos.get_adv_estimator_fn("trueward_z_score")(lost, mask, index=GROUPS, config=config)
    kept = np.delete(np.arange(ROWS), 2)
    alone, _ = core_algos.get_adv_estimator_fn("trueward_z_score")(
        rewards[kept], mask[kept], index=GROUPS[kept], config=config
    )
    say("unscored", row=float(mine[2].abs().max()), others=float((mine[kept] - alone).abs().max()))
    filled = np.concatenate([GROUPS, ["pad" + "0" * 32] * 2])
    more, _ = core_algos.get_adv_estimator_fn("trueward_grpo_lambda")(
        torch.cat([rewards_of((outcomes > 0).astype(float), mask), torch.zeros(2, WIDTH)]),
        torch.cat([mask, torch.zeros(2, WIDTH, dtype=torch.bool)]), index=filled, config=config,
    )  # fmt: skip
    fewer, _ = core_algos.get_adv_estimator_fn("trueward_grpo_lambda")(
        rewards_of((outcomes > 0).astype(float), mask), mask, index=GROUPS, config=config
    )
    say("filled", rows=float((more[:ROWS] - fewer).abs().max()), padding=float(more[ROWS:].abs().max()),
        size=float(fewer.abs().max()))  # fmt: skip
    wide, _ = core_algos.get_adv_estimator_fn("trueward_z_score")(
        rewards, mask, index=GROUPS, config=OmegaConf.create({"trueward": {"deviation": "population"}})
    )
    plain, _ = core_algos.get_adv_estimator_fn("trueward_z_score")(rewards, mask, index=GROUPS, config=config)
    say("setting", ratio=float((wide[0, 0] / plain[0, 0]).abs()))
    turns = torch.tensor([[1, 1, 0, 1, 1, 1, 0, 0, 0]] * 2, dtype=torch.bool)
    earned = torch.tensor([[0, 1.0, 0, 0, 0, 3.0, 0, 0, 0], [0, 0, 0, 0, 0, 2.0, 0, 0, 0]])
    by_turn, _ = core_algos.get_adv_estimator_fn("trueward_segment_returns")(
        earned, turns, index=np.array(["a", "a"]), config=OmegaConf.create({"trueward": {"segments": "turns"}})
    )
    say("turns", advantages=by_turn.tolist())


def same_as_built_in() -> None:
    """The registered estimators under verl's own trainers, against the estimators that they are made of."""
    from trueward.batch import Context, Part, Rollouts, Scores, Text
    from trueward.credit import GroupRelative, SegmentReturns
    from trueward.rewards.transforms import grpo_lambda
    from trueward.status import Status

    mask = drawn()["mask"].clone()
    mask[5, :4] = True
    _, group = np.unique(GROUPS, return_inverse=True)
    random, ok = np.random.default_rng(2), [Status.OK] * ROWS
    lengths, own = mask.sum(dim=1).numpy(), mask.numpy()
    text = Text([""] * ROWS, [""] * ROWS)
    outcomes = (random.random(ROWS) < 0.6).astype(float)
    rollouts = Rollouts(text, group=group, mask=own, features={"finished": lengths < WIDTH})
    scores = grpo_lambda(0.5, 0.6)(
        Scores({"reward": Part(outcomes, ok, low=0.0, high=1.0)}), rollouts, Context(training=True)
    )
    expected = GroupRelative()(scores, rollouts, Context()).advantages[:, None] * own
    found, _ = core_algos.get_adv_estimator_fn("trueward_grpo_lambda")(
        rewards_of(outcomes, mask), mask, index=GROUPS,
        config=OmegaConf.create({"trueward": {"fraction": 0.5, "alpha": 0.6, "response_length": WIDTH}}),
    )  # fmt: skip
    say("built in", ours="trueward_grpo_lambda", difference=float(np.abs(found.numpy() - expected).max()),
        size=float(np.abs(expected).max()))  # fmt: skip
    # Steps of two tokens, the last one shorter; every reward differs from 0, so that all of them can be seen.
    segments = np.where(own, np.arange(WIDTH) // 2, -1)
    width = int(segments.max()) + 1
    exists = np.arange(width) <= segments.max(axis=1)[:, None]
    earned = np.where(exists, random.integers(1, 5, size=(ROWS, width)) / 4, 0.0)
    dense = np.zeros(own.shape)
    for row in range(ROWS):
        for step in range(width):
            if exists[row, step]:
                dense[row, np.flatnonzero(segments[row] == step)[-1]] = earned[row, step]
    scores = Scores({"reward": Part(earned, ok, level="segment", exists=exists)})
    rollouts = Rollouts(text, group=group, mask=own, segments=segments)
    expected = SegmentReturns(discount=0.9)(scores, rollouts, Context()).advantages
    found, _ = core_algos.get_adv_estimator_fn("trueward_segment_returns")(
        torch.from_numpy(dense).float(), mask, index=GROUPS, config=OmegaConf.create({"trueward": {"discount": 0.9}})
    )
    say("built in", ours="trueward_segment_returns", difference=float(np.abs(found.numpy() - expected).max()),
        size=float(np.abs(expected).max()))  # fmt: skip


if __name__ == "__main__":
    same_as_built_in()
    say("loaded by import verl", modules=LOADED)
    losses()
    refusals()
    estimators()
