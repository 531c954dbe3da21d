"""`trueward harden`."""

from __future__ import annotations

from dataclasses import dataclass, field

import tyro

from trueward.cli.audit import Workers, audit_all, default_workers
from trueward.cli.data_options import DataOptions
from trueward.errors import TruewardError


@dataclass(frozen=True, kw_only=True)
class HardenCommand(DataOptions):
    """What a reward pays before and after it is hardened: one committed answer, static limits, no unearned copy.

    Exit code: 0, or 2 when nothing could be compared.
    """

    rewards: tyro.conf.Positional[tuple[str, ...]]
    """Addresses, as for audit."""
    template: str | None = None
    """Format of an answer, with {answer} once; instead of finding the format."""
    deadline: float = 5.0
    """Seconds that one call of the reward may take."""
    workers: Workers = field(default_factory=default_workers)
    """Worker processes."""


def run_harden(command: HardenCommand) -> int:
    """Audit every reward twice and print the tables."""
    from trueward.audit.api import Settings
    from trueward.audit.before_after import both, effects_of, markdown

    if not command.rewards:
        raise TruewardError("name a reward, for example: trueward harden rewards.py:my_reward --data prompts.jsonl")
    prompts, template = command.prompts, command.template
    subjects = both(command.rewards, command.data, prompts, template=template, columns=command.columns)
    # Strict, so that other ways to write the right answer are refused where they count.
    settings = Settings(
        prompts=prompts, deadline=command.deadline, workers=command.workers, template=template, strict=True
    )
    effects = effects_of(audit_all(subjects, settings))
    print(markdown(effects), end="")
    return 0 if any(effect.measured for effect in effects) else 2
