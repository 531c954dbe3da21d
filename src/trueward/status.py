"""What became of a score: fine, the answer's fault, or not the answer's fault.

Failure is a value. A part of a reward that could not be computed keeps a status instead of turning into a silent 0.0:
when the answer is to blame it earns the lowest reward of the declared range, otherwise the row leaves the statistics
of its group. This module imports nothing, so that a worker process can use it without loading NumPy.
"""

from __future__ import annotations

from enum import Enum


class Status(str, Enum):
    """Status of one part of a reward on one row.

    Members fall into three classes: `OK`; the answer's fault (`blames_answer`); and everything else, which is not the
    answer's fault. A time-out, crash or exception is first repeated alone, and only one that comes back is the
    answer's fault; one that does not is `UNAVAILABLE`.
    """

    OK = "ok"

    UNPARSABLE = "unparsable"  # the reward says that it cannot read the answer
    RAISED = "raised"  # the reward raised on this answer, twice
    TIMED_OUT = "timed out"  # over the deadline, twice
    OUT_OF_MEMORY = "out of memory"  # over the resident-memory limit, twice
    CRASHED = "crashed"  # the worker process ended, twice

    UNAVAILABLE = "unavailable"  # failed once and not again, or the budget ended before its turn
    MISSING_REFERENCE = "missing reference"  # the row lacks what the reward needs
    ABSTAINED = "abstained"  # the reward returned None
    NOT_FINITE = "not finite"  # NaN or infinite: a bug in the reward
    WRONG_TYPE = "wrong type"  # text, a list, an object: a bug in the reward
    WRONG_COUNT = "wrong count"  # not one score per row: a bug in the reward

    @property
    def ok(self) -> bool:
        """True when there is a usable value."""
        return self is Status.OK

    @property
    def blames_answer(self) -> bool:
        """True when the answer itself made the reward fail."""
        return self in _BLAMES_ANSWER

    @property
    def is_reward_bug(self) -> bool:
        """True when the reward returned something that is no score."""
        return self in _REWARD_BUG


_BLAMES_ANSWER = frozenset({Status.UNPARSABLE, Status.RAISED, Status.TIMED_OUT, Status.OUT_OF_MEMORY, Status.CRASHED})
_REWARD_BUG = frozenset({Status.NOT_FINITE, Status.WRONG_TYPE, Status.WRONG_COUNT})
