"""Facts on their way: outbox entries, their reader, delivery with retry and dead letters."""

from __future__ import annotations
