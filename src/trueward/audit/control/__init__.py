"""The audit of rewards of control: which policies a reward pays that nobody wants.

In: a reward, an environment, and gold, what is really wanted. Out: the same report as for rewards of text. Policies
that know nothing, policies that are planned or trained on the reward and on gold, and mixtures of them are played from
the same start states; a finding is a policy with less gold that the reward pays as much as the best one by gold.

- `environments`: an id, an address or a factory as vector environments.
- `scoring`: a reward that may fail on some steps; whether it scores the same steps the same.
- `policies`, `planning`, `learned`, `pool`: who plays. `episodes`: what came of it.
- `comparing`, `behaviour`, `potentials`, `judging`: which policies are paid that should not be, and what they do.
- `told`, `failures`, `notes`, `document`: findings in words, and the document.
- `api`: `audit_control`.
"""

from trueward.audit.control.api import ControlAuditSettings, ControlReport, audit_control

__all__ = ["ControlAuditSettings", "ControlReport", "audit_control"]
