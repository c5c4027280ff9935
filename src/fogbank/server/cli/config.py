"""``fogbank config``: every setting with its value, where that comes from, and what it means.

The form ``toml`` is a settings file: what it prints can be written to ``fogbank.toml``. A secret
is never printed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any, Final

from fogbank.server import config, settings

_WIDTH: Final = 96


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--config", metavar="FILE", help="settings (default DIR/fogbank.toml)")
    parser.add_argument("--format", choices=("toml", "json"), default="toml")


def run(given: argparse.Namespace) -> int:
    """Print the settings; status 1 if they cannot be used."""
    try:
        resolved = config.resolve(config.data_dir_of(given.data), given.config)
    except config.ConfigError as error:
        print(f"fogbank: {error}", file=sys.stderr)
        return 1
    rows = list(settings.rows(resolved.config, resolved.origins))
    if given.format == "json":
        print(json.dumps(rows, indent=1))
    else:
        print("\n".join(_toml(rows)))
    return 0


def _toml(rows: list[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of a settings file: top-level settings first, as the form wants it."""
    table = ""
    for row in sorted(rows, key=lambda row: "." in row["name"]):
        above, _, name = row["name"].partition(".")
        if name and above != table:
            table = above
            yield f"\n[{table}]"
        key = name or above
        yield from (f"# {line}" for line in wrap(row["meaning"], _WIDTH))
        yield f"# {row['variable']}; {row['type']}; default {text_of(row['default'])}"
        mark = "# " if row["value"] == settings.MASK else ""
        key = f'"{key}"' if "." in key else key
        yield f"{mark}{key} = {text_of(row['value'])}  # from {row['origin']}"


def text_of(value: Any) -> str:
    """Return a value as the file writes it; JSON's strings, numbers and lists are TOML's too."""
    return json.dumps(value, ensure_ascii=False)
