"""The store of another process of this cloud, behind the same port: start in ``store.py``."""

from __future__ import annotations
