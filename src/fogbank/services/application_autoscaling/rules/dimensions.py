"""What can be scaled: an entry for each scalable dimension, and nothing of it anywhere else.

An entry says what the resource's own service is asked for the capacity and to change it, as what role,
and where that service keeps what is consumed. Another service's dimension is one more entry.

Source: API Reference, ``ResourceId``, ``ScalableDimension`` and ``PredefinedMetricType``; words of
activities in DescribeScalingActivities, "Examples".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

from fogbank.base.errors import NotBuilt
from fogbank.base.types import Request, Wire
from fogbank.platform.identity.linked import LINKED_ROLES, LinkedRole
from fogbank.platform.store.engine import Domain
from fogbank.services.application_autoscaling.errors import ValidationException
from fogbank.services.application_autoscaling.schema import Place

UNSUPPORTED: Final = "Unsupported service namespace, resource type or scalable dimension"
UTILISATION: Final = (20.0, 90.0)
"""DynamoDB Developer Guide, "Managing throughput capacity automatically": between 20 and 90 percent."""
_NAME: Final = r"[a-zA-Z0-9_.-]{3,255}"
_TABLE: Final = re.compile(f"table/({_NAME})")
_INDEX: Final = re.compile(f"table/({_NAME})/index/({_NAME})")


class Asked(NamedTuple):
    """What the resource's service is asked."""

    operation: str
    request: Wire


class Dimension(Protocol):
    """One scalable dimension."""

    namespace: str
    name: str
    words: str
    """What activities call it, such as ``read capacity units``."""
    metric: str
    """The predefined metric of its policies."""
    values: tuple[float, float]
    """Between which values a policy may keep the metric."""
    role: LinkedRole
    service: str
    """The service that has the resource."""

    def fits(self, resource: str) -> bool:
        """Return whether a resource id is of the type."""
        ...

    def look(self, resource: str) -> Asked:
        """Return what tells the capacity."""
        ...

    def capacity_in(self, resource: str, reply: Request) -> int | None:
        """Return the capacity that an answer tells; None: there is no such part of the resource.

        0: it has none that could be set.
        """
        ...

    def change(self, resource: str, capacity: int, reply: Request) -> Asked:
        """Return what sets another capacity.

        Args:
            resource: The resource id.
            capacity: What is wanted.
            reply: What ``look`` has answered: what must be said again stands there.
        """
        ...

    def missing(self, resource: str) -> ValidationException:
        """Return the error for a resource that is not there."""
        ...

    def consumed_of(self, resource: str) -> tuple[tuple[str, str], str]:
        """Return of which resource and part, and of which measure, its service keeps what is consumed.

        Source: ``platform/metering/consumption``.
        """
        ...


class _DynamoDb:
    """The reads or writes of tables, or of global indexes."""

    namespace = "dynamodb"
    service = "dynamodb"
    values = UTILISATION
    role = LINKED_ROLES["dynamodb.application-autoscaling.amazonaws.com"]

    def __init__(self, kind: str, unit: str) -> None:
        self._kind = kind
        self._unit = unit
        self.name = f"dynamodb:{kind}:{unit}"
        of = "Read" if unit.startswith("Read") else "Write"
        self.words = f"{of.lower()} capacity units"
        self.metric = f"DynamoDB{of}CapacityUtilization"

    def _parts(self, resource: str) -> tuple[str, str] | None:
        """Return the table and the index of a resource; None: it is of another type."""
        if self._kind == "table":
            found = _TABLE.fullmatch(resource)
            return None if found is None else (found[1], "")
        found = _INDEX.fullmatch(resource)
        return None if found is None else (found[1], found[2])

    def _require_parts(self, resource: str) -> tuple[str, str]:
        parts = self._parts(resource)
        assert parts is not None, "a target's resource is of its dimension's type"
        return parts

    def fits(self, resource: str) -> bool:
        """Return whether a resource id is of the type."""
        return self._parts(resource) is not None

    def look(self, resource: str) -> Asked:
        """Return what tells the capacity."""
        return Asked("DescribeTable", {"TableName": self._require_parts(resource)[0]})

    def _throughput(self, resource: str, reply: Request) -> Mapping[str, Any] | None:
        """Return the units of the table or the index; None: there is no such index."""
        _, index = self._require_parts(resource)
        owner: Mapping[str, Any] = reply["Table"]
        if index:
            for each in owner.get("GlobalSecondaryIndexes", ()):
                if each["IndexName"] == index:
                    return each.get("ProvisionedThroughput", {})
            return None
        return owner.get("ProvisionedThroughput", {})

    def capacity_in(self, resource: str, reply: Request) -> int | None:
        """Return the units that are provisioned; 0: the table is on demand."""
        found = self._throughput(resource, reply)
        return None if found is None else int(found.get(self._unit, 0))

    def change(self, resource: str, capacity: int, reply: Request) -> Asked:
        """Return what sets other units, the others as they are."""
        table, index = self._require_parts(resource)
        found = self._throughput(resource, reply)
        assert found is not None, "what is changed is there"
        units = {unit: found[unit] for unit in ("ReadCapacityUnits", "WriteCapacityUnits")}
        units[self._unit] = capacity
        if not index:
            return Asked("UpdateTable", {"TableName": table, "ProvisionedThroughput": units})
        update = {"Update": {"IndexName": index, "ProvisionedThroughput": units}}
        request: Wire = {"TableName": table, "GlobalSecondaryIndexUpdates": [update]}
        return Asked("UpdateTable", request)

    def missing(self, resource: str) -> ValidationException:
        """Return the error for a table or an index that is not there."""
        # AWS: in these words (terraform-aws-dynamodb-table, issue 15).
        what = "table" if self._kind == "table" else "index"
        return ValidationException(f"DynamoDB {what} does not exist: {resource}")

    def consumed_of(self, resource: str) -> tuple[tuple[str, str], str]:
        """Return of which table and index, and of which units, DynamoDB keeps what is consumed."""
        return self._require_parts(resource), self._unit


DIMENSIONS: Final[Mapping[str, Dimension]] = {
    each.name: each
    for each in (
        _DynamoDb("table", "ReadCapacityUnits"),
        _DynamoDb("table", "WriteCapacityUnits"),
        _DynamoDb("index", "ReadCapacityUnits"),
        _DynamoDb("index", "WriteCapacityUnits"),
    )
}
"""By name."""


def place_of(request: Request) -> Place:
    """Return what a request is about.

    Raises:
        ValidationException: The resource is none of the dimension.
        NotBuilt: The dimension is AWS's, and nothing of it is built.
    """
    place: Place = (
        request["ServiceNamespace"],
        request["ResourceId"],
        request["ScalableDimension"],
    )
    namespace, resource, name = place
    dimension = DIMENSIONS.get(name)
    if dimension is None and name.startswith(f"{namespace}:"):
        raise NotBuilt(f"fogbank has not built the scaling of {name}")
    if dimension is None or dimension.namespace != namespace or not dimension.fits(resource):
        raise ValidationException(UNSUPPORTED)
    return place


def dimension_of(place: Place) -> Dimension:
    """Return the entry of what a target scales."""
    return DIMENSIONS[place[2]]


def consumed_domain(place: Place, account: str, region: str) -> Domain:
    """Return where a resource's service keeps what is consumed."""
    return Domain(dimension_of(place).service, account, region)


def dimensions_of(namespace: str, resource: str) -> list[str]:
    """Return the dimensions in which a resource can be scaled."""
    return [
        each.name
        for each in DIMENSIONS.values()
        if each.namespace == namespace and each.fits(resource)
    ]
