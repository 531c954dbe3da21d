"""Runs as one of two processes that hold a model in shards, as verl's FSDP engines do, on the CPU.

python verl_shards.py FOLDER RANK: reads FOLDER/same.npz and FOLDER/policy, writes FOLDER/fsdp-RANK.npz and
FOLDER/fsdp2-RANK.npz.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch.distributed import destroy_process_group, init_process_group
from torch.distributed.device_mesh import init_device_mesh
from transformers import AutoModelForCausalLM

from trueward.adapters.verl.model_pass import states_and_errors
from trueward.policies.prediction_errors import group_vocabulary

FOLDER, RANK = Path(sys.argv[1]), int(sys.argv[2])


def sharded(model: torch.nn.Module, kind: str) -> torch.nn.Module:
    mesh = init_device_mesh("cpu", (2,))
    if kind == "fsdp2":
        from torch.distributed.fsdp import fully_shard

        fully_shard(model, mesh=mesh)
        return model
    from torch.distributed.fsdp import FullyShardedDataParallel

    return FullyShardedDataParallel(model, device_mesh=mesh, device_id=torch.device("cpu"), use_orig_params=True)


def told(kind: str) -> None:
    given = dict(np.load(FOLDER / "same.npz"))
    mask, chosen, group = (torch.from_numpy(given[name]) for name in ("mask", "completion_ids", "group"))
    wanted = group_vocabulary(chosen, mask, group)
    mine = range(RANK, len(mask), 2)  # every group is spread over both
    prompts = [torch.from_numpy(given["prompt_ids"][row][given["prompt_mask"][row]]) for row in mine]
    responses = [chosen[row][mask[row]] for row in mine]
    hidden, errors = states_and_errors(
        sharded(AutoModelForCausalLM.from_pretrained(FOLDER / "policy"), kind),
        prompts,
        responses,
        [torch.ones_like(response) for response in responses],
        [wanted[row] for row in mine],
        widths=(given["prompt_ids"].shape[1], mask.shape[1]),
        rows_at_once=3,
        temperature=float(given["temperature"]),
        device=torch.device("cpu"),
    )
    found = {f"hidden/{row}": one.numpy() for row, one in zip(mine, hidden, strict=True)}
    found |= {f"errors/{row}": one.numpy() for row, one in zip(mine, errors, strict=True)}
    np.savez(FOLDER / f"{kind}-{RANK}.npz", **found)


def main() -> None:
    torch.set_num_threads(1)
    init_process_group("gloo", init_method=f"file://{FOLDER}/rendezvous", rank=RANK, world_size=2)
    for kind in ("fsdp", "fsdp2"):
        told(kind)
    destroy_process_group()


if __name__ == "__main__":
    main()
