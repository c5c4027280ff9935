"""Engines: adapters behind the ports of the platform; plugged in by the server."""

from __future__ import annotations
