"""Lets verl score some completions and dump them as it does during training, into a folder.

python write_verl.py FOLDER

The dump is that of verl's trainers, the older one into FOLDER/ray and the newer one into FOLDER/v1, without the
training around it, which needs GPUs. Inputs are what verl logs: a chat prompt decoded without special tokens.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any
from unittest.mock import MagicMock

from verl.utils.reward_score.gsm8k import compute_score

PROMPT = "system\nYou are a helpful assistant.\nuser\n{question}\nassistant\n"
ANSWERS = {
    "What is 5 + 7?": "12",
    "How many legs have 9 dogs?": "36",
    "What is 100 - 58?": "42",
    "How many hours have 3 days?": "72",
    "What is 17 * 6?": "102",
    "How many corners have 11 triangles?": "33",
}
OUTPUTS = {
    1: ["It must be {right}.\n#### {right}", "#### {wrong}", "I do not know.", "The answer is {wrong}."],
    2: ["#### {right}", "The answer is {wrong} or {right}", "The answer is not {right}", "#### {wrong}"],
}


def imported(module: str) -> Any:
    """A module of verl, with stand-ins for libraries that are not installed: they serve models, and dump nothing."""
    while True:
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("verl"):
                raise
            sys.modules[error.name] = MagicMock(__path__=[], __spec__=None)


def trainer(module: str, name: str) -> Any:
    """A trainer that has nothing but what its dump needs."""
    kind = type(name, (getattr(imported(module), name),), {"__init__": lambda self: None})
    kind.__abstractmethods__ = frozenset()  # the newer one leaves the training loop to its subclasses
    made = kind()
    made._init_dump_executor()
    return made


def dump(dumping: Any, folder: str) -> None:
    for step, outputs in OUTPUTS.items():
        rows = []
        for question, right in ANSWERS.items():
            for output in outputs:
                text = output.format(right=right, wrong=int(right) + 10)
                rows.append((PROMPT.format(question=question), text, right, compute_score(text, right, "flexible")))
        inputs, texts, references, scores = map(list, zip(*rows, strict=True))
        dumping.global_steps = step
        extra = {"acc": [score > 0 for score in scores], "uid": [f"{step}_{i}_0" for i in range(len(rows))]}
        dumping._dump_generations(inputs, texts, references, scores, extra, folder)
    dumping._shutdown_dump_executor()


if __name__ == "__main__":
    dump(trainer("verl.trainer.ppo.ray_trainer", "RayPPOTrainer"), f"{sys.argv[1]}/ray")
    dump(trainer("verl.trainer.ppo.v1.trainer_base", "PPOTrainer"), f"{sys.argv[1]}/v1")
