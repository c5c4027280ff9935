"""The composition root: settings, wiring, processes, command line."""

from __future__ import annotations
