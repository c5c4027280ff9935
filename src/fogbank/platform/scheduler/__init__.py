"""Durable timers and the expressions that repeat them."""

from __future__ import annotations
