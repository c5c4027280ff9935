"""Calls between the processes of one cloud, over Unix sockets: start in ``port.py``."""

from __future__ import annotations
