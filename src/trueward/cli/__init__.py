"""The command line.

- `main`: reads the command, turns errors into one paragraph and exit code 2.
- `audit`: `trueward audit`.
- `curve`: `trueward curve`.
- `harden`: `trueward harden`.
- `watch`: `trueward watch`.
- `list`, `show`, `run`, `evidence`: the commands about systems; `experiments`: what they share.
"""

from trueward.cli.audit import audit_all
from trueward.cli.main import main

__all__ = ["audit_all", "main"]
