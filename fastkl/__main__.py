"""``python -m fastkl``."""

import sys

from fastkl.cli import main

if __name__ == "__main__":
    sys.exit(main())
