"""Everything that an audit of a reward of images measured."""

from __future__ import annotations

from dataclasses import dataclass

from trueward.audit.images.climbing import Climb
from trueward.audit.images.comparing import Scores
from trueward.audit.images.folder import Folder
from trueward.audit.images.growing import Growth
from trueward.audit.images.judging import Judged
from trueward.audit.images.ledger import Ledger
from trueward.audit.images.scoring import Scoring
from trueward.audit.images.told import Telling
from trueward.audit.images.trying import Prompted, Unstable


@dataclass(frozen=True)
class Evidence:
    """Everything that was measured.

    Attributes:
        folder: the images.
        own: their scores.
        scoring: the reward.
        holdout: the other scorer; None for none.
        judged: what the scores say together.
        prompted: the images under other prompts; None where there are no two.
        unstable: how scores changed when the same images were scored again; None where they did not.
        growth: the best-paid images changed step by step.
        climbed: what a search found; None where there was none.
        ledger: the best-paid images.
    """

    folder: Folder
    own: Scores
    scoring: Scoring
    holdout: Scoring | None
    judged: Judged
    prompted: Prompted | None
    unstable: Unstable | None
    growth: Growth
    climbed: Climb | None
    ledger: Ledger

    @property
    def told(self) -> Telling:
        """What every example has in common."""
        return Telling(self.scoring.name, self.folder.pictures, self.own, self.judged)
