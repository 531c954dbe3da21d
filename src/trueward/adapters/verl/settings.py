"""What the user set for Trueward in verl's configuration: every key is used or refused."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from trueward.errors import TrainingError

Made = TypeVar("Made")


def section(config: Any, name: str = "trueward") -> dict[str, Any]:
    """A section of verl's configuration as plain values; {} where it is not there.

    Args:
        config: an OmegaConf node, one of verl's configuration records, a mapping, or None.
        name: of the section.

    Raises:
        TrainingError: it is no mapping.
    """
    found = None if config is None else config.get(name, None)
    if found is None:
        return {}
    plain = _plain(found)
    if not isinstance(plain, Mapping):
        raise TrainingError(f"{name}={plain!r} must be a section of settings, as in +algorithm.{name}.epsilon=1e-4")
    return {str(key): value for key, value in plain.items()}


def _plain(found: Any) -> Any:
    if type(found).__module__.startswith("omegaconf"):
        from omegaconf import OmegaConf

        return OmegaConf.to_container(found, resolve=True)
    return found


def names_of(maker: Callable[..., Any]) -> frozenset[str]:
    """Names of the settings that a class or function takes."""
    return frozenset(inspect.signature(maker).parameters)


def with_settings(record: Made, settings: Mapping[str, Any]) -> Made:
    """A frozen record with some fields set anew."""
    return dataclasses.replace(record, **settings) if settings else record  # type: ignore[type-var]


def refuse_unknown(given: Iterable[str], known: Iterable[str], where: str) -> None:
    """Refuse a setting that nothing would read.

    Raises:
        TrainingError: there is one; the message lists what is known.
    """
    known = sorted(known)
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise TrainingError(f"{where} has no setting {', '.join(unknown)}; it knows {', '.join(known)}")
