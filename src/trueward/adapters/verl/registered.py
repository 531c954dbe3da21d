"""Which names Trueward registers with verl, and whether a process has them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

from trueward.errors import MissingExtra, TrainingError

ESTIMATORS = (
    "trueward_z_score",
    "trueward_leave_one_out",
    "trueward_centre",
    "trueward_segment_returns",
    "trueward_grpo_lambda",
    "trueward_separately",
    "trueward_thr",
)
LOSSES = ("trueward_clip", "trueward_sequence", "trueward_reinforce")
REWARD_MANAGERS = ("trueward",)
TRAINERS = ("trueward", "trueward_colocate_async", "trueward_separate_async")

_REGISTRIES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "advantage estimators": ("verl.trainer.ppo.core_algos", "ADV_ESTIMATOR_REGISTRY", ESTIMATORS),
    "policy losses": ("verl.trainer.ppo.core_algos", "POLICY_LOSS_REGISTRY", LOSSES),
    "reward managers": (
        "verl.experimental.reward_loop.reward_manager.registry",
        "REWARD_MANAGER",
        REWARD_MANAGERS,
    ),
    "trainers": ("verl.trainer.ppo.v1.trainer_base", "TRAINER_REGISTRY", TRAINERS),
}


def missing_names(*, trainers: bool = False) -> dict[str, list[str]]:
    """What this process lacks, by kind; {} where all is there. Imports verl's registries.

    Args:
        trainers: look for the trainers too, which need verl's queue (the package TransferQueue).

    Raises:
        MissingExtra: verl is not installed.
    """
    found = {}
    for kind, (module, registry, names) in _REGISTRIES.items():
        if kind == "trainers" and not trainers:
            continue
        lacking = [name for name in names if name not in _imported(module).__dict__[registry]]
        if lacking:
            found[kind] = lacking
    return found


def check_registered(where: str = "this process", *, trainers: bool = False) -> None:
    """Prove that verl knows Trueward's names here.

    verl swallows what goes wrong while it loads plugins; without this check a name is missed only when it is used,
    which for a loss is after the first rollouts. The reward manager and the worker of Trueward's trainers call it as
    they start.

    Args:
        where: the process, for the message.
        trainers: as in `missing_names`.

    Raises:
        TrainingError: names are missing; the message says which, and what to do.
        MissingExtra: verl is not installed.
    """
    lacking = missing_names(trainers=trainers)
    if lacking:
        listed = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in lacking.items())
        raise TrainingError(f"verl does not know Trueward in {where}. Missing {listed}. {_remedy()}")


def _imported(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == "verl":
            raise MissingExtra("verl is not installed: pip install 'verl==0.9.*', see docs/verl.md") from error
        raise


def _remedy() -> str:
    import os
    from importlib.metadata import entry_points

    policy = os.getenv("VERL_USE_EXTERNAL_PLUGINS", "auto").strip()
    if "trueward" not in {entry.name for entry in entry_points(group="verl.plugins")}:
        return (
            f"The environment of {sys.executable} has no entry point of Trueward: install it there (pip install "
            "trueward) on every node, or set VERL_USE_EXTERNAL_MODULES=trueward.adapters.verl.plugin for the whole job"
        )
    if policy not in ("auto", "") and "trueward" not in policy.split(","):
        return f"VERL_USE_EXTERNAL_PLUGINS={policy} leaves it out: unset it, or add trueward to it"
    return (
        "The plugin is installed, so loading it failed: run `python -c 'import verl, trueward.adapters.verl.plugin'` "
        "there to see why, or set VERL_USE_EXTERNAL_MODULES=trueward.adapters.verl.plugin, with which verl raises it"
    )
