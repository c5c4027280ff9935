"""Log lines: text for people or JSON for machines, with the call during which they were written.

Rule: a line holds words of ours and names; values of requests are not logged anywhere.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, Literal

from fogbank.platform.metering.current import find_said

Form = Literal["text", "json"]
_STANDARD: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class TextLines(logging.Formatter):
    """One line for people; the call stands in brackets."""

    def __init__(self) -> None:
        super().__init__(_STANDARD)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the library's name)
        """Return the first line of an entry."""
        line = super().formatMessage(record)
        said = find_said()
        if said is None:
            return line
        about = " ".join(part for part in said if part)
        return f"{line} [{about}]"


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one entry."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        said = find_said()
        if said is not None:
            line |= {"request_id": said.request_id, "operation": said.operation}
            if said.account:
                line["account"] = said.account
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def begin(level: str, form: Form) -> None:
    """Write the process's log to the standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=level.upper(), handlers=[handler])
