"""Checkpoints: everything a run needs to go on to the bit-identical result, without pickle.

A checkpoint is a folder `step-000050` with `tensors.safetensors` (weights and optimiser moments) and `state.json`
(everything else). It is written under another name and renamed, so that what is there is whole; the one before it is
removed afterwards, so that there is always one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from trueward.errors import TrainingError

_NAME = re.compile(r"step-(\d{6,})")


@dataclass(frozen=True)
class Resumable:
    """What a run keeps.

    Attributes:
        modules: name to network.
        optimizers: name to optimiser.
        states: name to anything with `state_dict` (JSON values) and `load_state_dict`.
        identity: JSON values that must be the same when the run goes on: settings, fingerprint of the first weights.
    """

    modules: Mapping[str, nn.Module]
    optimizers: Mapping[str, torch.optim.Optimizer]
    states: Mapping[str, Any] = field(default_factory=dict)
    identity: Mapping[str, Any] = field(default_factory=dict)


def save(folder: Path, step: int, run: Resumable) -> Path:
    """Write the checkpoint of a step, then remove older ones.

    Args:
        folder: of the run's checkpoints.
        step: updates done.
        run: what to keep.
    """
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"unfinished-{os.getpid()}"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    tensors: dict[str, Tensor] = {}
    for name, module in run.modules.items():
        tensors |= {f"{name}|{key}": value for key, value in _distinct(module).items()}
    numbers: dict[str, Any] = {}
    for name, optimizer in run.optimizers.items():
        moments, rest = _split(optimizer.state_dict()["state"])
        tensors |= {f"optimizer {name}|{key}": value for key, value in moments.items()}
        numbers[name] = rest
    save_file({key: value.detach().contiguous().cpu() for key, value in tensors.items()}, unfinished / _TENSORS)
    state = {
        "step": step,
        "identity": run.identity,
        "optimizers": numbers,
        "states": {name: part.state_dict() for name, part in run.states.items()},
    }
    (unfinished / _STATE).write_text(json.dumps(state))
    final = folder / f"step-{step:06d}"
    shutil.rmtree(final, ignore_errors=True)
    unfinished.rename(final)
    for old in folder.iterdir():
        if old != final:
            shutil.rmtree(old, ignore_errors=True)
    return final


_TENSORS, _STATE = "tensors.safetensors", "state.json"


def latest(folder: Path) -> Path | None:
    """The newest whole checkpoint; None where there is none."""
    if not folder.is_dir():
        return None
    found = {int(match[1]): path for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))}
    return found[max(found)] if found else None


def restore(checkpoint: Path, run: Resumable) -> int:
    """Put networks, optimisers and states back to where they were.

    Returns:
        How many updates had been done.

    Raises:
        TrainingError: the checkpoint belongs to a run of other settings, weights or parts, or cannot be read.
    """
    try:
        state = json.loads((checkpoint / _STATE).read_text())
        tensors = load_file(checkpoint / _TENSORS)
    except (OSError, ValueError, SafetensorError) as error:
        raise TrainingError(f"{checkpoint}: this checkpoint cannot be read: {error}") from error
    _check_identity(checkpoint, state["identity"], run.identity)
    for name, module in run.modules.items():
        weights = _under(tensors, name)
        if weights.keys() != _distinct(module).keys():
            raise TrainingError(f"{checkpoint}: {name!r} is another network now: its weights have other names")
        try:
            # Not strict, because of tied weights only one is kept.
            module.load_state_dict(weights, strict=False)
        except RuntimeError as error:
            raise TrainingError(f"{checkpoint}: {name!r} is another network now: {error}") from error
    for name, optimizer in run.optimizers.items():
        known = optimizer.state_dict()
        known["state"] = _joined(_under(tensors, f"optimizer {name}"), state["optimizers"][name])
        optimizer.load_state_dict(known)
    for name, part in run.states.items():
        part.load_state_dict(state["states"][name])
    return int(state["step"])


def fingerprint(module: nn.Module) -> str:
    """A hash of a network's weights."""
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().contiguous().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def _check_identity(checkpoint: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    # As JSON, because a tuple that was saved comes back as a list.
    now = json.loads(json.dumps(now))
    differing = sorted(key for key in {*then, *now} if then.get(key) != now.get(key))
    if differing:
        told = "; ".join(f"{key} was {then.get(key)!r} and is {now.get(key)!r}" for key in differing[:4])
        raise TrainingError(
            f"{checkpoint.parent.parent}: holds a run that is not this one: {told}. Give another directory, or remove "
            "that one"
        )


def _distinct(module: nn.Module) -> dict[str, Tensor]:
    """The state of a module, every storage once: tied weights share theirs."""
    seen: set[int] = set()
    kept = {}
    for key, value in module.state_dict().items():
        if value.data_ptr() in seen and value.numel():
            continue
        seen.add(value.data_ptr())
        kept[key] = value
    return kept


def _split(state: Mapping[int, Mapping[str, Any]]) -> tuple[dict[str, Tensor], dict[str, dict[str, Any]]]:
    tensors, rest = {}, {}
    for number, entries in state.items():
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{number}|{key}"] = value
        rest[str(number)] = {key: value for key, value in entries.items() if not isinstance(value, Tensor)}
    return tensors, rest


def _joined(tensors: Mapping[str, Tensor], rest: Mapping[str, Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
    state: dict[int, dict[str, Any]] = {int(number): dict(entries) for number, entries in rest.items()}
    for name, value in tensors.items():
        number, key = name.split("|", 1)
        state[int(number)][key] = value
    return state


def _under(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key[len(name) + 1 :]: value for key, value in tensors.items() if key.startswith(f"{name}|")}
