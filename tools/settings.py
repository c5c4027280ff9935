"""Write ``docs/operating/settings.md`` from ``server/config.py``."""

from __future__ import annotations

import sys
from pathlib import Path

from fogbank.server import settings
from fogbank.server.config import SHORT_NAMES, Config

PAGE = Path(__file__).parents[1] / "docs" / "operating" / "settings.md"


def main() -> int:
    """Write the page, or check that it says what the code says."""
    text = settings.page(Config(), SHORT_NAMES)
    if "--check" in sys.argv[1:]:
        same = PAGE.is_file() and PAGE.read_text() == text
        print("" if same else "docs/operating/settings.md differs; run tools/settings.py", end="")
        return 0 if same else 1
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
