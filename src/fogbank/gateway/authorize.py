"""Whether a caller may do what it asks: accesses, circumstances and policies brought together.

Rule: every access that an operation declares is decided before the operation runs, and every one
it learns of later (``call.require``) by the same code; no path around it. The resource's policy
comes from the service that owns the ARN, whoever's operation asks.

Theory: the decision itself is pure (``platform/iam/evaluate``). This room gathers its inputs:
identities' policies are compiled once per principal and epoch (``Identity``), resources' policies
once per text, so that a change counts at once. A condition key is found when a condition reads
it, and no other is; what is refused is kept with all of its keys.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from fogbank.base.arn import find_arn
from fogbank.base.errors import ServiceError
from fogbank.contract.action import Access, ContextValue, Point, through
from fogbank.contract.call import Call, HttpFacts
from fogbank.contract.facet import Place, ResourcePolicies, Standing
from fogbank.contract.service import Service
from fogbank.gateway.render import error_of
from fogbank.gateway.stored import StoredFacts
from fogbank.platform.iam.decision import Decision, PolicySource
from fogbank.platform.iam.decisions import Decisions
from fogbank.platform.iam.evaluate import PolicySet
from fogbank.platform.iam.policy import Policy
from fogbank.platform.iam.request import AccessRequest, Context, account_of, lowered
from fogbank.platform.identity.context import context_of, find_key
from fogbank.platform.identity.grants import Sourced
from fogbank.platform.identity.identity import Identity
from fogbank.platform.identity.principal import Principal, PrincipalKind
from fogbank.platform.store.engine import Domain, Placement

_NO_KEYS: Final[Mapping[str, ContextValue]] = {}


def _time_of(now_ms: int) -> datetime:
    """Return a moment in whole seconds."""
    return datetime.fromtimestamp(now_ms // 1000, UTC)


class _Gathered(Context):
    """Condition keys that are also gathered into one mapping, for what wants to see them all."""

    __slots__ = ("_gathered",)
    _gathered: dict[str, ContextValue] | None
    """None until they are."""

    def _gather(self) -> dict[str, ContextValue]:
        """Return all keys, as they are written."""
        raise NotImplementedError

    def _all(self) -> dict[str, ContextValue]:
        """Return all keys, gathered once."""
        if self._gathered is None:
            self._gathered = self._gather()
        return self._gathered

    def __getitem__(self, key: str) -> ContextValue:
        return self._all()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def items(self) -> ItemsView[str, ContextValue]:
        """Return the keys with their values."""
        return self._all().items()


class Circumstances(_Gathered):
    """The global condition keys of one request.

    Source: IAM User Guide, "AWS global condition context keys".
    """

    __slots__ = ("_extra", "_principal", "http", "now_ms", "region")

    def __init__(
        self,
        principal: Principal,
        region: str,
        http: HttpFacts,
        now_ms: int,
        extra: Mapping[str, str],
    ) -> None:
        self._gathered = None
        self._principal = principal
        self.region = region
        self.http = http
        self.now_ms = now_ms
        self._extra = extra

    def find(self, key: str) -> ContextValue | None:
        """Return the value of a condition key (in lower case), or None if it is absent."""
        of = _OF_REQUEST_LOWERED.get(key)
        if of is not None:
            return of(self) or None
        found = find_key(self._principal, key)
        return lowered(self._extra).get(key) if found is None and self._extra else found

    @property
    def second_factor_age(self) -> str:
        """Return how many seconds ago the caller proved a second factor, or nothing."""
        proved_ms = self._principal.mfa_ms
        return str((self.now_ms - proved_ms) // 1000) if proved_ms else ""

    def _gather(self) -> dict[str, ContextValue]:
        found = {name: of(self) for name, of in _OF_REQUEST.items()}
        given = {name: value for name, value in found.items() if value}
        return {**context_of(self._principal), **given, **self._extra}


_OfRequest = Callable[[Circumstances], ContextValue]

_OF_REQUEST: Final[Mapping[str, _OfRequest]] = {
    "aws:CurrentTime": lambda of: _time_of(of.now_ms).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "aws:EpochTime": lambda of: str(of.now_ms // 1000),
    "aws:MultiFactorAuthAge": lambda of: of.second_factor_age,
    "aws:RequestedRegion": lambda of: of.region,
    # A call from service to service does not travel in the clear, as on AWS.
    "aws:SecureTransport": lambda of: "true" if of.http.secure or of.http.in_process else "false",
    "aws:ViaAWSService": lambda of: "true" if of.http.via else "false",
    "aws:SourceIp": lambda of: of.http.source_ip,
    "aws:UserAgent": lambda of: of.http.user_agent,
    "aws:Referer": lambda of: of.http.headers.get("referer", ""),
}
"""The keys that every request has; one whose value is empty is absent."""
_OF_REQUEST_LOWERED: Final = {name.lower(): of for name, of in _OF_REQUEST.items()}


class _AccessKeys(_Gathered):
    """The condition keys of one access: the request's, the resource's, the access's own."""

    __slots__ = ("_access", "_caller", "_own", "_owner", "_request", "_stored", "_tls")

    def __init__(
        self, call: Call, access: Access, owner: str, stored: Mapping[str, ContextValue]
    ) -> None:
        self._gathered = None
        # Not the call itself, which keeps what was asked last: a cycle.
        self._request, self._caller, self._tls = (
            call.access_context,
            call.principal.account,
            call.http.tls,
        )
        self._access = access
        self._owner = owner
        self._stored = stored
        self._own: dict[str, ContextValue] | None = None

    def find(self, key: str) -> ContextValue | None:
        """Return the value of a condition key (in lower case), or None if it is absent."""
        found = self._request.find(key)
        if found is not None:
            return found
        if self._own is None:
            self._own = lowered(self._gather_own())
        return self._own.get(key)

    def _gather_own(self) -> dict[str, ContextValue]:
        """Return the keys that are not the request's."""
        access = self._access
        # AWS: the key is in every request; where no ARN says whose, it is the caller's own.
        owner = self._owner or account_of(access.resource) or self._caller
        owned: dict[str, ContextValue] = {"aws:ResourceAccount": owner} if owner else {}
        # AWS: the keys of S3 have one of their own that says the same.
        if access.action.startswith("s3:"):
            if owner:
                owned["s3:ResourceAccount"] = owner
            if self._tls:
                owned["s3:TlsVersion"] = self._tls
        if access.point is not None:
            owned = {**owned, **access.point.keys}
        return {**owned, **self._stored, **access.context}

    def _gather(self) -> dict[str, ContextValue]:
        return {**self._gather_own(), **self._request}


class _Resource(NamedTuple):
    """What a resource says of who may reach it, its policy compiled."""

    policy: Policy | None = None
    owner: str = ""
    required: bool = False
    headers: Mapping[str, str] = {}
    remembered: bool = False
    """Whether it was found for an earlier request; the operation confirms it."""


_PRESUMED: Final = _Resource()
"""What is presumed of a resource: it is the caller's account's, and says nothing."""
SPEAKING_MAX: Final = 4_096
"""Resources that are remembered to say something, by account of the caller."""
_NOTHING: Final = Standing()


class Authorization:
    """Decides accesses; one for the whole gateway."""

    def __init__(
        self,
        services: Sequence[Service],
        identity: Identity,
        placement: Placement,
    ) -> None:
        self._identity = identity
        self._placement = placement
        self._facets: Mapping[str, ResourcePolicies] = {
            service.prefix: service.policies for service in services if service.policies is not None
        }
        self._stored = StoredFacts(services, placement)
        facets = self._facets.items()
        self._presumed = {prefix: facet for prefix, facet in facets if facet.presumed}
        self._additive = frozenset(prefix for prefix, facet in facets if facet.additive)
        self._decisions = Decisions()
        # Of whom nothing is presumed, for a presumption that fails costs a transaction. It is a
        # hint: whether it holds or not, what the resource says is read or confirmed.
        self._speaking: dict[tuple[Place, str], None] = {}
        # What was found of actions on everything in a domain: a hint too. Who is let in by it
        # confirms it in a transaction, and nobody is refused by it.
        self._said: dict[tuple[Domain, str], Standing] = {}
        self._denials: Mapping[str, str] = {
            service.model: service.access_denied for service in services
        }

    async def require(self, call: Call, accesses: Sequence[Access]) -> None:
        """Raise the service's access-denied error unless every access is allowed."""
        principal = call.principal
        policies = self._identity.policies.find(principal)
        if policies is None:
            policies = await self._identity.policies.of(principal)
        if call.points:
            accesses = [each for asked in accesses for each in through(call.points, asked)]
        for access in accesses:
            on, decision = _PRESUMED, self._find_decided(call, access, policies)
            if decision is None:
                decision, on = await self._decision_on(call, access, policies)
            call.decisions.append((access.action, access.resource, decision))
            if not decision.allowed:
                assert call.asked is not None, "who is refused has asked"
                denied = self.denial(call.service, call.asked, decision)
                denied.headers.update(on.headers)
                raise denied

    def lets_in(self, call: Call, accesses: Sequence[Access]) -> bool:
        """Return whether ``require`` would let a call in with what was decided before; note it then.

        It waits for nothing. False says nothing: ``require`` decides.
        """
        if not accesses:
            return True
        policies = self._identity.policies.find(call.principal)
        if policies is None or call.points:
            return False
        decided: list[tuple[str, str, Decision]] = []
        for access in accesses:
            decision = self._find_decided(call, access, policies)
            if decision is None:
                return False
            decided.append((access[0], access[1], decision))
        call.decisions += decided
        return True

    def _find_decided(self, call: Call, access: Access, policies: PolicySet) -> Decision | None:
        """Return what was decided before, where no resource is looked at; None: that is not all.

        This is all that most requests need: their resources carry no policies, or none that deny,
        or are presumed to say nothing.
        """
        action, resource = access.action, access.resource
        if access.point is not None:
            return None
        vendor = action[: action.find(":")]
        presumed = self._presumed.get(vendor)
        if presumed is not None:
            if call.standings or self._speaking or not presumed.presumes(action):
                return None
        elif vendor in self._facets and vendor not in self._additive:
            return None
        found = self._decisions.find(call.principal, policies, None, action, resource, "")
        return found if found is not None and found.allowed else None

    async def again(self, call: Call, place: Place) -> None:
        """Decide anew what was decided on a resource: it says something, or is another.

        Raises:
            ServiceError: The caller may not do one of the things that it could.
        """
        domain, within = place
        call.settle(domain, within=within)
        call.said.clear()
        asked = (*call.accesses, *call.required)
        accesses = [each for each in asked if self.place_of(each) == place]
        assert accesses, "who looks at a resource has asked to"
        for access in accesses:
            self._said.pop((domain, access.action), None)
        if len(self._speaking) >= SPEAKING_MAX:
            self._speaking.clear()
        self._speaking[place, call.principal.account] = None
        await self.require(call, accesses)

    async def find_denial(self, call: Call) -> ServiceError | None:
        """Decide what is only presumed as yet of a call that is refused; return why it may not.

        Who may not do what it asks hears that, and not what else is wrong with it.
        """
        for access in (*call.accesses, *call.required):
            place = self.place_of(access)
            if place is None or place == call.confirmed or place in call.standings:
                continue
            try:
                await self.again(call, place)
            except ServiceError as error:
                if error.code == self._denials[call.service]:
                    return error
        return None

    def place_of(self, access: Access) -> Place | None:
        """Return the resource of an access, if it can say who may reach it."""
        facet = _facet_of(self._facets, access)
        return None if facet is None else facet.find_place(access.resource)

    async def _decision_on(
        self, call: Call, access: Access, policies: PolicySet
    ) -> tuple[Decision, _Resource]:
        """Decide an access with what its resource says; return that too."""
        point = access.point
        if point is not None and point.arn_of(access.resource) is None:
            on = _passed(self._identity, point)
            return await self._decision(call, access, policies, on), on
        facet = _facet_of(self._facets, access)
        if facet is None:
            return await self._decision(call, access, policies, _PRESUMED), _PRESUMED
        if facet.additive or (facet.presumed and self._may_presume(call, access, facet)):
            decision = await self._decision(call, access, policies, _PRESUMED)
            if decision.allowed:
                return decision, _PRESUMED
        on = await self._resource(call, access, facet)
        decision = await self._decision(call, access, policies, on)
        if on.remembered and not decision.allowed:
            on = await self._resource(call, access, facet, anew=True)
            decision = await self._decision(call, access, policies, on)
        if not decision.allowed and facet.further is not None:
            decision = await self._further(call, access, policies, facet, decision)
        return decision, on

    def _may_presume(self, call: Call, access: Access, facet: ResourcePolicies) -> bool:
        """Return whether a resource may be presumed to be the caller's own, and to say nothing."""
        if access.point is not None or not facet.presumes(access.action):
            return False
        account = call.principal.account
        if not (account and (call.standings or self._speaking)):
            return bool(account)
        place = facet.find_place(access.resource)
        if place is None:
            return True
        return place not in call.standings and (place, account) not in self._speaking

    async def _decision(
        self, call: Call, access: Access, policies: PolicySet, on: _Resource
    ) -> Decision:
        """Decide an access, or find that it was decided."""
        action, resource = access.action, access.resource
        found = self._decisions.find(
            call.principal, policies, on.policy, action, resource, on.owner
        )
        if found is not None and found.allowed:
            return found
        return await self._decided(call, access, policies, on)

    async def _further(
        self,
        call: Call,
        access: Access,
        policies: PolicySet,
        facet: ResourcePolicies,
        decision: Decision,
    ) -> Decision:
        """Decide an access again, with what else lets the caller in; what denies still does."""
        assert facet.further is not None, "there is more to ask"
        domain, find = facet.domain(access.resource), facet.further
        if domain is None:
            return decision
        found = await self._placement.store_of(domain).read(
            lambda tr: find(tr, access, call.principal)
        )
        if found is None:
            return decision
        policy = self._identity.policies.compiled(found.document, "resource", found.bound)
        return await self._decided(
            call, access, policies, _Resource(policy, required=facet.required)
        )

    async def _decided(
        self, call: Call, access: Access, policies: PolicySet, on: _Resource
    ) -> Decision:
        """Decide an access with all of its condition keys; note what was asked if it is refused."""
        policy, owner, required, *_ = on
        stored = _NO_KEYS
        if policies.stored_keys or (policy is not None and policy.stored_keys):
            read = policies.with_resource(policy).stored_keys
            stored = await self._stored.keys_of(access, read)
        action, resource, principal = access.action, access.resource, call.principal
        context = _AccessKeys(call, access, owner, stored)
        decision = self._decisions.decide(
            principal,
            policies,
            action,
            resource,
            context,
            owner=owner,
            policy=policy,
            # A resource that does not stand has no policy: its service says so to who may ask.
            required=required and policy is not None,
        )
        if not decision.allowed:
            call.asked = AccessRequest(principal, action, resource, context, owner)
        return decision

    async def _resource(
        self, call: Call, access: Access, facet: ResourcePolicies, *, anew: bool = False
    ) -> _Resource:
        """Return what a resource says, its policy compiled; note what was decided on.

        Args:
            call: The call.
            access: What is asked.
            facet: Where what the resource says is found.
            anew: Whether what was found for earlier requests will not do.
        """
        place = facet.find_place(access.resource)
        if place is None:
            return _Resource(required=facet.required)
        domain, within = place
        found, remembered = call.said.get((domain, access.action)), False
        if found is None and not anew and access.point is None:
            found = _find_said(self._said, call, domain, access.action)
            remembered = found is not None
        if found is None:
            found = await self._look(call, access, facet, domain)
        said, owner, token, headers, _ = found
        caller = call.principal
        if facet.presumed:
            call.settle(domain, token, within)
            if said is None and owner == caller.account:
                self._speaking.pop((place, owner), None)
        policy = None
        if said is not None:
            policy = self._identity.policies.compiled(said.document, "resource", said.bound)
        return _Resource(policy, owner, facet.required, headers, remembered)

    async def _look(
        self, call: Call, access: Access, facet: ResourcePolicies, domain: Domain
    ) -> Standing:
        """Read what a resource says; remember it if the same is said of all beside it."""
        found = await self._placement.store_of(domain).read(
            lambda tr: facet.find(tr, access, call.principal)
        )
        if found is None:
            return _NOTHING
        if found.whole:
            call.said[domain, access.action] = found
            if len(self._said) >= SPEAKING_MAX:
                self._said.clear()
            self._said[domain, access.action] = found
        return found

    async def resource_policy(self, request: AccessRequest) -> Sourced | None:
        """Return the policy of a request's resource with where it hangs, if it has one."""
        access = Access(request.action, request.resource)
        facet = _facet_of(self._facets, access)
        domain = None if facet is None else facet.domain(access.resource)
        if facet is None or domain is None:
            return None
        try:
            found = await self._placement.store_of(domain).read(
                lambda tr: facet.find(tr, access, request.principal)
            )
        except ServiceError:
            return None
        if found is None or found.policy is None:
            return None
        return found.policy.document, PolicySource("resource", "", request.resource)

    def denial(self, service: str, request: AccessRequest, decision: Decision) -> ServiceError:
        """Return the access-denied error of a service; its status is that of the client's protocol."""
        code = self._denials[service]
        principal = request.principal
        # AWS: S3 gives its reasons to callers of the owner's account only ("Access Denied
        # (403 Forbidden) errors in Amazon S3").
        if service == "s3" and (
            principal.kind == PrincipalKind.ANONYMOUS
            or principal.account != request.resource_account
        ):
            return error_of(code, None, "Access Denied")
        return error_of(code, None, decision.message(request))


def _facet_of(facets: Mapping[str, ResourcePolicies], access: Access) -> ResourcePolicies | None:
    """Return where the policy of an access's resource is found, if it can have one.

    The policy of a resource speaks of its own service's actions: what ``iam:PassRole`` may pass is
    no matter of the role's trust policy.
    """
    vendor = access.action.partition(":")[0]
    facet = facets.get(vendor)
    if facet is None:
        return None
    arn = find_arn(access.resource)
    return facet if arn is not None and arn.service == vendor else None


def _find_said(
    said: Mapping[tuple[Domain, str], Standing], call: Call, domain: Domain, action: str
) -> Standing | None:
    """Return what was found for earlier requests, if this call has found nothing else."""
    found = said.get((domain, action))
    if found is None or call.standings.get((domain, ""), found.token) not in (None, found.token):
        return None
    return found


def _passed(identity: Identity, point: Point) -> _Resource:
    """Return what an access point says of who may pass it."""
    if not point.said:
        return _Resource(owner=point.account)
    return _Resource(identity.policies.compiled(point.said, "resource", point.bound), point.account)
