"""How a command asks: the server of a data directory, or the directory itself where none runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
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


def told(data_argument: str | None, request: str, arguments: dict[str, Any], on_row: OnRow) -> int:
    """Ask about a data directory that must be there; return a command's exit status.

    What is refused, and why, goes to standard error.
    """
    data_dir = config.data_dir_of(data_argument)
    try:
        if not (data_dir / datadir.CREDENTIALS_FILE).exists():
            raise FileNotFoundError(f"{data_dir} is no data directory: run fogbank serve first")
        ask(data_dir, request, arguments, on_row)
    except (control.ControlError, config.ConfigError, OSError) as error:
        print(f"fogbank: {error}", file=sys.stderr)
        return 1
    return 0


def anew_words(state: Mapping[str, Any]) -> str:
    """Return how far everything is under the newest data key (``AnewState``), in words."""
    if not state["key_id"]:
        return "nothing: new writes stay plain"
    if state["error"]:
        return f"STOPPED: {state['error']}"
    lost = f"; {state['damaged']} damaged ones need older keys" if state["damaged"] else ""
    if state["is_done"]:
        return f"everything, with data key {state['key_id']}{lost}"
    done = (
        f"the rows, and blobs up to number {state['judged']} of {state['upto']}"
        if state["are_rows_done"]
        else f"{state['rows']} rows"
    )
    return f"with data key {state['key_id']} so far {done}{lost}"


def time_of(at_ms: int) -> str:
    """Return a time as commands print it: UTC, with milliseconds."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
