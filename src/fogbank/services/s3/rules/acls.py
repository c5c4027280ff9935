"""Access control lists: what requests ask for, what they grant, and who owns what is written.

Rule: a list that grants the owner FULL_CONTROL and nobody anything is no list at all (None). Where
a bucket's owner owns everything (``BucketOwnerEnforced``) lists do not count and none is kept.

Source: Amazon S3 User Guide, "Access control list (ACL) overview", "Controlling ownership of objects
and disabling ACLs for your bucket"; API Reference, PutBucketAcl and PutObjectAcl; messages from
answers recorded by LocalStack (services/s3/validation.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from fogbank.base.arn import canonical_user_id
from fogbank.base.types import Request
from fogbank.contract.action import Point
from fogbank.services.s3.errors import (
    AccessControlListNotSupported,
    InvalidArgument,
    InvalidRequest,
    MalformedACLError,
    MissingSecurityHeader,
    UnexpectedContent,
)
from fogbank.services.s3.rules.blocks import block_of
from fogbank.services.s3.schema import ENFORCED, Acl, BucketRecord, Grant

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

READ: Final = "READ"
WRITE: Final = "WRITE"
READ_ACP: Final = "READ_ACP"
WRITE_ACP: Final = "WRITE_ACP"
FULL_CONTROL: Final = "FULL_CONTROL"
_PERMISSIONS: Final = frozenset((READ, WRITE, READ_ACP, WRITE_ACP, FULL_CONTROL))

_GROUPS: Final = "http://acs.amazonaws.com/groups/"
ALL_USERS: Final = f"{_GROUPS}global/AllUsers"
AUTHENTICATED_USERS: Final = f"{_GROUPS}global/AuthenticatedUsers"
LOG_DELIVERY: Final = f"{_GROUPS}s3/LogDelivery"
PUBLIC: Final = frozenset((ALL_USERS, AUTHENTICATED_USERS))
_URIS: Final = frozenset((*PUBLIC, LOG_DELIVERY))

ANONYMOUS: Final = "anonymous"
"""Stands for the account of who writes an object without saying who it is."""
ANONYMOUS_ID: Final = "65a011a29cdf8ec533ec3d1ccaae921c"
"""AWS: the canonical user id of the anonymous user, which owns what nobody signed for."""
GRANTS_MAX: Final = 100
PREFERRED: Final = "BucketOwnerPreferred"
OWNERSHIPS: Final = frozenset((ENFORCED, PREFERRED, "ObjectWriter"))

_ID: Final = "id"
_EMAIL: Final = "emailAddress"
_HEADERS: Final[Mapping[str, tuple[str, str]]] = {
    "GrantFullControl": (FULL_CONTROL, "x-amz-grant-full-control"),
    "GrantRead": (READ, "x-amz-grant-read"),
    "GrantReadACP": (READ_ACP, "x-amz-grant-read-acp"),
    "GrantWrite": (WRITE, "x-amz-grant-write"),
    "GrantWriteACP": (WRITE_ACP, "x-amz-grant-write-acp"),
}
"""Members of requests to the permission that they grant and the header that they are."""
_MEMBERS: Final = frozenset(("ACL", *_HEADERS))
_CANNED: Final[Mapping[str, Acl]] = {
    "private": (),
    "public-read": (Grant(ALL_USERS, READ),),
    "public-read-write": (Grant(ALL_USERS, READ), Grant(ALL_USERS, WRITE)),
    "authenticated-read": (Grant(AUTHENTICATED_USERS, READ),),
    "log-delivery-write": (Grant(LOG_DELIVERY, WRITE), Grant(LOG_DELIVERY, READ_ACP)),
    # AWS: these two are of objects; on buckets they say what private says.
    "bucket-owner-read": (),
    "bucket-owner-full-control": (),
    # AWS: EC2 reads machine images as the owner of the bucket lets it; there is no EC2 here.
    "aws-exec-read": (),
}
_TO_BUCKET_OWNER: Final = {
    "bucket-owner-read": READ,
    "bucket-owner-full-control": FULL_CONTROL,
}
_UNCHANGED: Final = frozenset(("bucket-owner-full-control",))
"""Canned lists that may be named where lists do not count: they change nothing. AWS: no other may,
``private`` neither (User Guide, "Controlling ownership of objects")."""


@lru_cache(maxsize=4_096)
def owner_id(account: str) -> str:
    """Return the canonical user id of an account, or of the anonymous user."""
    return ANONYMOUS_ID if account == ANONYMOUS else canonical_user_id(account)


class People(NamedTuple):
    """Who owns what a request is about."""

    owner: str
    """The account that owns the bucket or object."""
    bucket_owner: str


class Asked(NamedTuple):
    """The list that a request asks for, before it is known who owns what."""

    canned: str = ""
    grants: Acl | None = None
    """The grants that stand in headers or in the document."""
    owner_id: str = ""
    """The owner that a document names."""

    @property
    def is_given(self) -> bool:
        """Return whether the request asks for a list at all."""
        return bool(self.canned) or self.grants is not None

    @property
    def is_public(self) -> bool:
        """Return whether the list lets the public in."""
        return is_public(_CANNED[self.canned] if self.canned else self.grants)

    @property
    def changes(self) -> bool:
        """Return whether the list is another than where lists do not count."""
        if self.canned:
            return self.canned not in _UNCHANGED
        return self.grants is not None


NOTHING: Final = Asked()


def is_public(acl: Acl | None) -> bool:
    """Return whether a list lets the public in."""
    return acl is not None and any(grant.grantee in PUBLIC for grant in acl)


def asks(request: Request) -> bool:
    """Return whether the headers of a request ask for a list."""
    return not request.keys().isdisjoint(_MEMBERS)


def asked_of(request: Request) -> Asked:
    """Return the list that the headers of a request ask for.

    Raises:
        InvalidArgument: A header is none, or names nobody that there can be.
        InvalidRequest: It asks for two lists.
    """
    if not asks(request):
        return NOTHING
    canned: str = request.get("ACL") or ""
    if canned and canned not in _CANNED:
        raise InvalidArgument(
            "Invalid value for x-amz-acl.", ArgumentName="x-amz-acl", ArgumentValue=canned
        )
    named = [member for member in _HEADERS if request.get(member)]
    if canned and named:
        raise InvalidRequest("Specifying both Canned ACLs and Header Grants is not allowed")
    if not named:
        return Asked(canned)
    grants: list[Grant] = []
    for member in named:
        permission, header = _HEADERS[member]
        grants += _header_grants(request[member], permission, header)
    return Asked(grants=_bounded(grants))


def _header_grants(text: str, permission: str, header: str) -> list[Grant]:
    """Return the grants of a header: ``id="...", uri="..."``."""
    grants: list[Grant] = []
    for entry in text.split(","):
        kind, equals, quoted = entry.strip().partition("=")
        who = quoted.strip().strip('"')
        if not equals or kind not in ("uri", _ID, _EMAIL):
            raise InvalidArgument(
                "Argument format not recognized", ArgumentName=header, ArgumentValue=entry.strip()
            )
        if kind == "uri" and who not in _URIS:
            raise InvalidArgument("Invalid group uri", ArgumentName="uri", ArgumentValue=who)
        if kind == _ID and who in _URIS:
            raise InvalidArgument("Invalid id", ArgumentName="id", ArgumentValue=who)
        grants.append(Grant(f"{_MAIL}{who}" if kind == _EMAIL else who, permission))
    return grants


_MAIL: Final = "mailto:"


def addresses_of(asked: Asked) -> list[str]:
    """Return the addresses by which a list names grantees."""
    grants = asked.grants or ()
    return [each.grantee.removeprefix(_MAIL) for each in grants if each.grantee.startswith(_MAIL)]


def ids_of(grants: Iterable[Grant]) -> frozenset[str]:
    """Return the canonical user ids in a list."""
    return frozenset(grant.grantee for grant in grants if grant.grantee not in _URIS)


def asked_by(request: Request) -> Asked:
    """Return the list that PutBucketAcl or PutObjectAcl asks for, in headers or a document.

    Raises:
        MissingSecurityHeader: It asks for none.
        UnexpectedContent: It asks in headers and in a document.
        MalformedACLError: The document is none.
        InvalidArgument: The document names nobody that there can be.
    """
    asked = asked_of(request)
    document: shapes.AccessControlPolicy | None = request.get("AccessControlPolicy")
    if document is None:
        if not asked.is_given:
            raise MissingSecurityHeader(MissingHeaderName="x-amz-acl")
        return asked
    if asked.is_given:
        raise UnexpectedContent
    if "Owner" not in document:
        raise MalformedACLError
    owner = document["Owner"].get("ID", "")
    # AWS: a document may leave out the owner's id, and not the owner.
    grants = [_grant_of(each) for each in document.get("Grants") or []]
    return Asked(grants=_bounded(grants), owner_id=owner)


def _grant_of(raw: shapes.Grant) -> Grant:
    """Return one grant of a document."""
    grantee, permission = raw.get("Grantee") or {}, raw.get("Permission", "")
    kind = grantee.get("Type")
    if permission not in _PERMISSIONS:
        raise MalformedACLError
    if kind == "Group":
        uri = grantee.get("URI", "")
        if uri not in _URIS:
            raise InvalidArgument("Invalid group uri", ArgumentName="Group/URI", ArgumentValue=uri)
        return Grant(uri, permission)
    if kind == "CanonicalUser":
        return Grant(grantee.get("ID", ""), permission)
    if kind == "AmazonCustomerByEmail":
        return Grant(_MAIL + grantee.get("EmailAddress", ""), permission)
    raise MalformedACLError


def grants_of_document(raw: Iterable[shapes.Grant]) -> Acl:
    """Return the grants of a document that is no list of an object's; see ``asked_by``."""
    return _bounded([_grant_of(each) for each in raw])


def _bounded(grants: list[Grant]) -> Acl:
    """Return the grants of a list that is not too long."""
    if len(grants) > GRANTS_MAX:
        raise InvalidRequest(f"The ACL has more than {GRANTS_MAX} grants.")
    return tuple(grants)


def check_ids(ids: Iterable[str], known: frozenset[str], *, header: bool) -> None:
    """Refuse canonical user ids that nobody has."""
    for who in sorted(ids):
        if who not in known:
            name = "id" if header else "CanonicalUser/ID"
            raise InvalidArgument("Invalid id", ArgumentName=name, ArgumentValue=who)


class Owned(NamedTuple):
    """Who owns what is written, and who may reach it."""

    owner: str = ""
    """Its account; empty: the bucket's."""
    acl: Acl | None = None


THE_BUCKETS: Final = Owned()


def owned_of(bucket: BucketRecord, account: str, asked: Asked) -> Owned:
    """Return who owns an object that an account writes, and its list.

    Args:
        bucket: Where it is written.
        account: Who writes it; empty: nobody knows.
        asked: The list that it is written with.

    Raises:
        AccessControlListNotSupported: Lists do not count, and it would change something.
    """
    if bucket.ownership == ENFORCED:
        if asked.changes and not _is_owners(bucket, asked.grants):
            raise AccessControlListNotSupported
        return THE_BUCKETS
    owner = _owner_of_write(bucket, account, asked)
    return Owned(owner, acl_of(asked, People(owner or bucket.account, bucket.account)))


def lets_others_in(bucket: BucketRecord) -> bool:
    """Return whether a bucket's list grants anything to anybody but its owner."""
    return any(grant.grantee != owner_id(bucket.account) for grant in bucket.acl or ())


def is_blocked(bucket: BucketRecord, asked: Asked, points: Iterable[Point] = ()) -> bool:
    """Return whether a list is refused because it lets the public in.

    Args:
        bucket: Of which, or in which.
        asked: The list.
        points: The access points that it comes through.
    """
    blocks = block_of(bucket).block_acls or any(each.public_lists_blocked for each in points)
    return blocks and asked.is_public


def _is_owners(bucket: BucketRecord, grants: Acl | None) -> bool:
    """Return whether grants give the bucket's owner full control, and nobody anything."""
    return grants == (Grant(owner_id(bucket.account), FULL_CONTROL),)


def acl_of(asked: Asked, people: People) -> Acl | None:
    """Return the list that was asked for as it is kept.

    Args:
        asked: The list.
        people: Whom canned lists are about.
    """
    owners = Grant(owner_id(people.owner), FULL_CONTROL)
    if not asked.canned:
        return None if asked.grants in (None, (owners,)) else asked.grants
    more = list(_CANNED[asked.canned])
    permission = _TO_BUCKET_OWNER.get(asked.canned)
    if permission is not None and people.owner != people.bucket_owner:
        more.append(Grant(owner_id(people.bucket_owner), permission))
    return (owners, *more) if more else None


def grants_of(acl: Acl | None, owner: str) -> Acl:
    """Return the grants of a list as it is kept, given the account of the owner."""
    return (Grant(owner_id(owner), FULL_CONTROL),) if acl is None else acl


def _owner_of_write(bucket: BucketRecord, account: str, asked: Asked) -> str:
    """Return the account that owns what is written, as it is kept; empty: the bucket's."""
    if account == bucket.account:
        return ""
    given = asked.canned == "bucket-owner-full-control" or (
        asked.grants is not None and Grant(owner_id(bucket.account), FULL_CONTROL) in asked.grants
    )
    if bucket.ownership == PREFERRED and given:
        return ""
    return account or ANONYMOUS


def shown_grants(acl: Acl, names: Mapping[str, str]) -> list[shapes.Grant]:
    """Return grants as replies have them.

    Args:
        acl: The list.
        names: The display names of canonical user ids, in deployments whose owners have some.
    """
    shown: list[shapes.Grant] = []
    # AWS documents no order. Where grantees have names the list goes by them, as one would look
    # for them: groups, which have none, first.
    ordered = sorted(acl, key=lambda grant: names.get(grant.grantee, "")) if names else acl
    for grant in ordered:
        grantee: shapes.Grantee = {"Type": "CanonicalUser", "ID": grant.grantee}
        if grant.grantee in _URIS:
            grantee = {"Type": "Group", "URI": grant.grantee}
        elif grant.grantee in names:
            grantee["DisplayName"] = names[grant.grantee]
        shown.append({"Grantee": grantee, "Permission": grant.permission})
    return shown
