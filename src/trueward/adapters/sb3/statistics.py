"""What rewards and bonuses have learnt, in files, and from one environment to another. Nothing is pickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trueward.adapters.sb3.wrapper import RewardVecEnv, wrapper_of
from trueward.errors import RewardError

_STATE = "state"


def save_statistics(env: Any, path: str | Path) -> None:
    """Write the statistics of an environment's reward, and those and the networks of its bonus, as `.npz`.

    Optimisers are not in it: this is for evaluation and for another run, not for going on with this one.

    Raises:
        RewardError: the environment has no reward of Trueward.
    """
    wrapper = wrapper_of(env)
    state = {
        "reward": wrapper.reward.state_dict(),
        "bonus": None if wrapper.bonus is None else wrapper.bonus.state_dict(),
    }
    with Path(path).open("wb") as file:
        np.savez(file, **{_STATE: np.array(json.dumps(state))}, **_weights(wrapper))  # type: ignore[arg-type]


def load_statistics(env: Any, path: str | Path) -> None:
    """Take back what `save_statistics` wrote.

    Raises:
        RewardError: the environment has no reward of Trueward, or the file is that of another one.
    """
    wrapper = wrapper_of(env)
    try:
        with np.load(path, allow_pickle=False) as archive:
            state = json.loads(str(archive[_STATE]))
            arrays = {name: archive[name] for name in archive.files if name != _STATE}
            reward, bonus = state["reward"], state["bonus"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RewardError(f"{path} holds no statistics of a reward: {error}") from error
    if (bonus is None) != (wrapper.bonus is None):
        raise RewardError(
            f"{path} was written {'without' if bonus is None else 'with'} a bonus, unlike the environment"
        )
    _check_same(arrays, _weights(wrapper), str(path))
    wrapper.reward.load_state_dict(reward)
    if wrapper.bonus is not None:
        wrapper.bonus.load_state_dict(bonus)
        _load_weights(wrapper, arrays)


def sync_eval(training: Any, evaluation: Any) -> None:
    """Copy what the reward and the bonus of one environment have learnt to those of another.

    Only needed where the two were given different rewards: wrappers of the same one share it anyway.

    Raises:
        RewardError: one has no reward of Trueward, or they are not made of the same pieces.
    """
    source, target = wrapper_of(training), wrapper_of(evaluation)
    target.reward.load_state_dict(source.reward.state_dict())
    if source.bonus is None or target.bonus is None or source.bonus.novelty is target.bonus.novelty:
        return
    weights = _weights(source)
    _check_same(weights, _weights(target), "the training environment")
    target.bonus.load_state_dict(source.bonus.state_dict())
    _load_weights(target, weights)


def _weights(wrapper: RewardVecEnv) -> dict[str, np.ndarray]:
    modules = {} if wrapper.bonus is None else wrapper.bonus.novelty.modules()
    return {
        f"{name}/{entry}": tensor.detach().cpu().numpy().copy()
        for name, module in modules.items()
        for entry, tensor in module.state_dict().items()
    }


def _load_weights(wrapper: RewardVecEnv, weights: Mapping[str, np.ndarray]) -> None:
    import torch

    modules = {} if wrapper.bonus is None else wrapper.bonus.novelty.modules()
    for name, module in modules.items():
        of_module = {
            entry.removeprefix(f"{name}/"): value for entry, value in weights.items() if entry.startswith(f"{name}/")
        }
        module.load_state_dict({entry: torch.as_tensor(value) for entry, value in of_module.items()})


def _check_same(given: Mapping[str, np.ndarray], own: Mapping[str, np.ndarray], place: str) -> None:
    shapes = [{name: array.shape for name, array in arrays.items()} for arrays in (given, own)]
    if shapes[0] != shapes[1]:
        different = sorted(name for name in {**shapes[0], **shapes[1]} if shapes[0].get(name) != shapes[1].get(name))
        raise RewardError(f"{place}: the networks of the bonus are others; they differ in {', '.join(different[:5])}")
