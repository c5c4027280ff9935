"""The services of this cloud, imported at start: their jobs must run unasked."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from fogbank.contract.service import Service

ROSTER = (
    "application_autoscaling",
    "dynamodb",
    "dynamodbstreams",
    "iam",
    "kms",
    "lambda_",
    "logs",
    "s3",
    "s3control",
    "sts",
)
"""One word per service package, in alphabetical order."""


def services() -> Sequence[Service]:
    """Return the manifests of all services."""
    return [import_module(f"fogbank.services.{name}").SERVICE for name in ROSTER]
