"""What no model states about a service on the wire, read from its patch file.

Rule: a switch that differs between services is a field here with the common value as its default;
codecs read fields and never compare service names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class Refusal:
    """The code and message with which a member's bad value is refused."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Settings:
    """The switches of one service; names in the patch are the same."""

    constraint_code: str = ""
    """Code of constraint violations; the protocol's own if empty."""
    constraints: tuple[str, ...] = ("required", "length", "range", "pattern", "enum")
    """Which constraints the front checks; in S3 only those of documents, as MalformedXML."""
    required_texts: Mapping[str, str] = field(default_factory=dict[str, str])
    """Full message where a member (``Operation.Member``) is missing and AWS has its own words."""
    empty_texts: Mapping[str, str] = field(default_factory=dict[str, str])
    """Full message where a list or map (``Operation.Member``) is empty and AWS has its own words."""
    bare_members: tuple[str, ...] = ()
    """Members (``Operation.Member``) of which AWS tells the path as it is spelt, and no value."""
    enum_orders: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """The order in which AWS lists the words of a shape, where it is not the model's."""
    pattern_texts: Mapping[str, str] = field(default_factory=dict[str, str])
    """Full message, with ``{member}``, where a pattern is broken and AWS has its own words."""
    error_namespace: str = ""
    """What stands before ``#`` in ``__type`` of the service's own errors."""
    error_namespaces: Mapping[str, str] = field(default_factory=dict[str, str])
    """What stands before ``#`` for single codes."""
    message_keys: Mapping[str, str] = field(default_factory=dict[str, str])
    """The key of the message for codes that the model does not have."""
    bare_errors: tuple[str, ...] = ()
    """Codes that are sent without any message."""
    statuses: Mapping[str, int] = field(default_factory=dict[str, int])
    """HTTP statuses of codes for which the model has none."""
    query_codes: Mapping[str, str] = field(default_factory=dict[str, str])
    """Codes of a former query interface by shape, where the model has none."""
    unknown_operation: str = ""
    """Code of an unknown operation; the protocol's own if empty."""
    crc32: bool = False
    """Whether replies carry ``x-amz-crc32``."""
    unread_encoding: str = ""
    """Code, with status 500, of bodies in codings that are not known or that are not of theirs;
    empty: the first are taken as they are, the second are malformed."""
    packed_replies: bool = False
    """Whether replies are compressed for clients that take them so."""
    cross_origin: bool = False
    """Whether web pages of any origin may call it, as they may on AWS."""
    s3_style: bool = False
    """Whether errors and request ids have S3's form."""
    flat_by_element: bool = False
    """Whether a flattened list goes by the name of its elements and not by its member's."""
    iso_millis: bool = False
    """Whether timestamps in XML always carry milliseconds."""
    told_by: str = ""
    """A header that every request to it carries, and none to another service that signs as it does."""
    xml_namespace: str = ""
    """The namespace of XML answers where the model has none."""
    roots: Mapping[str, str] = field(default_factory=dict[str, str])
    """Root elements of answers by operation, where the model has none."""
    unwrapped: tuple[str, ...] = ()
    """Operations whose single body member is the text of the root element."""
    unrouted: tuple[str, ...] = ()
    """Operations that share a route with another, which is the one meant."""
    checksum_optional: tuple[str, ...] = ()
    """Operations that do not insist on the checksum of their document, whatever the model says."""
    lenient_members: tuple[str, ...] = ()
    """Header members whose unreadable value counts as absent."""
    any_case_members: tuple[str, ...] = ()
    """Header members whose words, capital in the model, are taken in letters of either case."""
    open_members: tuple[str, ...] = ()
    """Header members whose values the operation judges itself, once who asks was let in."""
    member_refusals: Mapping[str, Refusal] = field(default_factory=dict[str, Refusal])
    """How bad values of header and query members are refused, by location name."""
    plain_tokens: tuple[str, ...] = ()
    """Members for paging that are keys or names which clients may make up: never sealed."""
    page_tokens: Mapping[str, tuple[tuple[str, str], ...]] = field(
        default_factory=dict[str, tuple[tuple[str, str], ...]]
    )
    """Further tokens of pages by operation: pairs of an input's and an output's member.

    The input's is empty where an operation only gives tokens, which another takes.
    """
    token_takers: Mapping[str, str] = field(default_factory=dict[str, str])
    """For operations that only give tokens, the operation that takes them."""
    token_mark: str = ""
    """What ends the part of a token that its holder may read; empty: none of it is to be read."""
    bad_token: Refusal | None = None
    """How a token that is not ours is refused."""
    shape_refusals: Mapping[str, Refusal] = field(default_factory=dict[str, Refusal])
    """How bad values of a shape in a document are refused, by shape name."""


def settings_of(patch: Mapping[str, Any]) -> Settings:
    """Return the settings of a patch file.

    Raises:
        TypeError: The file has a name that is no setting.
    """
    given = {name: value for name, value in patch.items() if name != "correction"}
    known = {each.name for each in fields(Settings)}
    if not given.keys() <= known:
        raise TypeError(f"unknown settings: {sorted(given.keys() - known)}")
    for name, value in given.items():
        if isinstance(value, list):
            given[name] = tuple(cast("list[str]", value))
        elif name == "bad_token":
            given[name] = Refusal(**value)
        elif name == "page_tokens":
            listed = cast("Mapping[str, list[list[str]]]", value)
            given[name] = {
                key: tuple((one, other) for one, other in each) for key, each in listed.items()
            }
        elif name == "enum_orders":
            given[name] = {key: tuple(each) for key, each in value.items()}
        elif name.endswith("_refusals"):
            given[name] = {key: Refusal(**each) for key, each in value.items()}
    return Settings(**given)
