"""What operators and customers see of the work done: report lines, usage, logs on their way."""

from __future__ import annotations
