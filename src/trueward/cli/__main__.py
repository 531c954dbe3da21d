"""`python -m trueward.cli`."""

import sys

from trueward.cli import main

if __name__ == "__main__":
    sys.exit(main())
