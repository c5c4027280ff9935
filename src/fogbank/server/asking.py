"""How a command asks: the server of a data directory, or the directory itself where none runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fogbank.server import config, control, datadir

OnRow = Callable[[dict[str, Any]], None]


def ask(data_dir: Path, request: str, arguments: dict[str, Any], on_row: OnRow) -> dict[str, Any]:
    """Ask whoever holds the data directory; a server may be just starting on it.

    Raises:
        ControlError: The request is refused.
        ConfigError: No server runs, and the settings cannot be used.
        OSError: The directory cannot be used.
    """
    try:
        return control.ask(data_dir, request, arguments, on_row)
    except control.NotRunning:
        # Loaded only here: it brings the store.
        from fogbank.server import offline  # noqa: PLC0415 (a command to a server stays light)

        settings = config.load(data_dir)
        os.umask(0o077)
        datadir.make_data_dir(data_dir)
        try:
            return offline.ask(data_dir, settings, request, arguments, on_row)
        except control.ControlError as error:
            if error.code != offline.IN_USE:
                raise
            return _ask_started(data_dir, request, arguments, on_row, error)


def _ask_started(
    data_dir: Path,
    request: str,
    arguments: dict[str, Any],
    on_row: OnRow,
    error: control.ControlError,
) -> dict[str, Any]:
    """Ask the server that took the lock before us; what holds it without answering is an error."""
    try:
        return control.ask(data_dir, request, arguments, on_row)
    except control.NotRunning:
        raise error from None
