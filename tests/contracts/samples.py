"""Small values of declared types, the same in every run: what golden bytes are made of."""

from __future__ import annotations

from typing import Any

import msgspec


def sample(kind: Any, *, least: bool = False) -> Any:
    """Return a small value of a type.

    Args:
        kind: As ``msgspec.inspect.type_info`` tells it.
        least: Leave out what has a default.
    """
    if isinstance(kind, msgspec.inspect.StructType):
        fields = [each for each in kind.fields if each.required or not least]
        return kind.cls(**{field.name: sample(field.type, least=least) for field in fields})
    if isinstance(kind, msgspec.inspect.NamedTupleType):
        fields = [each for each in kind.fields if each.required or not least]
        return kind.cls(*[sample(field.type, least=least) for field in fields])
    if isinstance(kind, msgspec.inspect.UnionType):
        return sample(kind.types[0])
    if isinstance(kind, msgspec.inspect.VarTupleType):
        return (sample(kind.item_type),)
    if isinstance(kind, msgspec.inspect.TupleType):
        return tuple(sample(item) for item in kind.item_types)
    if isinstance(kind, msgspec.inspect.ListType):
        return [sample(kind.item_type)]
    if isinstance(kind, msgspec.inspect.DictType):
        return {sample(kind.key_type): sample(kind.value_type)}
    simple = {
        msgspec.inspect.StrType: "text",
        msgspec.inspect.BytesType: b"bytes",
        msgspec.inspect.IntType: 7,
        msgspec.inspect.FloatType: 1.5,
        msgspec.inspect.BoolType: True,
        msgspec.inspect.NoneType: None,
        msgspec.inspect.AnyType: {"any": [1, "x"]},
        msgspec.inspect.RawType: msgspec.Raw(msgspec.msgpack.encode({"a": {"any": [1, "x"]}})),
    }
    if isinstance(kind, msgspec.inspect.LiteralType):
        return kind.values[0]
    if isinstance(kind, msgspec.inspect.EnumType):
        return next(iter(kind.cls))
    return simple[type(kind)]
