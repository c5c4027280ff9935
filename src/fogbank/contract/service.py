"""The manifest of a service: what it is made of, in one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import ModuleType
from typing import Any

from fogbank.contract.action import Scope
from fogbank.contract.endpoint import Endpoint
from fogbank.contract.event import Event, Receiver
from fogbank.contract.facet import (
    AccessPoints,
    News,
    OriginRules,
    ResourcePolicies,
    ResourceTags,
    StoredKeys,
)
from fogbank.contract.job import Job
from fogbank.contract.metric import Metric
from fogbank.contract.operation import BodyLimit, Operation, declared_of
from fogbank.contract.request_log import RequestLogs
from fogbank.platform.store.engine import Agreement, Domain
from fogbank.platform.store.records import Table


class Service:
    """Everything the house knows of a service.

    Args:
        model: The name of the published model (``s3``, ``lambda``).
        prefix: The IAM action prefix; the model's name unless AWS differs.
        operations: Modules whose ``@operation`` functions are the service's operations.
        jobs: Reconcilers, timer and schedule kinds, and work lists.
        events: The facts it tells.
        receivers: How deliveries reach the service's resources.
        endpoints: Front doors besides the AWS API.
        metrics: What it vends to customers.
        tables: Its durable records, for golden bytes, checks and the key property test.
        agreement: What must agree between its rows, for ``fogbank check``.
        policies: Set where its resources carry policies.
        tags: Set where its resources carry tags.
        stored_keys: Set where condition keys take what is stored of a resource.
        origins: Set where its resources carry rules about web pages.
        points: Set where its resources are reached by access points too.
        news: Set where its resources have news that others wait for.
        logs: Set where its resources may keep logs of their requests.
        access_denied: The wire code of its access-denied error.
        domain: The default domain of an operation; (service, account, region) unless given.
        body: How long requests may be whose operation says nothing else.
    """

    def __init__(  # noqa: PLR0913 (a manifest)
        self,
        *,
        model: str,
        operations: Sequence[ModuleType],
        prefix: str = "",
        jobs: Sequence[Job] = (),
        events: Sequence[type[Event]] = (),
        receivers: Sequence[Receiver] = (),
        endpoints: Sequence[Endpoint] = (),
        metrics: Sequence[Metric] = (),
        tables: Sequence[Table[Any]] = (),
        agreement: Agreement | None = None,
        policies: ResourcePolicies | None = None,
        tags: ResourceTags | None = None,
        stored_keys: StoredKeys | None = None,
        origins: OriginRules | None = None,
        points: AccessPoints | None = None,
        news: News | None = None,
        logs: RequestLogs | None = None,
        access_denied: str = "AccessDeniedException",
        domain: Callable[[Scope], Domain] | None = None,
        body: BodyLimit | None = None,
    ) -> None:
        self.model = model
        self.prefix = prefix or model
        self.modules = tuple(operations)
        self.jobs = tuple(jobs)
        self.events = tuple(events)
        self.receivers = tuple(receivers)
        self.endpoints = tuple(endpoints)
        self.metrics = tuple(metrics)
        self.tables = tuple(tables)
        self.agreement = agreement
        self.policies = policies
        self.presumes = policies is not None and policies.presumed
        """Whether decisions presume something of its resources, which its transactions confirm."""
        self.tags = tags
        self.stored_keys = stored_keys
        self.origins = origins
        self.points = points
        self.news = news
        self.logs = logs
        self.access_denied = access_denied
        self.domain = domain or self._regional_domain
        self.body = body

    def _regional_domain(self, scope: Scope) -> Domain:
        """Return the domain of most services: account and region."""
        return Domain(self.model, scope.account, scope.region)

    @cached_property
    def functions(self) -> Mapping[str, Operation]:
        """Return the operations that are built, by the name boto3 gives them."""
        return {name: each for name, each in self.declared.items() if not each.begun}

    @cached_property
    def declared(self) -> Mapping[str, Operation]:
        """Return all operations that have a function, built or begun."""
        found: dict[str, Operation] = {}
        for module in self.modules:
            for name, value in vars(module).items():
                declared = declared_of(value)
                if declared is None or getattr(value, "__module__", "") != module.__name__:
                    continue
                assert name not in found, f"{self.model} declares {name} twice"
                found[name] = declared
        return found
