"""Application Auto Scaling's operations, a module per noun."""

from __future__ import annotations
