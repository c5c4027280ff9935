"""The operations of S3, a module for each noun."""

from __future__ import annotations
