"""verl's estimators behind a pipe, in the environment that verl needs: the other half of `bench_credit.py`.

Reads one JSON object per line and answers each with one: {"load": path} of an npz file, {"save": path, "run": name} for
the results of one estimator, {"run": name} for the seconds that it took.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from verl.trainer.ppo import core_algos as verl

# What verl logs must not end up between the answers.
answers, sys.stdout = sys.stdout, sys.stderr
torch.set_num_threads(1)
given: dict[str, torch.Tensor] = {}
index = np.zeros(0, dtype=np.int64)

ESTIMATORS: dict[str, Callable[[], tuple[torch.Tensor, torch.Tensor]]] = {
    "loop": lambda: verl.compute_grpo_outcome_advantage(given["rewards"], given["mask"], index),
    "vectorised": lambda: verl.compute_grpo_vectorized_outcome_advantage(given["rewards"], given["mask"], index),
    "gae": lambda: verl.compute_gae_advantage_return(given["rewards"], given["values"], given["mask"], 0.99, 0.95),
}

for line in sys.stdin:
    asked = json.loads(line)
    answer: dict[str, float] = {}
    if "load" in asked:
        arrays = np.load(asked["load"])
        index = arrays["group"]
        # verl's masks are whole numbers; in this form its arithmetic is fastest.
        given = {name: torch.from_numpy(arrays[name]).float() for name in arrays.files if name != "group"}
    else:
        started = time.perf_counter()
        made = ESTIMATORS[asked["run"]]()
        answer["seconds"] = time.perf_counter() - started
        if "save" in asked:
            np.savez(asked["save"], *(tensor.numpy() for tensor in made))
    print(json.dumps(answer), file=answers, flush=True)
