"""A stand-in for the person who looks through samples and says which of them show artefacts.

Labels of this kind may reach training: they are what a curator is paid for. So that gold does not come with them, the
curator is made of images of its own, by a rule: an artefact is an image that lies farther from every real image it
knows than nearly all other real images do. It errs, as people do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from trueward.measures.images import nearest_distance


@dataclass(frozen=True)
class Curator:
    """Labels of artefacts, 1 for an image that has one.

    Attributes:
        known: real images, in [−1, 1].
        limit: distance to the nearest of `known` from which an image has an artefact.
        error: share of the labels that are turned round.
    """

    known: Float[np.ndarray, "m c h w"]
    limit: float
    error: float = 0.05

    def __post_init__(self) -> None:
        """Raises `ValueError` for an error outside of [0, 1]."""
        if not 0 <= self.error <= 1:
            raise ValueError(f"error={self.error!r}: a share of labels lies in [0, 1]")

    @classmethod
    def of(cls, images: Float[np.ndarray, "n c h w"], *, quantile: float = 0.9, error: float = 0.05) -> Curator:
        """A curator who knows one half of some real images, and has set the limit on the other.

        Args:
            images: real ones that neither rewards nor gold are made of.
            quantile: share of the other half that lies below the limit.
            error: see the class.

        Raises:
            ValueError: fewer than two images, or a quantile outside of [0, 1].
        """
        if len(images) < 2 or not 0 <= quantile <= 1:
            raise ValueError(f"{len(images)} images and quantile={quantile!r}: expected at least two, and a share")
        known, other = images[: len(images) // 2], images[len(images) // 2 :]
        return cls(known, float(np.quantile(nearest_distance(other, known), quantile)), error)

    def labels(self, images: Float[np.ndarray, "n c h w"], generator: np.random.Generator) -> Int[np.ndarray, " n"]:
        """A label for each image.

        Args:
            images: clamped to [−1, 1] first: a person sees what is shown.
            generator: of the errors.
        """
        far = nearest_distance(np.clip(images, -1.0, 1.0), self.known) > self.limit
        found: np.ndarray = (far ^ (generator.random(len(images)) < self.error)).astype(np.int64)
        return found
