"""What is really wanted of completions: gold. It is for measuring, and has a type of its own.

No reward, credit, objective or trainer accepts a `Gold`. Where annotators are simulated, `annotations` turns it into
labels, and that is the only way from here into training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Gold:
    """How good N completions really are.

    Attributes:
        values: in [0, 1]; 1 is all that was wanted.
        measures: named numbers per completion that explain the value or show an exploit (length, repetition, …).
    """

    values: Float[np.ndarray, " n"]
    measures: Mapping[str, Float[np.ndarray, " n"]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises `ValueError` for values outside [0, 1], or a measure that has not one finite number per completion."""
        if self.values.ndim != 1 or not ((self.values >= 0) & (self.values <= 1)).all():
            raise ValueError(f"gold needs one number in [0, 1] per completion; got {self.values!r}")
        for name, numbers in self.measures.items():
            if numbers.shape != self.values.shape or not np.isfinite(numbers).all():
                raise ValueError(
                    f"the measure {name!r} needs one finite number for each of {len(self.values)} completions; "
                    f"got shape {numbers.shape}"
                )

    def __len__(self) -> int:
        """Number of completions."""
        return len(self.values)

    def means(self) -> dict[str, float]:
        """Mean of the values under the name "gold", and of every measure.

        Raises:
            ValueError: there are no completions.
        """
        if not len(self):
            raise ValueError("the mean gold of no completions does not exist; measure at least one")
        return {name: float(numbers.mean()) for name, numbers in {"gold": self.values, **self.measures}.items()}
