"""``fogbank why-denied REQUEST_ID``: which statement of which policy refused a request.

The id is what a client hears with its refusal (``x-amz-request-id``, ``x-amzn-requestid``). Works
whether a server runs or not. Refused before any policy was asked (a wrong signature, say): the
command says so.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from fogbank.server import asking, config, control, datadir


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("request", metavar="REQUEST_ID")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(given: argparse.Namespace) -> int:
    """Print why a request was refused; status 1 if nothing is known of it."""
    data_dir = config.data_dir_of(given.data)
    if not (data_dir / datadir.CREDENTIALS_FILE).exists():
        return _fail(f"{data_dir} is no data directory: run fogbank serve first")
    rows: list[dict[str, Any]] = []
    try:
        result = asking.ask(data_dir, "why-denied", {"request": given.request}, rows.append)
    except (control.ControlError, config.ConfigError, OSError) as error:
        return _fail(str(error))
    (row,) = rows
    if given.format == "json":
        print(json.dumps(row, indent=1))
    else:
        print("\n".join(_denial(row) if result["found"] == "denial" else _call(row)))
    return 0


def _denial(row: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that explain a refusal."""
    when = datetime.fromtimestamp(row["time_ms"] / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    yield row["explanation"]
    yield ""
    key = f" with key {row['accessKeyId']}" if row["accessKeyId"] else ""
    yield f"who        {row['principal']}{key}, from {row['sourceIPAddress'] or 'inside'}"
    yield f"when       {when}, {row['operation']} in {row['region']}, request {row['requestID']}"
    yield f"action     {row['action']}"
    yield f"resource   {row['resource']}"
    policy = row["policy"]
    if policy is None:
        yield "statement  none: no statement allows it"
    else:
        sid = f' (Sid "{policy["sid"]}")' if policy["sid"] else ""
        name = f"{policy['kind']} policy {policy['policy']}".rstrip()
        of = f" of {policy['holder']}" if policy["holder"] else ""
        yield f"statement  number {policy['statement'] + 1}{sid} of the {name}{of}"
        if policy["text"]:
            yield f"           {policy['text']}"
    yield "looked at" + ("" if row["lookedAt"] else "  no policy")
    for each in row["lookedAt"]:
        of = f" of {each['holder']}" if each["holder"] else ""
        yield f"           {each['kind']} policy {each['policy']}".rstrip() + of
    yield "context"
    for key, value in sorted(row["context"].items()):
        yield f"           {key} = {value if isinstance(value, str) else ', '.join(value)}"


def _call(record: dict[str, Any]) -> Iterator[str]:
    """Yield the lines about a call that no policy refused."""
    code = record.get("errorCode")
    what = f"{record['eventSource'].partition('.')[0]}:{record['eventName']}"
    if code is None:
        yield f"the request {record['requestID']} ({what}) was not refused"
    else:
        yield f"the request {record['requestID']} ({what}) was refused by no policy: {code}"
        yield record.get("errorMessage", "")


def _fail(reason: str) -> int:
    """Say why there is nothing to print."""
    print(f"fogbank: {reason}", file=sys.stderr)
    return 1
