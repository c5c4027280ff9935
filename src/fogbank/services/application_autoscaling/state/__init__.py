"""Every access to what Application Auto Scaling keeps; functions take the transaction first."""

from __future__ import annotations
