"""Rewards and workers in verl: its reward manager, its reward workers and the workers of its actor."""

from __future__ import annotations

import math
from collections.abc import Callable

import ray
from verl_configuration import WRONG, caught, configuration, data, row, say, scored, words


def actor_workers() -> None:
    """A worker of the actor, in the group and the shared process into which verl puts it."""
    from verl.single_controller.ray import (
        RayClassWithInitArgs,
        RayResourcePool,
        RayWorkerGroup,
        create_colocated_worker_cls,
    )

    from trueward.adapters.verl.worker import TruewardWorker

    config = configuration().actor_rollout_ref
    kind = RayClassWithInitArgs(cls=ray.remote(TruewardWorker), config=config, role="actor")
    group = RayWorkerGroup(
        resource_pool=RayResourcePool([1], use_gpu=False, max_colocate_count=1),
        ray_cls_with_init=create_colocated_worker_cls({"actor": kind}),
        device_name="cpu",
    ).spawn(prefix_set={"actor"})["actor"]
    say("actor worker", knows=group.check_trueward("trueward_clip"), unknown=caught(group.check_trueward, "clop"),
        asks=hasattr(group, "compute_hidden_and_errors"))  # fmt: skip


def reward_loop() -> None:
    """verl loads its reward manager and gives it rows, many at once."""
    import asyncio

    import torch
    from omegaconf import OmegaConf, open_dict
    from verl.trainer.ppo.reward import load_reward_manager, resolve_reward_manager_cls

    tokenizer = words()
    manager = load_reward_manager(configuration(**scored("both")), tokenizer)
    answers = ["plus seven", "equals eight", "zero seven", "one seven", "seven"] * 3

    async def all_rows() -> list[dict[str, object]]:
        return await asyncio.gather(*(manager.run_single(row(tokenizer, answer)) for answer in answers))

    found = manager.loop.run_until_complete(all_rows())
    say("rows", scores=[one["reward_score"] if not math.isnan(one["reward_score"]) else None for one in found],
        status=[one["reward_extra_info"]["status"] for one in found][:5],
        keys=sorted(found[0]["reward_extra_info"]), parts=[found[0]["reward_extra_info"]["reward/number"],
        found[0]["reward_extra_info"]["reward/style"]])  # fmt: skip
    own = {"reward__trueward__low": 0.0, "reward__trueward__high": 1.0, "reward__trueward__self_test": False}
    function = load_reward_manager(configuration(**scored("compute_score", **own)), tokenizer)
    one = function.loop.run_until_complete(function.run_single(row(tokenizer, "plus seven")))
    say("function of verl", score=one["reward_score"], status=one["reward_extra_info"]["status"])
    kind = resolve_reward_manager_cls(configuration(**scored("both")))
    two = row(tokenizer, "two plus seven")
    placed = kind.assemble_rm_scores(two, [[0.0, 0.25, 1.0]])
    plain = kind.assemble_rm_scores(two, [float("nan")])
    say("placed", by_token=placed[0].tolist(), unscored=[None if math.isnan(one) else one for one in plain[0].tolist()])
    for name, changes in {
        "silent zero": {
            "reward__trueward__self_test": {"right": "eight", "wrong": "seven", "columns": {"ground_truth": "seven"}}
        },
        "other estimator": {"algorithm__adv_estimator": "grpo"},
        "unknown setting": {"reward__trueward__worker": 3},
        "transform of the batch": {"reward__custom_reward_function__name": "centred"},
        "no range": {"reward__custom_reward_function__name": "number"},
        "no data": {"reward__trueward__self_test": True, "data__train_files": None},
        "nothing": {"reward__trueward__self_test": True, "data__train_files": data()},
        "zero everywhere": {
            "reward__custom_reward_function__name": "zero",
            "reward__trueward__low": 0.0,
            "reward__trueward__self_test": True,
            "data__train_files": data(),
        },
    }.items():
        config = configuration(**scored("both", **changes))
        with open_dict(config):
            config.reward.trueward.workers = 0
        message = caught(load_reward_manager, config, tokenizer)
        say("refused", what=name, message=message)
    assert torch.is_tensor(placed) and OmegaConf.is_config(config)


def reward_workers() -> Callable[[], None]:
    """verl's own reward workers, as actors: one that scores, one whose self-test fails."""
    from verl.experimental.reward_loop import RewardLoopWorker

    from trueward.adapters.verl.trainer import all_started

    kind = ray.remote(RewardLoopWorker)
    right = kind.remote(configuration(**scored("both")), None)
    broken = kind.remote(configuration(**scored("both", reward__trueward__self_test=WRONG)), None)
    asked = [right.compute_score.remote(row(words(), answer)) for answer in ("plus seven", "eight")]
    return lambda: say(
        "reward worker", scores=[one["reward_score"] for one in ray.get(asked)],
        ready=caught(all_started, [right]), broken=caught(all_started, [right, broken]),
    )  # fmt: skip
