"""Principals, credentials and sessions over the store."""

from __future__ import annotations
