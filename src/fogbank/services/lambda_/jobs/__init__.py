"""Background work of Lambda: events that wait, and streams that are read."""

from __future__ import annotations

from typing import Final

from fogbank.services.lambda_.jobs.events import invoke_waiting
from fogbank.services.lambda_.jobs.sources import read_source

JOBS: Final = (invoke_waiting, read_source)
