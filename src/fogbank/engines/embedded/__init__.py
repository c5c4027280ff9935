"""The embedded engine: one process's durable store on a local disk; start in ``store.py``.

This module imports nothing, because the checkpointer process passes through it.
"""

from __future__ import annotations
