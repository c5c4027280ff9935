"""Callers as tests want them: a user, and a session of a role."""

from __future__ import annotations

from typing import Any

import msgspec

from fogbank.platform.identity.principal import Principal, PrincipalKind

ACCOUNT = "111122223333"
_USER = Principal(
    kind=PrincipalKind.USER,
    account=ACCOUNT,
    arn=f"arn:aws:iam::{ACCOUNT}:user/alice",
    unique_id="AIDA1",
    name="alice",
)
_SESSION = Principal(
    kind=PrincipalKind.SESSION,
    account=ACCOUNT,
    arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/r/one",
    unique_id="AROA1",
    name="r",
    session_name="one",
)


def user(**more: Any) -> Principal:
    """Return the user alice."""
    return msgspec.structs.replace(_USER, **more)


def session(**more: Any) -> Principal:
    """Return the session one of the role r."""
    return msgspec.structs.replace(_SESSION, **more)
