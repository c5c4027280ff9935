"""Decisions of S3 as pure functions: no clock, no store, no await."""

from __future__ import annotations
