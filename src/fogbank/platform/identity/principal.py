"""Who is calling: the value that every floor above passes along.

Source: IAM User Guide, "AWS JSON policy elements: Principal" and "The request context".
"""

from __future__ import annotations

import enum

import msgspec

from fogbank.base.arn import AWS, global_arn


class PrincipalKind(enum.StrEnum):
    """What kind of caller a principal is."""

    ROOT = "root"
    USER = "user"
    SESSION = "session"
    SERVICE = "service"
    ANONYMOUS = "anonymous"


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """A caller, after its proof held."""

    kind: PrincipalKind
    account: str
    """Twelve digits; empty for services and anonymous callers."""
    arn: str
    """``arn:aws:iam::1:user/x``, ``arn:aws:sts::1:assumed-role/r/s``, ``arn:aws:iam::1:root``;
    a service's name (``s3.amazonaws.com``) for a service; empty for anonymous."""
    unique_id: str = ""
    """``AIDA...`` of a user, ``AROA...`` of the role of a session; the account id for root."""
    name: str = ""
    """The user's name, or the role's."""
    path: str = "/"
    """The path of the user or role."""
    session_name: str = ""
    session_policies: tuple[str, ...] = ()
    """What cuts a session's permissions down: JSON documents, and ARNs of managed policies."""
    tags: tuple[tuple[str, str], ...] = ()
    transitive_tags: tuple[str, ...] = ()
    """Keys of tags that go on to sessions of further roles."""
    access_key_id: str = ""
    issued_ms: int = 0
    """When a temporary credential was issued: ``aws:TokenIssueTime``; 0 for others."""
    source_identity: str = ""
    """Who first assumed a role of the chain: ``aws:SourceIdentity``."""
    source_function_arn: str = ""
    """The function whose environment has a session: ``lambda:SourceFunctionArn``."""
    provider: str = ""
    """The identity provider a session came from: ``aws:FederatedProvider``."""
    source_arn: str = ""
    """For services: ``aws:SourceArn``."""
    source_account: str = ""
    """For services: ``aws:SourceAccount``."""
    partition: str = AWS
    """That of the account."""
    mfa_ms: int = 0
    """When the second factor of a temporary credential was proved: ``aws:MultiFactorAuthAge``."""

    @property
    def role_arn(self) -> str:
        """Return the ARN of the role of a session, else ''."""
        if self.kind is PrincipalKind.SESSION:
            role = f"role{self.path}{self.name}"
            return global_arn(self.partition, "iam", self.account, role)
        return ""

    @property
    def is_temporary(self) -> bool:
        """Tell whether the caller came with a session token."""
        return self.issued_ms > 0

    @property
    def user_id(self) -> str:
        """Return what ``aws:userid`` and GetCallerIdentity's ``UserId`` say."""
        if self.kind is PrincipalKind.SESSION:
            return f"{self.unique_id}:{self.session_name}"
        return self.unique_id


ANONYMOUS = Principal(kind=PrincipalKind.ANONYMOUS, account="", arn="")


def service_principal(name: str, *, source_arn: str = "", source_account: str = "") -> Principal:
    """Return a cloud service as caller, such as ``s3.amazonaws.com``."""
    return Principal(
        kind=PrincipalKind.SERVICE,
        account="",
        arn=name,
        name=name,
        source_arn=source_arn,
        source_account=source_account,
    )


def root_principal(
    account: str, access_key_id: str = "", issued_ms: int = 0, partition: str = AWS
) -> Principal:
    """Return the root user of an account."""
    return Principal(
        kind=PrincipalKind.ROOT,
        account=account,
        arn=global_arn(partition, "iam", account, "root"),
        unique_id=account,
        access_key_id=access_key_id,
        issued_ms=issued_ms,
        partition=partition,
    )
