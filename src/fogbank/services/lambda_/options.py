"""What a deployment chooses of Lambda."""

from __future__ import annotations

from typing import Final

from fogbank.contract.option import Option

TRACE_WITHOUT_XRAY: Final = Option("lambda.trace_without_xray")
"""``TracingConfig`` ``Active`` is taken, though nothing records segments: what can be had of it is had."""
URLS_BEFORE_OCTOBER_2025: Final = Option("lambda.urls_before_october_2025")
"""Function URLs ask for ``lambda:InvokeFunctionUrl`` alone, and not for ``lambda:InvokeFunction`` too.
Source: Developer Guide, "Control access to Lambda function URLs"."""
