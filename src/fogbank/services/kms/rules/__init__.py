"""What KMS decides without looking: names, kinds of keys, ciphertexts, grants, policies, access."""

from __future__ import annotations
