"""``fogbank audit``: the durable trail of calls, as CloudTrail records or as lines to read.

One JSON record a line (``--format json``), or one line of text; oldest first; whether a server runs
or not. ``--follow`` needs a server.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from datetime import UTC, datetime
from typing import Any, Final

from fogbank.base.clock import SystemClock
from fogbank.server import asking, config, control, datadir

_AGO: Final = re.compile(r"(\d+)([smhd])")
_UNITS_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--account", metavar="NAME", default="", help="of one account only")
    parser.add_argument(
        "--since", metavar="T", help="2026-01-02T03:04:05Z, or 90s, 15m, 2h, 1d ago"
    )
    parser.add_argument("--until", metavar="T", help="like --since")
    parser.add_argument("--event", metavar="NAME", default="", help="one operation, as PutObject")
    parser.add_argument("--user", metavar="ARN", default="", help="calls of one caller")
    parser.add_argument("--request", metavar="ID", default="", help="one call")
    parser.add_argument("--follow", action="store_true", help="go on with new calls")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def time_ms_of(text: str, now_ms: int) -> int:
    """Return a time that is given as such or as how long ago.

    Raises:
        ValueError: It is neither.
    """
    if ago := _AGO.fullmatch(text):
        return now_ms - int(ago[1]) * _UNITS_MS[ago[2]]
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def run(given: argparse.Namespace) -> int:
    """Print records; status 1 with the reason if there is no reading them."""
    data_dir = config.data_dir_of(given.data)
    if not (data_dir / datadir.CREDENTIALS_FILE).exists():
        return _fail(f"{data_dir} is no data directory: run fogbank serve first")
    now_ms = SystemClock().now_ms()
    asked: dict[str, Any] = {
        name: getattr(given, name) for name in ("account", "event", "user", "request", "follow")
    }
    try:
        for name in ("since", "until"):
            if text := getattr(given, name):
                asked[f"{name}_ms"] = time_ms_of(text, now_ms)
        ask = control.ask if given.follow else asking.ask
        ask(data_dir, "audit", asked, _print_json if given.format == "json" else _print_text)
    except KeyboardInterrupt:
        return 0
    except (
        control.ControlError,
        control.NotRunning,
        config.ConfigError,
        OSError,
        ValueError,
    ) as error:
        return _fail(str(error))
    return 0


def _print_json(record: dict[str, Any]) -> None:
    """Print one record on one line."""
    print(json.dumps(record), flush=True)


def _print_text(record: dict[str, Any]) -> None:
    """Print what matters of a record on one line."""
    identity = record["userIdentity"]
    names = ("arn", "invokedBy", "accessKeyId", "accountId")
    who = next(name for each in names if (name := identity.get(each)))
    service = record["eventSource"].partition(".")[0]
    about = " ".join(each["ARN"] for each in record.get("resources", []))
    end = record.get("errorCode", "ok")
    print(
        record["eventTime"],
        record["requestID"],
        who,
        f"{service}:{record['eventName']}",
        about or "-",
        end,
        flush=True,
    )


def _fail(reason: str) -> int:
    """Say why there is nothing to print."""
    print(f"fogbank: {reason}", file=sys.stderr)
    return 1
