"""Errors, typed by the stage they belong to.

Each message says what was given, what was expected and what to do. The command line turns every `TruewardError` into
one readable paragraph and exit code 2.
"""

from __future__ import annotations


class TruewardError(Exception):
    """Base of all errors that Trueward raises on purpose."""


class DataError(TruewardError):
    """The prompts or rollouts cannot be read. The message starts with `file:line`, where there is one."""


class RewardError(TruewardError):
    """The reward cannot be found, built, or called: a wrong address, a missing column, an unknown signature."""


class Unavailable(TruewardError):
    """A reward could not be asked: a server that does not answer, a sandbox that does not start. Never the answer's
    fault: whoever scores gives the rows the status `UNAVAILABLE`.
    """


class WorkerError(TruewardError):
    """The worker pool cannot start, cannot stay at its size, or used up its budget."""


class AuditError(TruewardError):
    """The audit cannot come to a verdict: too few usable rows, no calibration, a failed self-test."""


class TrainingError(TruewardError):
    """A training run cannot start or go on: settings that contradict each other, a checkpoint of another run."""


class EvidenceError(TruewardError):
    """An experiment is not what it must be: unknown arms, seeds that overlap, results of other settings."""


class MissingExtra(TruewardError):
    """An optional library is not installed. The message names the extra to install."""
