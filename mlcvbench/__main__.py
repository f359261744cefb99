"""`python -m mlcvbench` is `mlcvbench`."""

import sys

from mlcvbench.cli import main

if __name__ == "__main__":
    sys.exit(main())
