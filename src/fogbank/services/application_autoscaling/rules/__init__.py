"""Decisions of Application Auto Scaling, as pure functions."""

from __future__ import annotations
