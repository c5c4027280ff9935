"""The decisions of Lambda: pure functions over requests and records."""

from __future__ import annotations
