"""One run: what a recipe's function is given."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trueward.errors import EvidenceError
from trueward.evidence.build_once import build_once
from trueward.report.atomic import write_whole


@dataclass(frozen=True)
class Run:
    """One arm under one seed.

    Arms are paired by seed, so whatever both arms of a seed are to have in common is drawn from `generator` or
    `seed_for`, which know the seed and a name and nothing of the arm, or is built once in `shared`.

    Attributes:
        recipe, arm, scale: names.
        seed: the number by which arms are paired.
        settings: all of them: the recipe's, the scale's, the arm's, those chosen by tuning.
        directory: of this run alone: `<root>/<recipe>/<scale>/seed-<n>/<arm>`. What the run keeps there to go on after
            a kill (checkpoints, `metrics.jsonl`) it finds again when it is repeated.
    """

    recipe: str
    arm: str
    scale: str
    seed: int
    settings: Mapping[str, Any]
    directory: Path

    def seed_for(self, name: str) -> int:
        """A seed for a named source of randomness, the same in every arm: 63 bits of SHA-256 over seed and name."""
        digest = hashlib.sha256(f"{self.seed}:{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big") >> 1

    def generator(self, name: str) -> np.random.Generator:
        """A generator for a named source of randomness, the same in every arm."""
        return np.random.default_rng(self.seed_for(name))

    def shared(self, name: str, settings: Mapping[str, Any], build: Callable[[Path], None]) -> Path:
        """A folder that all arms of this seed share: a warm start, a reward model.

        The first run that asks builds it; others wait for it. A build that is killed leaves nothing behind that
        another would take for whole.

        Args:
            name: what it is.
            settings: everything that the build depends on beside the seed. Equal name, seed and settings mean equal
                content, whichever arm builds.
            build: fills the empty folder that it is given; its randomness comes from `seed_for` and `generator`.

        Raises:
            EvidenceError: the settings are no JSON, or the name is no file name.
        """
        key = json_text({"name": name, "seed": self.seed, "settings": dict(settings)}, f"shared folder {name!r}")
        if not name or name.startswith(".") or "/" in name:
            raise EvidenceError(f"a shared folder needs a plain name, not {name!r}")

        def build_with_key(folder: Path) -> None:
            build(folder)
            write_whole(folder / "key.json", key.encode())

        place = self.directory.absolute().parents[2] / "shared" / f"seed-{self.seed}"
        return build_once(place / f"{name}-{short_hash(key)}", build_with_key)


def short_hash(text: str) -> str:
    """Twelve hexadecimal digits of SHA-256: a name for a folder."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def json_text(value: Any, what: str) -> str:
    """JSON with sorted names: equal values give equal text.

    Raises:
        EvidenceError: the value is no JSON; `what` says whose it is.
    """
    try:
        return json.dumps(value, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise EvidenceError(
            f"{what}: settings must be JSON values (text, finite numbers, true, false, null, lists): {error}"
        ) from error
