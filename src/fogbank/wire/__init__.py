"""Bytes to values and back: pure functions over published service models; no I/O."""

from __future__ import annotations
