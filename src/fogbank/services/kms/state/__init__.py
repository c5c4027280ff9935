"""Where KMS's records lie: the only rooms that know keys of the store."""

from __future__ import annotations
