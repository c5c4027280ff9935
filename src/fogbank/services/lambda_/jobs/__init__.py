"""Background work of Lambda: events that wait, streams that are read, and what is deleted."""

from __future__ import annotations

from typing import Final

from fogbank.services.lambda_.jobs.events import invoke_waiting
from fogbank.services.lambda_.jobs.forgetting import forget
from fogbank.services.lambda_.jobs.readiness import keep_ready
from fogbank.services.lambda_.jobs.retiring import retire
from fogbank.services.lambda_.jobs.sources import read_source
from fogbank.services.lambda_.jobs.tellings import tell

JOBS: Final = (invoke_waiting, tell, read_source, forget, keep_ready, retire)
