"""One module for each wire protocol; ``wire.compile`` chooses among them."""

from __future__ import annotations
