"""What cross-cutting floors may know of a service's resources without importing it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from fogbank.base.types import Request, Wire
from fogbank.contract.action import Access, Point
from fogbank.platform.iam.bound import BoundPolicy
from fogbank.platform.iam.request import Caller, ContextValue
from fogbank.platform.store.engine import Domain, Transaction

FindStanding = Callable[[Transaction, Access, Caller], Awaitable["Standing | None"]]
FindFurther = Callable[[Transaction, Access, Caller], Awaitable[BoundPolicy | None]]
FindTags = Callable[[Transaction, str], Awaitable[Mapping[str, ContextValue]]]
FindKeys = Callable[[Transaction, Access], Awaitable[Mapping[str, ContextValue]]]
FindPoint = Callable[[Transaction, str], Awaitable[Point | None]]
FindOrigins = Callable[[Transaction], Awaitable["tuple[OriginRule, ...] | None"]]


Place = tuple[Domain, str]
"""A resource that says who may reach it: its domain, and which of the resources in there it is."""


class Standing(NamedTuple):
    """What a resource says of who may reach it."""

    policy: BoundPolicy | None = None
    """The policy document (JSON), with whom its names of users and roles mean."""
    owner: str = ""
    """The account that owns the resource, where its ARN does not say (S3)."""
    token: object = None
    """What was found, for ``Call.confirm``: it is another as soon as the resource says another
    thing, or is another of the same name."""
    headers: Mapping[str, str] = {}
    """What a refusal says beside its error, whoever is refused."""
    whole: bool = False
    """Whether the same is said of this action on everything in the domain, to every caller; at
    the most more to some. The gateway remembers it for requests to come, which confirm it."""


class ResourcePolicies(NamedTuple):
    """Resources of the service carry policies that the gateway evaluates.

    ``domain`` gives the domain of a resource ARN, or None if it carries no policy;
    ``find`` reads what the resource says in a transaction of that domain; it may refuse a resource
    that does not stand, to whoever could not be let in by policies of identities alone.
    ``required`` says that the policy must allow inside the owner's account too: policies of
    identities count only for whom it lets in (keys of KMS).
    ``further`` reads the policy with what else lets one caller in (grants of KMS), or None if
    nothing does; it is asked only where the policy alone does not allow.
    ``presumed`` says that most resources are their caller's account's own and say nothing (buckets
    of S3): an access that the caller's own policies allow is presumed to be to one of those,
    without a look at the store. The service confirms that in each transaction of its operations
    (``Call.confirm``), and what does not hold is decided anew with what the resource says.
    ``confirming`` names the actions whose operations confirm, where that is not all of them: of others
    nothing is presumed. ``within`` tells the resources of one domain apart by their ARNs (tables of an
    account and region); without it a domain is one resource.
    ``additive`` says that the policies only ever let in, by the service's own rules (AddPermission of
    Lambda writes nothing that denies), and are not ``required``: an access that the policies of its
    caller allow needs no look at them.
    """

    domain: Callable[[str], Domain | None]
    find: FindStanding
    required: bool = False
    further: FindFurther | None = None
    presumed: bool = False
    additive: bool = False
    confirming: frozenset[str] = frozenset()
    within: Callable[[str], str] | None = None

    def find_place(self, arn: str) -> Place | None:
        """Return the resource that an ARN names, or None if it carries no policy."""
        domain = self.domain(arn)
        if domain is None:
            return None
        return domain, "" if self.within is None else self.within(arn)

    def presumes(self, action: str) -> bool:
        """Return whether something is presumed of what an action is done to."""
        return self.presumed and (not self.confirming or action in self.confirming)


class ResourceTags(NamedTuple):
    """Resources of the service carry tags that policies may speak of.

    ``domain`` gives the domain of a resource ARN, or None if it carries no tags; ``find`` reads the
    condition keys of the ARN's tags (``aws:ResourceTag/team``) in a transaction of that domain;
    none if the resource does not stand. The gateway asks only if a policy of the caller or of the
    resource speaks of tags, whoever's operation names the resource.
    """

    domain: Callable[[str], Domain | None]
    find: FindTags


class StoredKeys(NamedTuple):
    """Condition keys of the service take more than the request: what is stored of the resource.

    ``names`` are the keys in lower case; ``domain`` gives the domain of a resource ARN, or None if
    it can have none of them (of what is asked of an access point it is given the resource that the
    point leads to); ``find`` reads the keys of an access in a transaction of that domain;
    none if the resource does not stand. The gateway asks only if a policy reads one of the names:
    whoever has no such policy does not pay for it.
    """

    names: frozenset[str]
    domain: Callable[[str], Domain | None]
    find: FindKeys


class News(NamedTuple):
    """Resources of the service have news, which others wait for: event source mappings of streams.

    ``domain`` gives the domain of a resource ARN, or None if it has none; ``find`` reads, in a
    transaction of that domain, under which prefixes of keys a commit may be news of it; none if it
    does not stand. It may raise ``Elsewhere``, and is asked again in the domain that this names.
    """

    domain: Callable[[str], Domain | None]
    find: Callable[[Transaction, str], Awaitable[Sequence[bytes]]]


class OriginRule(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What web pages of some origins may ask of a resource (CORS); kept with the resource.

    Patterns hold at most one ``*``, which stands for any characters.
    """

    id: str = ""
    origins: tuple[str, ...]
    """Patterns, such as ``https://*.example.com``."""
    methods: tuple[str, ...]
    headers: tuple[str, ...] = ()
    """Patterns of headers that requests may carry; their case does not matter."""
    exposed: tuple[str, ...] = ()
    """Headers of answers that pages may read."""
    max_age_s: int | None = None
    """How long browsers may remember the rule."""


class OriginRules(NamedTuple):
    """Resources of the service carry rules about web pages that the gateway evaluates.

    ``domain`` gives the domain of the resource that the labels of a path name, or None if they
    name none; ``find`` reads its rules in a transaction of that domain, None if it does not stand.
    """

    domain: Callable[[Mapping[str, str]], Domain | None]
    find: FindOrigins


class AccessPoints(NamedTuple):
    """Resources of the service are also reached by other names, each with rules of its own.

    ``named`` gives the members of a request that name a point, or may, with the names: most requests
    have none. ``find`` reads a point in a transaction of ``domain``, None if the name is a resource's
    after all, or refuses the request; ``put`` has a member name the resource itself. ``check`` refuses operations that points do not serve. What
    a point says of who may pass it is decided beside what the resource says: both must allow.
    """

    domain: Domain
    named: Callable[[Request], Mapping[str, str]]
    find: FindPoint
    put: Callable[[Wire, str, Point | None], None]
    check: Callable[[str], None]
