"""What the scripts for verl share: their folder, verl's configuration, a reward, and rows for it.

Imported by `verl_run.py`, whose first argument is the folder.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

FOLDER = Path(sys.argv[1]).resolve()
REWARDS = FOLDER / "rewards.py"
REWARDS.write_text(
    """
from trueward.rewards.base import as_reward
from trueward.rewards.transforms import centre, grpo_lambda


def number(completion, ground_truth):
    if "one" in completion:
        raise ValueError("unreadable")
    return None if "zero" in completion else float(completion.split()[-1:] == [str(ground_truth)])


def style(completion):
    return 0.5


def zero(completion, ground_truth):
    return 0.0


def compute_score(data_source, solution_str, ground_truth, extra_info=None):
    assert data_source == "sums" and extra_info["index"] == 3 and extra_info["num_turns"] == 2
    return {"score": float(solution_str.endswith(ground_truth)), "acc": 1.0}


both = as_reward(number, low=0.0, high=1.0) + 0.5 * as_reward(style, low=0.0, high=1.0)
centred = as_reward(number, low=0.0, high=1.0).transform(centre())
"""
)


def say(name: str, **values: object) -> None:
    print(json.dumps({"name": name, **values}), flush=True)


def caught(function: object, *arguments: object) -> str:
    try:
        function(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def configuration(**changes: object) -> object:
    import verl
    from hydra import compose, initialize_config_dir
    from omegaconf import open_dict

    with initialize_config_dir(str(Path(verl.__file__).parent / "trainer" / "config"), version_base=None):
        config = compose("ppo_trainer")
    with open_dict(config):
        config.actor_rollout_ref.model.path = str(FOLDER / "policy")
        config.trainer.default_local_dir = str(FOLDER / "run")
        config.data.max_response_length = 9
        config.actor_rollout_ref.rollout.temperature = 0.8
        config.reward.num_workers = 1
        for place, value in changes.items():
            node, names = config, place.split("__")
            for name in names[:-1]:
                if node.get(name) is None:
                    node[name] = {}
                node = node[name]
            node[names[-1]] = value
    return config


SEVEN = {"ground_truth": "seven"}
RIGHT = {"right": "plus equals seven", "wrong": "eight", "columns": SEVEN}
WRONG = {"right": "eight", "wrong": "seven", "columns": SEVEN}


def scored(name: str, **changes: object) -> dict[str, object]:
    settings = {
        "reward__reward_manager__name": "trueward",
        "reward__custom_reward_function__path": str(REWARDS),
        "reward__custom_reward_function__name": name,
        "algorithm__adv_estimator": "trueward_z_score",
        "reward__trueward__self_test": RIGHT,
    }
    return {**settings, **changes}


def data() -> str:
    """Rows of training data, as verl has them."""
    file = FOLDER / "train.jsonl"
    answers = ("three", "seven", "nine", "four", "two", "eight")
    rows = [
        {"prompt": [{"role": "user", "content": f"sum {place}"}], "reward_model": {"ground_truth": answer}}
        for place, answer in enumerate(answers)
    ]
    file.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return str(file)


def row(tokenizer: object, completion: str, ground_truth: str = "seven") -> object:
    import torch
    from tensordict import TensorDict
    from verl import DataProto

    prompt = torch.tensor(tokenizer("three plus four equals", add_special_tokens=False)["input_ids"])
    response = torch.tensor(tokenizer(completion, add_special_tokens=False)["input_ids"])
    ids = torch.cat([prompt, response])
    batch = TensorDict({"prompts": prompt[None], "responses": response[None], "input_ids": ids[None],
                        "attention_mask": torch.ones_like(ids)[None], "position_ids": torch.arange(len(ids))[None]},
                       batch_size=1)  # fmt: skip
    beside = {"data_source": "sums", "reward_model": {"ground_truth": ground_truth, "style": "rule"},
              "extra_info": {"index": 3}, "uid": "a", "raw_prompt": [{"role": "user", "content": "3 + 4"}],
              "__num_turns__": 2, "tool_extra_fields": {"what": object()}, "agent_name": "single"}  # fmt: skip
    return DataProto(batch=batch, non_tensor_batch={name: alone(value) for name, value in beside.items()})


def words() -> object:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(FOLDER / "policy")


def alone(value: object) -> np.ndarray:
    held = np.empty(1, dtype=object)
    held[0] = value
    return held
