"""`python -m trueward.adapters.verl`: does verl, as it is installed here, know Trueward?"""

from __future__ import annotations

import sys

from trueward.adapters.verl.registered import ESTIMATORS, LOSSES, REWARD_MANAGERS, TRAINERS, check_registered
from trueward.errors import TruewardError


def main() -> int:
    """Prints the names, or what is missing; returns the exit code."""
    try:
        check_registered(trainers=True)
    except (TruewardError, ImportError) as error:
        print(error, file=sys.stderr)
        return 2
    print("verl knows:", *ESTIMATORS, *LOSSES, *(f"{name} (reward manager)" for name in REWARD_MANAGERS), *TRAINERS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
