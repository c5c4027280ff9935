"""The decisions of CloudWatch Logs: pure functions over requests, events and times."""

from __future__ import annotations
