"""Every access of S3 to keys and blobs; functions take the transaction first and compose."""

from __future__ import annotations
