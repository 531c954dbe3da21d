"""TRL itself, which is imported when an adapter is first used."""

from __future__ import annotations

from typing import Any

from trueward.errors import MissingExtra, TrainingError

_FIRST, _BEFORE = (1, 16), (2, 0)


def engine() -> Any:
    """The module `trl`.

    Raises:
        MissingExtra: it is not installed.
        TrainingError: its version has other hooks than the adapter knows.
    """
    try:
        import trl
    except ImportError as error:
        raise MissingExtra(f"TRL cannot be imported ({error}): pip install 'trueward[trl]'") from error
    version = tuple(int(number) for number in trl.__version__.split(".")[:2])
    if not _FIRST <= version < _BEFORE:
        raise TrainingError(
            f"the adapter uses hooks of TRL 1.16 to 1.x, and TRL {trl.__version__} is installed: "
            "pip install 'trl>=1.16,<2'"
        )
    return trl
