"""Everything an operation may touch: a dozen visible fields, and nothing global."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

import msgspec

from fogbank.base.arn import find_arn
from fogbank.base.clock import Clock
from fogbank.base.errors import Conflict
from fogbank.base.ids import Ids
from fogbank.base.types import Wire
from fogbank.contract.action import Access, Point, Scope
from fogbank.contract.calls import Calls
from fogbank.contract.event import Outbox
from fogbank.contract.facet import News, Place, Standing
from fogbank.contract.option import Option, Options
from fogbank.contract.quota import Quota, Quotas
from fogbank.platform.blobs.held import HoldingStore
from fogbank.platform.blobs.port import BlobPlacement, BlobReader, Blobs
from fogbank.platform.crypto.locked import LockedKey
from fogbank.platform.iam.decision import Decision
from fogbank.platform.iam.request import AccessRequest, Context
from fogbank.platform.identity.identity import Identity
from fogbank.platform.identity.kept import KeptKey, KeptKeys
from fogbank.platform.identity.principal import Principal, PrincipalKind, service_principal
from fogbank.platform.metering.contributors import Tallies
from fogbank.platform.metering.lags import Lags
from fogbank.platform.metering.metrics import Metrics
from fogbank.platform.metering.throughput import Meters, Tab
from fogbank.platform.runtime.folders import Folders
from fogbank.platform.runtime.functions import Functions
from fogbank.platform.scheduler.timers import Timers
from fogbank.platform.sql import Sql
from fogbank.platform.store.engine import Body, Domain, Placement, Store, Transaction

T = TypeVar("T")
OPENED_MS: Final = 300_000
"""How long an opened key is kept. AWS: five minutes (Developer Guide of DynamoDB, "Encryption at rest:
How it works", "Table key caching")."""
DECISIONS_MAX: Final = 4
"""How often a transaction is tried whose resources are to be decided on anew."""


class Undecided(Exception):
    """What the decision on a call presumed of a resource does not hold; its transaction ended.

    Args:
        place: The resource.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(f"what was presumed of {place} does not hold")
        self.place = place


class Elsewhere(Exception):
    """What an operation is about is kept in another domain, where the whole of it is to run.

    Raised before anything was done; a transaction that raises it ends without a trace.

    Args:
        domain: That one.
    """

    def __init__(self, domain: Domain) -> None:
        super().__init__(f"what is asked for is kept in {domain}")
        self.domain = domain


class Scattered(Exception):
    """What an operation is about is kept in several domains, in each of which a part of it is to run.

    Raised like ``Elsewhere``. The parts run one after the other.

    Args:
        parts: The domains, each with the request that is to run there.
        merge: Makes one answer of those to the parts, in their order.
    """

    def __init__(
        self, parts: Sequence[tuple[Domain, Wire]], merge: Callable[[Sequence[Wire]], Wire]
    ) -> None:
        super().__init__("what is asked for is kept in several domains")
        self.parts = parts
        self.merge = merge


class Facilities:
    """What the server built once and every call and job shares."""

    calls: Calls
    """The gateway's dispatcher, which needs these facilities itself: set once both stand."""

    __slots__ = (
        "blobs",
        "calls",
        "clock",
        "folders",
        "functions",
        "identity",
        "ids",
        "kept_keys",
        "lags",
        "meters",
        "metrics",
        "news",
        "options",
        "outbox",
        "placement",
        "quotas",
        "sql",
        "tallies",
        "timers",
    )

    def __init__(  # noqa: PLR0913 (the composition root names each once)
        self,
        *,
        placement: Placement,
        blobs: Blobs,
        clock: Clock,
        ids: Ids,
        identity: Identity,
        quotas: Quotas,
        outbox: Outbox,
        timers: Timers,
        functions: Functions,
        options: Options | None = None,
        sql: Sql | None = None,
        news: Sequence[News] = (),
        folders: Folders | None = None,
    ) -> None:
        self.placement = placement
        self.blobs = blobs
        self.clock = clock
        self.ids = ids
        self.identity = identity
        self.quotas = quotas
        self.outbox = outbox
        self.timers = timers
        self.folders = folders or Folders()
        """Of the machine, from which functions may be run."""
        self.functions = functions
        self.kept_keys = KeptKeys(clock)
        self.meters = Meters(clock)
        self.metrics = Metrics(clock)
        self.tallies = Tallies()
        self.lags = Lags()
        self.options = options or Options()
        self.sql = sql
        """Runs statements of SQL; None: nothing here does."""
        self.news = news
        """What services say of where their resources have news."""

    def holding(self, domain: Domain) -> Store:
        """Return the store of a domain of this process, whose transactions may meet blobs and keys.

        Keys are opened for the service that they are of, which needs leave of theirs: a grant.
        """
        return HoldingStore(self.placement.store_of(domain), self.blobs, self.open_key)

    async def watches_of(self, arn: str) -> list[AsyncIterator[None]]:
        """Watch for news of a resource, whatever its service; nothing, where nobody can tell."""
        for news in self.news:
            domain = news.domain(arn)
            if domain is None:
                continue
            store = self.placement.store_of(domain)

            async def body(tr: Transaction, found: News = news) -> Sequence[bytes]:
                return await found.find(tr, arn)

            try:
                prefixes = await store.read(body)
            except Elsewhere as elsewhere:
                store = self.placement.store_of(elsewhere.domain)
                prefixes = await store.read(body)
            return [store.watch(prefix) for prefix in prefixes]
        return []

    async def open_key(self, key: LockedKey) -> bytes:
        """Return a key, opened for its service.

        Raises:
            ServiceError: As KMS tells it.
        """
        return await self.opened_for(service_principal_in(key), key)

    async def opened_for(self, principal: Principal, key: LockedKey) -> bytes:
        """Return a key, opened for somebody who asks its service.

        Raises:
            ServiceError: As KMS tells it.
        """
        name = self._name_of(principal, key)
        kept = self.kept_keys.find(name)
        if kept is not None:
            return kept.key
        reply = await self.calls.call(
            "kms",
            "Decrypt",
            {
                "CiphertextBlob": key.wrapped,
                "EncryptionContext": dict(key.context),
                "KeyId": key.owner,
            },
            principal=principal,
            region=key.region,
            account="" if principal.account else key.account,
            via="" if principal.kind is PrincipalKind.SERVICE else key.service,
        )
        opened: bytes = reply["Plaintext"]
        made = KeptKey(opened, key.wrapped, key.owner)
        self.kept_keys.keep(name, made, self.clock.now_ms() + OPENED_MS)
        return opened

    def find_opened(self, principal: Principal, key: LockedKey) -> bytes | None:
        """Return a key that was opened for somebody and may be used again; None: there is none."""
        kept = self.kept_keys.find(self._name_of(principal, key))
        return None if kept is None else kept.key

    def _name_of(self, principal: Principal, key: LockedKey) -> tuple[object, ...]:
        """Return under what a key is kept: who was allowed, and the epochs under which."""
        arn, epoch_of = find_arn(key.owner), self.identity.epoch_of
        owner = key.account if arn is None else arn.account
        asking = principal.account or key.account
        return ("opened", principal, epoch_of(asking), epoch_of(owner), key.wrapped)


def service_principal_in(key: LockedKey) -> Principal:
    """Return the service of a key as it asks KMS for itself, and as grants name it."""
    return service_principal(f"{key.service}.{key.region}.amazonaws.com")


class HttpFacts(msgspec.Struct, frozen=True, array_like=True):
    """What an operation may know of the request's transport."""

    source_ip: str = ""
    user_agent: str = ""
    secure: bool = False
    host: str = ""
    headers: Mapping[str, str] = {}
    url: str = ""
    """What URLs of this cloud begin with, as this client reaches it: ``https://cloud.example``."""
    virtual: bool = False
    """Whether the client asked for a bucket by the name of the host."""
    in_process: bool = False
    """The call came from another service of this process: nothing of it went over a wire."""
    tls: str = ""
    """The version of TLS that it came over, such as ``1.3``; empty: of none."""
    via: str = ""
    """The service that asks on the caller's behalf, such as ``s3``; empty: none does."""


class Authorizer(Protocol):
    """Decides accesses that depend on stored state; made by the gateway for one call."""

    async def require(self, call: Call, accesses: Sequence[Access]) -> None:
        """Raise the service's access-denied error unless every access is allowed."""
        ...

    async def again(self, call: Call, place: Place) -> None:
        """Decide anew what was decided on a resource, with what it says."""
        ...


class Call(msgspec.Struct, kw_only=True, eq=False):
    """One authenticated, authorised call of one operation."""

    service: str
    operation: str
    scope: Scope
    principal: Principal
    domain: Domain
    """That of the resource; ``store`` has it."""
    bare_store: Store
    """The store of the domain, whose transactions confirm nothing."""
    facilities: Facilities
    authorizer: Authorizer
    http: HttpFacts
    access_context: Context
    """The global condition keys of this request (``aws:SourceIp`` and so on)."""
    decisions: list[tuple[str, str, Decision]] = []
    """Action, resource and outcome of every access that was decided so far, in order: what the
    caller of ``Call`` keeps to say later why a request was refused."""
    confirming: Callable[[Call], Store] | None = None
    """Makes ``store`` of a call whose decisions presume something; None: nothing is presumed."""
    lending: BlobReader | None = None
    accesses: Sequence[Access] = ()
    """What was decided before the operation began, for operations that must find what was decided
    on."""
    asked: AccessRequest | None = None
    """The access that was refused last, with its condition keys."""
    points: Sequence[Point] = ()
    """Access points by which the request names resources; it names the resources by now."""
    required: tuple[Access, ...] = ()
    """What was decided since."""
    standings: Mapping[Place, object] = {}
    """Resources of which nothing is presumed, and what was decided on (``Standing.token``); None:
    nothing yet."""
    confirmed: Place | None = None
    """The resource of which a transaction has last confirmed what was decided on."""
    logged: Sequence[Domain] = ()
    """The domains of resources that keep a log of their requests, as transactions have found."""
    remarks: dict[Domain, Mapping[str, Any]] = {}
    """Members that the answer has beside those that the operation gives it, by the domains in which
    transactions know of them."""
    moved: bool = False
    """The operation runs anew where its resource is kept (``Elsewhere``): who may do it was decided
    where it was asked for, with all that is said there, and is not confirmed."""
    said: dict[tuple[Domain, str], Standing] = {}
    """What was found of actions on everything in a domain, for calls that ask many times."""
    _tab: Tab | None = None

    @property
    def store(self) -> Store:
        """Return the store of the domain, as transactions of the operation need it.

        Made when it is asked for: it has the call, and a call that had it would be a cycle, which
        only a collection of garbage ends.
        """
        return self.bare_store if self.confirming is None else self.confirming(self)

    @property
    def account(self) -> str:
        """Return the caller's account: twelve digits."""
        return self.scope.account

    @property
    def region(self) -> str:
        """Return the region of the endpoint that was called."""
        return self.scope.region

    @property
    def request_id(self) -> str:
        """Return the id under which this request is logged and answered."""
        return self.scope.request_id

    @property
    def clock(self) -> Clock:
        """Return the clock; the only time there is."""
        return self.facilities.clock

    @property
    def ids(self) -> Ids:
        """Return the source of ids and secrets."""
        return self.facilities.ids

    @property
    def blobs(self) -> Blobs:
        """Return the store of large values."""
        return self.facilities.blobs

    @property
    def leaving(self) -> BlobReader:
        """Return what reads blobs whose bytes leave with the reply, unseen by the operation.

        What it yields may be a loan, which the process that has the client's socket reads.
        """
        return self.lending or self.facilities.blobs

    def blobs_of(self, domain: Domain) -> BlobReader:
        """Return where the blobs of another domain are read, to copy their bytes."""
        placement = self.facilities.placement
        assert isinstance(placement, BlobPlacement), "who places domains places their blobs"
        return placement.blobs_of(domain)

    @property
    def outbox(self) -> Outbox:
        """Return where facts leave, inside a transaction."""
        return self.facilities.outbox

    @property
    def timers(self) -> Timers:
        """Return the durable timers, set inside a transaction."""
        return self.facilities.timers

    @property
    def calls(self) -> Calls:
        """Return the way to other services: authorised like any caller."""
        return self.facilities.calls

    @property
    def identity(self) -> Identity:
        """Return principals and credentials; for IAM and STS."""
        return self.facilities.identity

    @property
    def kept_keys(self) -> KeptKeys:
        """Return the keys in the clear that may be used again for a while."""
        return self.facilities.kept_keys

    def find_key(self, key: LockedKey) -> bytes | None:
        """Return a key that the caller was allowed to have opened, for a while; None: not yet."""
        return self.facilities.find_opened(self.principal, key)

    async def open_key(self, key: LockedKey) -> bytes:
        """Return a key, opened on behalf of the caller.

        Raises:
            ServiceError: As KMS tells it.
        """
        return await self.facilities.opened_for(self.principal, key)

    @property
    def functions(self) -> Functions:
        """Return the placement of functions; for Lambda."""
        return self.facilities.functions

    def limit(self, quota: Quota) -> int:
        """Return the value of a quota: its default or what the settings say."""
        return self.facilities.quotas.value(quota)

    def chosen(self, option: Option) -> bool:
        """Return what the deployment has chosen."""
        return self.facilities.options.value(option)

    def store_of(self, domain: Domain) -> Store:
        """Return the store of another domain, for workflows."""
        return self.facilities.placement.store_of(domain)

    async def decided(self, work: Callable[[], Awaitable[T]], again: Undecided | None = None) -> T:
        """Run a transaction in which resources are confirmed, again where one is decided anew.

        Args:
            work: Runs it.
            again: What ended its first run, if it has run.

        Raises:
            ServiceError: With what a resource says, the caller may not do what it does.
            Conflict: What it says changes all the time.
        """
        for _ in range(DECISIONS_MAX):
            if again is not None:
                await self.authorizer.again(self, again.place)
            try:
                return await work()
            except Undecided as undecided:
                again = undecided
        raise Conflict("what a resource says of who may reach it changes all the time")

    async def read(self, domain: Domain, body: Body[T]) -> T:
        """Read another domain before one's own transaction."""
        return await self.facilities.placement.store_of(domain).read(body)

    async def give_way(self) -> None:
        """Let others be served: between the steps of a long answer, each of them half a millisecond.

        Reading what is in memory waits for nothing, and so holds the loop from the first row to the last.
        """
        await asyncio.sleep(0)  # noqa: TID251 (no time passes)

    async def require(
        self, action: str, resource: str, context: Mapping[str, str | tuple[str, ...]] | None = None
    ) -> None:
        """Raise the access-denied error unless the caller may do this too."""
        access = Access(action, resource, context or {})
        self.required = (*self.required, access)
        await self.authorizer.require(self, [access])

    def remark(self, domain: Domain, members: Mapping[str, Any]) -> None:
        """Have the answer say more, from a transaction; what an earlier run said is forgotten."""
        self.remarks[domain] = members

    @property
    def tab(self) -> Tab:
        """Return what the transaction under way has taken of throughputs."""
        if self._tab is None:
            self._tab = Tab()
        return self._tab

    @property
    def beside(self) -> dict[str, Any]:
        """Return the members that the answer has beside those that the operation gives it."""
        return {name: value for said in self.remarks.values() for name, value in said.items()}

    def confirm(self, domain: Domain, token: object, *, plain: bool, within: str = "") -> None:
        """Confirm in a transaction what the decisions on this call presumed or found.

        Args:
            domain: The resource's.
            token: What stands there now (``Standing.token``).
            plain: It is the caller's account's own and says nothing of who may reach it.
            within: Which of the resources of the domain it is, where there are several.

        Raises:
            Undecided: It is another than what was decided on; the gateway decides anew.
        """
        place = (domain, within)
        if place not in self.standings:
            if not plain:
                raise Undecided(place)
        elif self.standings[place] != token:
            raise Undecided(place)
        self.confirmed = place

    def settle(self, domain: Domain, token: object = None, within: str = "") -> None:
        """Note that nothing is presumed of a resource, and what was decided on; None: nothing."""
        self.standings = {**self.standings, (domain, within): token}


class Pace:
    """Gives way whenever a long answer has come so far: for the loop that works on many values.

    Args:
        call: Whose answer it is.
        bytes_max: How far: what a step may work on.
    """

    __slots__ = ("_bytes_max", "_call", "_done")

    def __init__(self, call: Call, bytes_max: int) -> None:
        self._call = call
        self._bytes_max = bytes_max
        self._done = 0

    async def did(self, size: int) -> None:
        """Count some bytes that were worked on."""
        self._done += size
        if self._done >= self._bytes_max:
            self._done = 0
            await self._call.give_way()
