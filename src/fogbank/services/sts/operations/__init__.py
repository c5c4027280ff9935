"""The operations of STS."""

from __future__ import annotations
