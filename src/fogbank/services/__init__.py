"""The services: packages of small functions over data that never import each other."""

from __future__ import annotations
