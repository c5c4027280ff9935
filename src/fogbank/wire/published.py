"""The files that AWS publishes of its services, as botocore installs them: found and read.

Rule: botocore is imported here and nowhere else, and only for where its data files lie and how it
names methods. Of several versions of a service's interface the latest counts, and what botocore
amends in files of its own is merged in, as botocore does it. Nothing is read from a user's home.

Theory: botocore's own loader looks for every version of every service on the disk before it reads
the files of one, and keeps each object with its order and its prose. A start reads six services:
this takes a quarter of its time and less than half of its memory.

Source: botocore, ``loaders.py``.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec
from botocore import (
    BOTOCORE_ROOT,
    xform_name,  # pyright: ignore[reportUnknownVariableType]
)

DATA = Path(BOTOCORE_ROOT, "data")
AMENDMENTS = ".sdk-extras"
EXTENSIONS = Path(__file__).with_name("extensions")
"""Operations of our own, as amendments: botocore merges them too where AWS_DATA_PATH names the folder."""


class NotPublished(LookupError):
    """There is no such file."""


def read(service: str, kind: str, folder: Path = DATA) -> dict[str, Any]:
    """Return a file of a service, fresh for each call, with botocore's amendments merged in.

    Args:
        service: botocore's name of the service.
        kind: ``service-2`` or ``paginators-1``.
        folder: Where services have their folders.

    Raises:
        NotPublished: There is no such service, or it has no such file.
    """
    versions = folder / service
    for version in sorted(versions.iterdir(), reverse=True) if versions.is_dir() else ():
        found = _find(version / kind)
        if found is not None:
            _merge(found, (_find(version / f"{kind}{AMENDMENTS}") or {}).get("merge", {}))
            return found
    raise NotPublished(f"{service}: {kind}")


def extension_of(service: str, kind: str) -> Mapping[str, Any]:
    """Return what we add to a file of a service; mostly nothing."""
    for path in sorted((EXTENSIONS / service).glob(f"*/{kind}{AMENDMENTS}.json")):
        return cast("Mapping[str, Any]", msgspec.json.decode(path.read_bytes())["merge"])
    return {}


def extended(service: str, kind: str) -> dict[str, Any]:
    """Return a file of a service with what we add to it.

    Raises:
        NotPublished: There is no such service, or it has no such file.
    """
    found = read(service, kind)
    _merge(found, extension_of(service, kind))
    return found


def read_list(name: str) -> dict[str, Any]:
    """Return a file that is about no one service, such as ``partitions``.

    Raises:
        NotPublished: There is no such file.
    """
    found = _find(DATA / name)
    if found is None:
        raise NotPublished(name)
    return found


def method_of(operation: str) -> str:
    """Return the name that boto3 gives the method of an operation: ``PutItem``, ``put_item``."""
    return str(xform_name(operation))


def _find(path: Path) -> dict[str, Any] | None:
    """Return what a file holds, packed or not, or None."""
    plain, packed = path.with_name(f"{path.name}.json"), path.with_name(f"{path.name}.json.gz")
    if plain.is_file():
        return cast("dict[str, Any]", msgspec.json.decode(plain.read_bytes()))
    if packed.is_file():
        return cast("dict[str, Any]", msgspec.json.decode(gzip.decompress(packed.read_bytes())))
    return None


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Merge further keys into an object in place, object by object."""
    for key, value in more.items():
        held = into.get(key)
        if isinstance(held, dict) and isinstance(value, dict):
            _merge(cast("dict[str, Any]", held), cast("dict[str, Any]", value))
        else:
            into[key] = value


def without_prose(model: dict[str, Any]) -> dict[str, Any]:
    """Return a service's model without its documentation, which is most of it."""
    model.pop("documentation", None)
    for operation in model["operations"].values():
        operation.pop("documentation", None)
    for shape in model["shapes"].values():
        shape.pop("documentation", None)
        for member in shape.get("members", {}).values():
            member.pop("documentation", None)
        for part in ("member", "key", "value"):
            if part in shape:
                shape[part].pop("documentation", None)
    return model
