"""`trueward distance`."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from trueward.cli.data_options import require_folders
from trueward.errors import DataError, MissingExtra, TruewardError

if TYPE_CHECKING:
    import numpy as np

    from trueward.measures.tabular import TabularMDP
    from trueward.report.distance_document import DistanceDocument

_METRICS = ("starc", "epic", "dard")


@dataclass(frozen=True)
class DistanceCommand:
    """How far apart rewards are for whoever optimises them, without training anything.

    Exit code: 0, or 2 when something cannot be read or does not fit.
    """

    rewards: tyro.conf.Positional[tuple[Path, ...]]
    """Two or more: .npy arrays [S], [S, A] or [S, A, S], or .npz with a scipy.sparse matrix [S·A, S]."""
    mdp: Path
    """The world, as `trueward.measures.tabular.save_mdp` writes it: transitions, start, discount, terminal."""
    metric: str = "starc"
    """One or more of starc, epic, dard, with commas."""
    canonical: Literal["none", "epic", "dard", "value_potential", "value", "minimal_potential", "minimal"] = "value"
    """Canonical form of the STARC distance."""
    norm: str = "2"
    """Norm that it divides by: 0 (none), 1, 2, inf, weighted_1, weighted_2, weighted_inf."""
    difference_norm: str = "2"
    """Norm of the difference."""
    policy: Path | None = None
    """Policy [S, A] of the canonical forms value and value_potential; uniform without."""
    worst_case: bool = False
    """Also the exact worst-case regret of every pair; takes some dozens of solutions of the MDP for each."""
    json: Path | None = None
    """Write the result as JSON."""


def run_distance(command: DistanceCommand, typed: str = "") -> int:
    """Print distances and regrets, write the file.

    Args:
        command: what to do.
        typed: the command line as it was typed, for the document.
    """
    from trueward.report.distance_terminal import distance_lines

    require_folders(command.json)
    if len(command.rewards) < 2:
        raise TruewardError(
            "name two or more rewards, for example: trueward distance a.npy b.npy --mdp mdp.npz --metric starc,epic"
        )
    metrics = [name.strip() for name in command.metric.split(",")]
    unknown = [name for name in metrics if name not in _METRICS]
    if unknown:
        raise TruewardError(f"--metric {command.metric}: {unknown[0]!r} is not known; expected {', '.join(_METRICS)}")
    document = _measured(command, dict.fromkeys(metrics), typed)
    print("\n".join(distance_lines(document)))
    if command.json is not None:
        from trueward.report.json_file import write_json

        write_json(document, command.json)
    return 0


def _measured(command: DistanceCommand, metrics: dict[str, Any], typed: str) -> DistanceDocument:
    import trueward
    from trueward.measures.distances import is_trivial, pearson_distances, regrets, starc_distances
    from trueward.measures.tabular import load_mdp, uniform_policy
    from trueward.report.distance_document import SCHEMA, SCHEMA_VERSION

    mdp = load_mdp(command.mdp)
    rewards = [_reward(path, mdp) for path in command.rewards]
    policy = uniform_policy(mdp) if command.policy is None else _policy(command.policy, mdp)
    distances = {}
    try:
        for name in metrics:
            if name == "starc":
                table = starc_distances(
                    rewards,
                    mdp,
                    canonical=command.canonical,
                    norm=command.norm,
                    metric=command.difference_norm,
                    policy=policy,
                )
            else:
                table = pearson_distances(rewards, mdp, name)
            distances[name] = table.tolist()
    except ValueError as error:
        raise TruewardError(str(error)) from error
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "trueward_version": trueward.__version__,
        "command": typed,
        "mdp": {
            "name": str(command.mdp),
            "states": mdp.states,
            "actions": mdp.actions,
            "discount": mdp.discount,
            "sparse": mdp.is_sparse,
        },
        "rewards": [
            {"name": str(path), "trivial": is_trivial(reward, mdp)}
            for path, reward in zip(command.rewards, rewards, strict=True)
        ],
        "canonical": command.canonical,
        "norm": command.norm,
        "metric": command.difference_norm,
        "policy": "uniform" if command.policy is None else str(command.policy),
        "distances": distances,
        "regret": _defined(regrets(rewards, mdp).tolist()),
        "worst_case": _worst_cases(rewards, mdp) if command.worst_case else None,
    }


def _worst_cases(rewards: list[Any], mdp: TabularMDP) -> list[list[float | None]]:
    from trueward.measures.distances import worst_case_regret

    return _defined([[worst_case_regret(judge, other, mdp) for other in rewards] for judge in rewards])


def _defined(table: list[list[float]]) -> list[list[float | None]]:
    # NaN is the only number that differs from itself.
    return [[value if value == value else None for value in row] for row in table]


def _reward(path: Path, mdp: TabularMDP) -> Any:
    from trueward.measures.distances.canonical import form_of

    reward = _sparse(path) if path.suffix == ".npz" else _array(path)
    try:
        form_of(reward, mdp)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    return reward


def _policy(path: Path, mdp: TabularMDP) -> np.ndarray:
    from trueward.measures.tabular import check_policy

    policy = _array(path)
    try:
        if policy.ndim != 2 or policy.dtype.kind not in "fiub":
            raise ValueError(f"expected a policy [S, A] of real numbers; got {policy.dtype} of shape {policy.shape}")
        policy = policy.astype(float)
        check_policy(mdp, policy)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    return policy


def _array(path: Path) -> np.ndarray:
    import numpy as np

    try:
        loaded = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read as a NumPy array (numpy.save writes one): {error}") from error
    if not isinstance(loaded, np.ndarray):
        raise DataError(f"{path}: holds several arrays; save one array with numpy.save, in a file ending in .npy")
    return loaded


def _sparse(path: Path) -> Any:
    try:
        from scipy.sparse import load_npz
    except ImportError as error:
        raise MissingExtra("sparse rewards need scipy: pip install 'trueward[control]'") from error
    try:
        return load_npz(path)
    except (OSError, ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: is no sparse matrix as scipy.sparse.save_npz writes it: {error}") from error
