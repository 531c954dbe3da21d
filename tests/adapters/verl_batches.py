"""Batches in verl's queue: trainers without devices, and rows as verl's rollout leaves them."""

from __future__ import annotations

import types
from contextlib import contextmanager

import numpy as np
from same_rollouts import UNSCORED
from verl_configuration import FOLDER, REWARDS, alone, configuration


class Group:
    """The actor's workers: one process, whose method is verl's own with its way into the queue."""

    def __init__(self, config: object, model: object) -> None:
        @contextmanager
        def asked():  # type: ignore[no-untyped-def]
            yield

        engine = types.SimpleNamespace(module=model, eval_mode=asked)
        actor = types.SimpleNamespace(engine=engine, device_name="cpu")
        self.stub = types.SimpleNamespace(config=config.actor_rollout_ref, actor=actor)
        self.saved: list[str] = []

    def compute_hidden_and_errors(self, batch: object) -> object:
        from trueward.adapters.verl.worker import TruewardWorker

        return TruewardWorker.compute_hidden_and_errors(self.stub, batch)

    def save_checkpoint(self, path: str, *arguments: object, **named: object) -> None:
        self.saved.append(path)


def trainer_of(name: str, **changes: object) -> object:
    """A trainer of verl, made by verl from its own configuration, without devices."""
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from verl.trainer.ppo.v1 import get_trainer_cls

    settings = {
        "trainer__v1__trainer_mode": "trueward",
        "algorithm__adv_estimator": name,
        "reward__reward_manager__name": "trueward",
        "reward__custom_reward_function__path": str(REWARDS),
    }
    config = configuration(**{**settings, **changes})
    trainer = get_trainer_cls("trueward")(config)
    assert trainer.trainer_mode == "sync" and type(trainer.replay_buffer).__name__ == "ReplayBuffer"
    trainer._init_resource_pool_mgr()
    kinds = [kind.__ray_metadata__.class_name for kind in trainer.role_worker_mapping.values()]
    assert [kind.rpartition(".")[2] for kind in kinds] == ["TruewardWorker"], kinds
    trainer.tokenizer = AutoTokenizer.from_pretrained(FOLDER / "policy")
    trainer.actor_rollout_wg = Group(config, AutoModelForCausalLM.from_pretrained(FOLDER / "policy"))
    trainer.global_steps, trainer.total_training_steps, trainer.steps_per_epoch = 1, 10, 10
    return trainer


def put(rows: list[dict[str, object]], keys: list[str]) -> object:
    """Rows into verl's queue, in an order of their own, and two that only fill the batch."""
    import transfer_queue as tq
    from transfer_queue import KVBatchMeta
    from verl.trainer.ppo.padding_utils import upsample_batch_to_divisible_size
    from verl.utils.tensordict_utils import list_of_dict_to_tensordict

    tags = [{"seq_len": 9, "min_global_steps": 0, "max_global_steps": 0} for _ in keys]
    tq.kv_batch_put(keys=keys, partition_id="train", fields=list_of_dict_to_tensordict(rows), tags=tags)
    batch = KVBatchMeta(keys=list(keys), tags=tags, partition_id="train")
    batch = upsample_batch_to_divisible_size(batch, len(keys) + 2, eos_token_id=1)
    batch.reorder(np.random.default_rng(5).permutation(len(batch.keys)).tolist())
    return batch


def fetched(keys: list[str], name: str, width: int) -> np.ndarray:
    import transfer_queue as tq

    data = tq.kv_batch_get(keys=keys, partition_id="train", select_fields=[name])
    placed = np.zeros((len(keys), width))
    for number, values in enumerate(data[name].unbind()):
        placed[number, : len(values)] = values.float().numpy()
    return placed


def rows_for(case: str, trainer: object, given: object, segment: bool) -> tuple[list[dict[str, object]], list[str]]:
    """The rows of the fixture as verl's rollout leaves them: scored one by one by verl's reward manager."""
    import asyncio

    import torch
    from tensordict import TensorDict
    from verl import DataProto
    from verl.trainer.ppo.reward import load_reward_manager

    config = trainer.config
    manager = load_reward_manager(config, trainer.tokenizer)
    rows, keys, waiting = [], [], []
    for number in range(len(given["mask"])):
        prompt = torch.from_numpy(given["prompt_ids"][number][given["prompt_mask"][number]])
        response = torch.from_numpy(given["completion_ids"][number][given["mask"][number]])
        ids = torch.cat([prompt, response])
        batch = TensorDict({"prompts": prompt[None], "responses": response[None], "input_ids": ids[None],
                            "attention_mask": torch.ones_like(ids)[None]}, batch_size=1)  # fmt: skip
        steps = int(given["process_exists"][number].sum())
        columns = {
            "correct": None if not given["correct_ok"][number] and number == UNSCORED else
            -1.0 if not given["correct_ok"][number] else float(given["correct"][number]),
            "style": float(given["style"][number]),
            "process": given["process"][number][:steps].tolist(),
            "reward_model": {"ground_truth": "seven"},
        }  # fmt: skip
        data = DataProto(batch=batch, non_tensor_batch={name: alone(value) for name, value in columns.items()})
        waiting.append(manager.run_single(data))
        rows.append({
            "uid": f"prompt-{given['group'][number]}", "prompts": prompt, "responses": response,
            "response_mask": torch.ones_like(response), "input_ids": ids, "position_ids": torch.arange(len(ids)),
            "loss_mask": torch.ones_like(response), "attention_mask": torch.ones_like(ids), "num_turns": 2,
            "old_log_probs": torch.from_numpy(given["old_logprobs"][number][given["mask"][number]]).float(),
            "reward_model": {"ground_truth": "seven"}, "data_source": "same", "extra_info": {"index": number},
        })  # fmt: skip
        keys.append(f"{case}-{given['group'][number]}_{number % 4}_0")

    async def all_of_them() -> list[dict[str, object]]:
        return await asyncio.gather(*waiting)

    for row, found in zip(rows, manager.loop.run_until_complete(all_of_them()), strict=True):
        row["rm_scores"] = torch.zeros(len(row["responses"]))
        row["rm_scores"][-1] = found["reward_score"]
        row["extra_fields"] = {"reward_extra_info": found["reward_extra_info"]}
    return rows, keys
