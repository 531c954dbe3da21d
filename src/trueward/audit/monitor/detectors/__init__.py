"""Detectors without gold: each looks at one thing that changes when a reward is hacked, and hints.

They are weaker than the gold probe by nature: with rewards alone, learning and hacking may look the same. Each is a
`Watcher`; what all have in common stands in `detector`. How often each hints on healthy runs, and how many hacked ones
it finds, is measured by `benchmarks/calibration_detectors.py` and stands in docs/detectors.md.
"""

from trueward.audit.monitor.detectors.beyond import BeyondReference
from trueward.audit.monitor.detectors.ceiling import Ceiling
from trueward.audit.monitor.detectors.copies import CopiesAcrossPrompts
from trueward.audit.monitor.detectors.detector import Detector
from trueward.audit.monitor.detectors.disagreement import EnsembleDisagreement
from trueward.audit.monitor.detectors.dominance import ComponentDominance
from trueward.audit.monitor.detectors.entropy import Entropy
from trueward.audit.monitor.detectors.groups import GroupCollapse
from trueward.audit.monitor.detectors.length import LengthDrift
from trueward.audit.monitor.detectors.repetition import Repetition
from trueward.audit.monitor.detectors.traded import TradedPart
from trueward.audit.monitor.detectors.unfinished import Unfinished
from trueward.audit.monitor.detectors.unscored import Unscored

__all__ = [
    "BeyondReference",
    "Ceiling",
    "ComponentDominance",
    "CopiesAcrossPrompts",
    "Detector",
    "EnsembleDisagreement",
    "Entropy",
    "GroupCollapse",
    "LengthDrift",
    "Repetition",
    "TradedPart",
    "Unfinished",
    "Unscored",
    "default_detectors",
]


def default_detectors() -> list[Detector]:
    """One of each, new; those that lack what they need in a run stay silent."""
    return [
        BeyondReference(),
        Ceiling(),
        ComponentDominance(),
        TradedPart(),
        LengthDrift(),
        Unfinished(),
        GroupCollapse(),
        Entropy(),
        Repetition(),
        CopiesAcrossPrompts(),
        EnsembleDisagreement(),
        Unscored(),
    ]
