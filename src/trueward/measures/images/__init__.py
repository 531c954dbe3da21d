"""Measures of generated images: what shows that a score was raised by something other than better images.

- `artefacts`: energy in high frequencies, pixels outside the range, ink at the border.
- `neighbours`: distance to real images (realism, copying) and to each other (diversity).
- `correction`: the corrected score, and the step at which hacking starts.
"""

from trueward.measures.images.artefacts import border_ink, high_frequency_energy, high_frequency_ratio, outside_mass
from trueward.measures.images.correction import corrected_score, five_point, hacking_boundary
from trueward.measures.images.neighbours import (
    diversity_ratio,
    nearest_distance,
    realism_rank,
    within_class_distance,
)

__all__ = [
    "border_ink",
    "corrected_score",
    "diversity_ratio",
    "five_point",
    "hacking_boundary",
    "high_frequency_energy",
    "high_frequency_ratio",
    "nearest_distance",
    "outside_mass",
    "realism_rank",
    "within_class_distance",
]
