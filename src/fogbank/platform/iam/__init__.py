"""The policy language: parsed, compiled and evaluated; pure, no input or output.

Read ``policy`` (what a document becomes) and ``evaluate`` (how a request is decided) first.
"""

from __future__ import annotations
