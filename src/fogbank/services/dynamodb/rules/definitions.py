"""Keys and indexes as requests define them.

Source: Amazon DynamoDB API Reference, CreateTable, ``GlobalSecondaryIndex`` and
``LocalSecondaryIndex``; Developer Guide, "Multi-attribute keys pattern" and "Constraints". The
messages are those that dynalite recorded on AWS (validations/createTable.js), but for keys of
several attributes, for which none are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from fogbank.base.types import Request, Wire
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.quotas import (
    CAPACITY_UNITS_MAX,
    INCLUDED_ATTRIBUTES_TOTAL_MAX,
    INDEX_KEY_ATTRIBUTES_MAX,
    LOCAL_INDEXES_MAX,
)
from fogbank.services.dynamodb.rules import provisioning
from fogbank.services.dynamodb.schema import (
    INCLUDE,
    NO_THROUGHPUT,
    PAY_PER_REQUEST,
    IndexRecord,
    KeyAttribute,
)

INVALID: Final = "One or more parameter values were invalid: "
_KEY_ELEMENTS_MAX: Final = 2
_UNIT_MEMBERS: Final = ("ReadCapacityUnits", "WriteCapacityUnits")
_LOCAL: Final = "LocalSecondaryIndexes"
GLOBAL: Final = "GlobalSecondaryIndexes"


class Key(NamedTuple):
    """A key as a ``KeySchema`` defines it, without types."""

    partition: tuple[str, ...]
    sort: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Return all attributes, those of the partition key first."""
        return self.partition + self.sort


class Definitions(NamedTuple):
    """The keys of a new table."""

    key: list[KeyAttribute]
    indexes: tuple[IndexRecord, ...]


def definitions_of(
    request: Request, global_indexes_max: int, vectors: Sequence[IndexRecord]
) -> Definitions:
    """Return the keys of the table and of the secondary indexes that a CreateTable request asks for.

    Args:
        request: The request.
        global_indexes_max: How many global indexes a table may have.
        vectors: The vector indexes that it asks for, which use attributes and names too.

    Raises:
        ValidationException: They contradict each other, or AWS's rules.
    """
    schema, defined = _listed(request, "KeySchema"), _listed(request, "AttributeDefinitions")
    _require_length(schema, "keySchema")
    types = types_of(defined)
    local = indexes_listed(request, _LOCAL)
    overall = indexes_listed(request, GLOBAL)
    names = [element["AttributeName"] for element in schema]
    if not local and not overall and not vectors and len(names) > len(types):
        raise ValidationException("Invalid KeySchema: Some index key attribute have no definition")
    require_defined(names, types)
    key = _simple_key(schema)
    found = [_local_key(each, key, place) for place, each in enumerate(local, 1)]
    for place, each in enumerate(overall, 1):
        require_some(each["KeySchema"], f"globalSecondaryIndexes.{place}.member.keySchema")
    found += [key_of(each["KeySchema"]) for each in overall]
    found += [Key(tuple(one.name for one in each.defined_attributes), ()) for each in vectors]
    _require_used([key, *found], types)
    given = [*local, *overall]
    _require_counts(local, overall, global_indexes_max)
    _require_names([each["IndexName"] for each in given] + [each.name for each in vectors])
    indexes = tuple(
        index_of(
            each,
            types,
            number=number,
            is_local=number < len(local),
            billing_mode=request.get("BillingMode", "PROVISIONED"),
        )
        for number, each in enumerate(given)
    )
    require_included(indexes)
    return Definitions([KeyAttribute(name, types[name]) for name in key.names], indexes)


def _listed(request: Request, member: str) -> list[Wire]:
    """Return a list that a table cannot be without, though the model does not require it."""
    listed: list[Wire] | None = request.get(member)
    if listed is None:
        shown = f"{member[0].lower()}{member[1:]}"
        raise refused(f"Value null at '{shown}'", "Member must not be null")
    return listed


def refused(what: str, constraint: str) -> ValidationException:
    """Return an error in the words of AWS's own model checks."""
    return ValidationException(
        f"1 validation error detected: {what} failed to satisfy constraint: {constraint}"
    )


def indexes_listed(request: Request, member: str) -> list[Wire]:
    """Return the indexes that a request lists; a list that is there is not empty."""
    listed: list[Wire] | None = request.get(member)
    if listed is not None and not listed:
        raise ValidationException(f"{INVALID}List of {member} is empty")
    return listed or []


# Keys.


def types_of(defined: Sequence[Wire]) -> dict[str, str]:
    """Return the types of ``AttributeDefinitions``, each name once."""
    types: dict[str, str] = {}
    for each in defined:
        name = each["AttributeName"]
        if name in types:
            raise ValidationException(f"{INVALID}Duplicate attribute name: {name}")
        types[name] = each["AttributeType"]
    return types


def require_some(schema: Sequence[Wire], where: str) -> None:
    """Refuse a key without attributes, after what AWS tells first: names that cannot be."""
    if not schema:
        raise refused(
            f"Value '[]' at '{where}'", "Member must have length greater than or equal to 1"
        )


def _require_length(schema: Sequence[Wire], where: str) -> None:
    """Refuse a key of fewer or more attributes than a table or a local index may have."""
    require_some(schema, where)
    if len(schema) > _KEY_ELEMENTS_MAX:
        raise refused(
            f"Value '[{', '.join(map(_element_text, schema))}]' at '{where}'",
            f"Member must have length less than or equal to {_KEY_ELEMENTS_MAX}",
        )


def _simple_key(schema: Sequence[Wire]) -> Key:
    """Return the key of a table or of a local index: one attribute of each kind at most."""
    names = [element["AttributeName"] for element in schema]
    _require_distinct(names)
    for element, role, place in zip(schema, ("HASH", "RANGE"), ("first", "second"), strict=False):
        if element["KeyType"] != role:
            raise ValidationException(
                f"Invalid KeySchema: The {place} KeySchemaElement is not a {role} key type"
            )
    return Key(tuple(names[:1]), tuple(names[1:]))


def key_of(schema: Sequence[Wire]) -> Key:
    """Return the key of a global index: up to four attributes of each kind."""
    roles = [element["KeyType"] for element in schema]
    if roles and roles[0] != "HASH":
        raise ValidationException(
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type"
        )
    if roles != sorted(roles):
        raise ValidationException(
            f"{INVALID}Invalid KeySchema: HASH KeySchemaElements must precede RANGE ones"
        )
    for role in ("HASH", "RANGE"):
        if roles.count(role) > INDEX_KEY_ATTRIBUTES_MAX:
            raise ValidationException(
                f"{INVALID}Invalid KeySchema: {roles.count(role)} {role} KeySchemaElements are"
                f" more than {INDEX_KEY_ATTRIBUTES_MAX}"
            )
    names = [element["AttributeName"] for element in schema]
    _require_distinct(names)
    hashes = roles.count("HASH")
    return Key(tuple(names[:hashes]), tuple(names[hashes:]))


def _require_distinct(names: Sequence[str]) -> None:
    """Refuse a key that has an attribute twice."""
    if len(set(names)) < len(names):
        raise ValidationException(
            "Both the Hash Key and the Range Key element in the KeySchema have the same name"
        )


def _element_text(element: Wire) -> str:
    """Return an element of a key schema as AWS's messages show it."""
    name, role = element["AttributeName"], element["KeyType"]
    return f"KeySchemaElement(attributeName={name}, keyType={role})"


def _local_key(given: Wire, table: Key, place: int) -> Key:
    """Return the key of a local index, which has the partition key of its table."""
    name = given["IndexName"]
    _require_length(given["KeySchema"], f"localSecondaryIndexes.{place}.member.keySchema")
    key = _simple_key(given["KeySchema"])
    if not table.sort:
        raise ValidationException(
            f"{INVALID}Table KeySchema does not have a range key, which is required when"
            " specifying a LocalSecondaryIndex"
        )
    if not key.sort:
        raise ValidationException(
            f"{INVALID}Index KeySchema does not have a range key for index: {name}"
        )
    if key.partition != table.partition:
        raise ValidationException(
            f"{INVALID}Index KeySchema does not have the same leading hash key as table KeySchema"
            f" for index: {name}. index hash key: {key.partition[0]}, table hash key:"
            f" {table.partition[0]}"
        )
    return key


def _require_used(keys: Sequence[Key], types: Mapping[str, str]) -> None:
    """Refuse keys that are not defined, and definitions that are no keys.

    Args:
        keys: The table's key, and those of indexes behind it.
        types: The attributes that are defined.
    """
    used = list(dict.fromkeys(name for key in keys for name in key.names))
    require_defined(used, types)
    if len(used) == len(types):
        return
    if len(keys) > 1:
        raise ValidationException(
            f"{INVALID}Some AttributeDefinitions are not used. AttributeDefinitions:"
            f" {_names_text(types)}, keys used: {_names_text(used)}"
        )
    raise ValidationException(
        f"{INVALID}Number of attributes in KeySchema does not exactly match number of"
        " attributes defined in AttributeDefinitions"
    )


def require_defined(used: Iterable[str], types: Mapping[str, str]) -> None:
    """Refuse attributes of keys that have no definition."""
    used = list(used)
    if not set(used) <= types.keys():
        raise ValidationException(
            f"{INVALID}Some index key attributes are not defined in AttributeDefinitions."
            f" Keys: {_names_text(used)}, AttributeDefinitions: {_names_text(types)}"
        )


def _names_text(names: Iterable[str]) -> str:
    """Return names as AWS's messages list them."""
    return f"[{', '.join(names)}]"


# Indexes.


def _require_counts(local: Sequence[Wire], overall: Sequence[Wire], most: int) -> None:
    """Refuse more indexes than a table may have."""
    if len(local) > LOCAL_INDEXES_MAX:
        raise ValidationException(
            f"{INVALID}Number of LocalSecondaryIndexes exceeds per-table limit of"
            f" {LOCAL_INDEXES_MAX}"
        )
    if len(overall) > most:
        raise ValidationException(
            f"{INVALID}GlobalSecondaryIndex count exceeds the per-table limit of {most}"
        )


def _require_names(given: Sequence[str]) -> None:
    """Refuse two indexes of one name."""
    seen: set[str] = set()
    for name in given:
        if name in seen:
            raise ValidationException(f"{INVALID}Duplicate index name: {name}")
        seen.add(name)


def index_of(
    given: Wire, types: Mapping[str, str], *, number: int, is_local: bool, billing_mode: str
) -> IndexRecord:
    """Return an index as a request defines it.

    Args:
        given: The index as the request has it; its key was checked.
        types: The types of attributes.
        number: The number it gets.
        is_local: Whether it is a local one, which has the throughput of its table.
        billing_mode: That of the table.
    """
    key = key_of(given["KeySchema"])
    projection, included = projection_of(given["Projection"])
    read_units, write_units = units = (0, 0) if is_local else _units_of(given, billing_mode)
    owner = provisioning.Owner(given["IndexName"])
    return IndexRecord(
        name=given["IndexName"],
        number=number,
        is_local=is_local,
        partition=tuple(KeyAttribute(name, types[name]) for name in key.partition),
        sort=tuple(KeyAttribute(name, types[name]) for name in key.sort),
        projection=projection,
        included=included,
        read_units=read_units,
        write_units=write_units,
        throughput=NO_THROUGHPUT
        if is_local
        else provisioning.throughput_of_new(given, billing_mode, units, owner),
    )


def _units_of(given: Wire, billing_mode: str) -> tuple[int, int]:
    """Return the provisioned units of a global index."""
    name, throughput = given["IndexName"], given.get("ProvisionedThroughput")
    if billing_mode == PAY_PER_REQUEST:
        if throughput is not None:
            raise ValidationException(
                f"{INVALID}ProvisionedThroughput should not be specified for index: {name} when"
                " BillingMode is PAY_PER_REQUEST"
            )
        return 0, 0
    if throughput is None:
        raise ValidationException(
            f"{INVALID}ProvisionedThroughput is not specified for index: {name}"
        )
    return units_of(throughput, f" for index {name}")


def units_of(throughput: Wire, where: str = "") -> tuple[int, int]:
    """Return the read and write units of a ``ProvisionedThroughput``."""
    for member in _UNIT_MEMBERS:
        if throughput[member] > CAPACITY_UNITS_MAX:
            raise ValidationException(
                f"Given value {throughput[member]} for {member} is out of bounds{where}"
            )
    return throughput["ReadCapacityUnits"], throughput["WriteCapacityUnits"]


def projection_of(given: Wire) -> tuple[str, tuple[str, ...]]:
    """Return the type of a projection, and the attributes that it names."""
    kind: str | None = given.get("ProjectionType")
    named: list[str] | None = given.get("NonKeyAttributes")
    if kind is None:
        raise ValidationException(f"{INVALID}Unknown ProjectionType: null")
    if kind != INCLUDE and named is not None:
        raise ValidationException(
            f"{INVALID}ProjectionType is {kind}, but NonKeyAttributes is specified"
        )
    if kind == INCLUDE and not named:
        raise ValidationException(
            f"{INVALID}ProjectionType is INCLUDE, but NonKeyAttributes is not specified"
        )
    named = named or []
    if len(set(named)) < len(named):
        twice = next(name for name in named if named.count(name) > 1)
        raise ValidationException(f"{INVALID}Duplicate attribute name in NonKeyAttributes: {twice}")
    return kind, tuple(named)


def require_included(indexes: Iterable[IndexRecord]) -> None:
    """Refuse more projected attributes than all indexes of a table may name together.

    AWS: an attribute that two indexes project counts twice (API Reference, ``Projection``).
    """
    if sum(len(index.included) for index in indexes) > INCLUDED_ATTRIBUTES_TOTAL_MAX:
        raise ValidationException(
            f"{INVALID}Number of NonKeyAttributes across all indexes exceeds the per-table limit"
            f" of {INCLUDED_ATTRIBUTES_TOTAL_MAX}"
        )
