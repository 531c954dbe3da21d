"""Which runs an experiment consists of, and which combination of tuned settings is taken."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trueward.errors import EvidenceError
from trueward.evidence.recipe import Arm, Recipe, Settings, combinations
from trueward.evidence.run import Run, json_text, short_hash


@dataclass(frozen=True)
class Experiment:
    """A recipe, and how much of it is run.

    Attributes:
        recipe: what is put to the test.
        scale: one of the recipe's scales.
        root: folder of all runs.
        seeds: reported seeds; None for the recipe's.
        arms: names of arms; () for all of this scale.
        overrides: settings that win over the recipe's, the arms' and the tuned ones. Runs with overrides have a folder
            of their own, so that trying something out never touches what is reported.
        tune: False takes the first candidate of each tuned setting; None means True but at scale "smoke".
    """

    recipe: Recipe
    scale: str = "small"
    root: Path = Path("runs")
    seeds: tuple[int, ...] | None = None
    arms: tuple[str, ...] = ()
    overrides: Settings = field(default_factory=dict)
    tune: bool | None = None

    def __post_init__(self) -> None:
        """Raises `EvidenceError` for what the recipe does not have, and for seeds that are also tuning seeds."""
        self.recipe.at(self.scale)
        for name in self.arms:
            self.recipe.arm(name)
        overlap = sorted(set(self.reported) & set(self.recipe.tuning_seeds))
        if overlap:
            raise EvidenceError(
                f"recipe {self.recipe.name!r}: seeds {overlap} are tuning seeds; a reported seed must not be one"
            )
        if not self.reported or len(set(self.reported)) < len(self.reported):
            raise EvidenceError(f"an experiment needs seeds, each once; got {list(self.reported)}")

    @property
    def reported(self) -> tuple[int, ...]:
        """The seeds that are reported."""
        return self.recipe.seeds if self.seeds is None else self.seeds

    @property
    def chosen_arms(self) -> tuple[Arm, ...]:
        """The arms that are run, in the order of the recipe."""
        at_scale = (arm for arm in self.recipe.arms if not arm.full or self.scale == "full")
        return tuple(arm for arm in self.recipe.arms if arm.name in self.arms) if self.arms else tuple(at_scale)

    @property
    def folder(self) -> Path:
        """`<root>/<recipe>/<scale>`, with a hash of the overrides where there are any."""
        suffix = f"-{short_hash(json_text(dict(self.overrides), 'overrides'))}" if self.overrides else ""
        return self.root / self.recipe.name / f"{self.scale}{suffix}"

    def candidates(self, arm: Arm) -> list[dict[str, Any]]:
        """The combinations that are tried for an arm; one where there is nothing to choose."""
        tuned = {name: values for name, values in arm.tuned.items() if name not in self.overrides}
        found = combinations(tuned)
        tune = self.scale != "smoke" if self.tune is None else self.tune
        return found if tune else found[:1]

    def run(self, arm: Arm, seed: int, chosen: Settings, *, tuning: bool = False) -> Run:
        """The run of an arm under a seed with a combination of tuned settings."""
        what = f"arm {arm.name!r} of recipe {self.recipe.name!r}"
        settings = {**self.recipe.at(self.scale), **arm.settings, **chosen, **self.overrides}
        # As another process will read them: tuples become lists.
        settings = json.loads(json_text(settings, what))
        folder = f"{arm.name}-{short_hash(json_text(dict(chosen), what))}" if tuning else arm.name
        return Run(
            self.recipe.name, arm.name, self.scale, seed, settings, self.folder.absolute() / f"seed-{seed}" / folder
        )


@dataclass(frozen=True)
class Tried:
    """One combination of candidates on the tuning seeds.

    Attributes:
        arm: its name.
        settings: the combination.
        values: the metric tuned on, by tuning seed; None for a run that failed.
        chosen: whether it is the one that is reported.
    """

    arm: str
    settings: Mapping[str, Any]
    values: Mapping[int, float | None]
    chosen: bool = False

    @property
    def mean(self) -> float | None:
        """Mean over the tuning seeds; None when one of them gave no number."""
        values = [value for value in self.values.values() if value is not None and math.isfinite(value)]
        return math.fsum(values) / len(values) if values and len(values) == len(self.values) else None


def best(recipe: Recipe, tried: Sequence[Tried]) -> int | None:
    """Which combination is taken: the best mean of the metric tuned on, the first of equals; None when all failed.

    Raises:
        EvidenceError: the metric has no better direction.
    """
    [metric] = [metric for metric in recipe.metrics if metric.name == recipe.tuned_on]
    if metric.better is None:
        raise EvidenceError(f"recipe {recipe.name!r} tunes on {metric.name!r}, of which neither direction is better")
    sign = 1.0 if metric.better == "higher" else -1.0
    means = {number: one.mean for number, one in enumerate(tried)}
    usable = {number: sign * mean for number, mean in means.items() if mean is not None}
    return max(usable, key=lambda number: (usable[number], -number)) if usable else None
