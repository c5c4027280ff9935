from __future__ import annotations

from tests.wire.people import cloud, document, iam, sts, trust, user

__all__ = ["cloud", "document", "iam", "sts", "trust", "user"]
