"""``python -m fogbank``."""

from __future__ import annotations

import sys

from fogbank.server.cli import main

if __name__ == "__main__":
    sys.exit(main())
