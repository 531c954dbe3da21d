"""Is the score still true? The audit of a reward, before it costs GPU hours.

In: a reward (an address or a callable) and rows of prompts with references. Out: a report with findings, notes and a
document that `trueward.report` renders. The package can be called: `trueward.audit(reward, data)`.

- `subjects`: finds the reward and its rows, and starts workers for it.
- `calibration`: in which format the reward wants its answer, and whether it reads the answer at all.
- `derivations`, `certificates`, `probes`: completions, how they were made, and why they are certainly wrong or right.
- `scoring`, `payoff`, `behaviour`: what the reward paid, on a scale from nothing (0) to the right answer (1).
- `judge`, `summary`: findings (exit 1); notes (exit 0), the table of families, the headline.
- `expectations`, `written_tests`: what a test says that a reward must pay; findings as tests.
- `regression`, `before_after`: an audit against an earlier one, and against that of the hardened reward.
- `control`: the same for rewards of control.
- `images`: the same for rewards of images.
- `proxy`: whether a reward goes with gold under a base policy, and how far it may then be optimised.
- `logs`, `curves`: what a run has already paid wrongly; what more optimisation would bring.
- `search`: exploits that no fixed probe tries.
- `api`, `report`, `many`: one audit, its report, and many audits side by side.
"""

from __future__ import annotations

import sys
import types
from typing import Any


class _CallablePackage(types.ModuleType):
    """`trueward.audit` is a package and the function that it exists for."""

    def __call__(self, reward: Any, data: Any = None, **settings: Any) -> Any:
        """See `trueward.audit.api.audit`."""
        from trueward.audit.api import audit

        return audit(reward, data, **settings)


sys.modules[__name__].__class__ = _CallablePackage
