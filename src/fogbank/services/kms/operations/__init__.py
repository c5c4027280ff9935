"""The operations of KMS."""

from __future__ import annotations
