"""Which environment is audited: an id of Gymnasium, the address of a factory, or a factory.

An audit plays many policies from the same start states. It therefore asks for vector environments of its own, always of
the same size and reset with the same seeds, and closes them when they are done.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trueward.errors import AuditError, MissingExtra
from trueward.rewards.address import load_object

if TYPE_CHECKING:
    from gymnasium.spaces import Space
    from gymnasium.vector import VectorEnv

_ID = re.compile(r"(?:[\w.-]+:)?(?:[\w-]+/)?[\w.-]+-v\d+")
# Libraries that register their environments when they are imported, by the beginning of the ids.
_REGISTERS = {"MiniGrid-": "minigrid", "BabyAI-": "minigrid"}
_LIMIT = 1000  # steps of an episode where an environment has no limit: a run that never begins anew learns little
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Environments:
    """Vector environments of one kind.

    Attributes:
        name: for the report.
        make: number of environments → a vector environment, to be closed by whoever asked.
        observations: space of one observation; its observations are arrays.
        actions: space of one action.
    """

    name: str
    make: Callable[[int], VectorEnv[Any, Any, Any]]
    observations: Space[Any]
    actions: Space[Any]


def environments_of(env: Any) -> Environments:
    """The environments that were meant.

    Args:
        env: an id of Gymnasium ("CartPole-v1", "MiniGrid-Empty-5x5-v0", "package:Name-v0"), the address of a factory
            ("envs.py:make"), a factory of single environments (called without arguments), or a factory of vector
            environments (called with their number).

    Raises:
        AuditError: it is none of these, cannot be made, or has observations or actions that are no arrays.
        MissingExtra: Gymnasium is not installed.
    """
    try:
        import gymnasium
    except ImportError as error:
        raise MissingExtra("an audit with --env needs Gymnasium: pip install 'trueward[control]'") from error
    if isinstance(env, str):
        if _ID.fullmatch(env) is None and ":" in env:
            name, make = env, _by_factory(load_object(env), env)
        else:
            name, make = env, _by_id(env, gymnasium)
    else:
        name = str(getattr(env, "__name__", None) or type(env).__name__)
        make = _by_factory(env, name)
    try:
        first = make(1)
    except AuditError:
        raise
    except Exception as error:
        raise AuditError(f"{name} cannot be made: {type(error).__name__}: {_plain(error)}") from error
    with contextlib.closing(first):
        observations, actions = first.single_observation_space, first.single_action_space
    _check_spaces(name, observations, actions, gymnasium)
    return Environments(name, make, observations, actions)


def _by_id(name: str, gymnasium: Any) -> Callable[[int], Any]:
    for beginning, module in _REGISTERS.items():
        if name.startswith(beginning):
            try:
                importlib.import_module(module)
            except ImportError as error:
                raise MissingExtra(f"{name} comes with {module}: pip install 'trueward[control]'") from error
    module, _, registered = name.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        spec = gymnasium.spec(registered)
    except (gymnasium.error.Error, ImportError) as error:
        raise AuditError(
            f"there is no environment {name!r}: {_plain(error)} Give an id such as CartPole-v1, package:Name-v0 where "
            "importing the package registers it, or the address of a factory: file.py:make"
        ) from error
    if spec.vector_entry_point is not None:
        return lambda count: gymnasium.make_vec(spec, num_envs=count)
    limit = {} if spec.max_episode_steps else {"max_episode_steps": _LIMIT}
    return _by_singles(lambda: gymnasium.make(spec, **limit), gymnasium)


def _by_factory(factory: Any, name: str) -> Callable[[int], Any]:
    """One that needs an argument makes vector environments; one that needs none makes single ones."""
    import gymnasium

    if not callable(factory):
        raise AuditError(f"{name} is of type {type(factory).__name__}; expected a factory of environments")
    parameters = inspect.signature(factory).parameters.values()
    starred = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [one for one in parameters if one.default is one.empty and one.kind not in starred]
    if len(needed) > 1:
        raise AuditError(
            f"{name} needs {len(needed)} arguments; a factory is called with none (it makes one environment) or with "
            "the number of environments (it makes a vector environment)"
        )
    kind = gymnasium.vector.VectorEnv if needed else gymnasium.Env

    def made(*arguments: int) -> Any:
        env = factory(*arguments)
        if not isinstance(env, kind):
            called = "the number of environments" if needed else "nothing"
            raise AuditError(
                f"{name} returned {type(env).__name__}; called with {called} it must return a gymnasium {kind.__name__}"
            )
        return env

    return made if needed else _by_singles(made, gymnasium)


def _by_singles(make: Callable[[], Any], gymnasium: Any) -> Callable[[int], Any]:
    """Single environments side by side, with observations that are arrays."""

    def one() -> Any:
        env = make()
        space = env.observation_space
        if isinstance(space, gymnasium.spaces.Dict) and isinstance(space.spaces.get("image"), gymnasium.spaces.Box):
            # MiniGrid: the mission is text, and what the agent sees is the image.
            return gymnasium.wrappers.TransformObservation(env, lambda seen: seen["image"], space["image"])
        if isinstance(space, gymnasium.spaces.Dict | gymnasium.spaces.Tuple):
            return gymnasium.wrappers.FlattenObservation(env)
        return env

    return lambda count: gymnasium.vector.SyncVectorEnv([one] * count)


def _check_spaces(name: str, observations: Any, actions: Any, gymnasium: Any) -> None:
    spaces = gymnasium.spaces
    if not isinstance(observations, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        raise AuditError(f"{name} has observations of type {type(observations).__name__}; expected arrays or numbers")
    if not isinstance(actions, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        raise AuditError(f"{name} has actions of type {type(actions).__name__}; expected arrays or numbers")


def _plain(error: BaseException) -> str:
    said = _COLOUR.sub("", str(error)).replace("`", "'").strip()
    return said if said.endswith((".", "?", ")")) else f"{said}."
