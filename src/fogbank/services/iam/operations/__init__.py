"""The operations of IAM, a module per noun."""

from __future__ import annotations
