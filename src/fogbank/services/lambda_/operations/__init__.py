"""The operations of Lambda."""

from __future__ import annotations
