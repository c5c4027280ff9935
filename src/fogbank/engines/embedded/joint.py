"""Backups of several stores at one moment: where they lie, and what proves that they belong together.

    SET/store-0/ SET/store-1/ ...   a backup set of each store (``manifest.py``): blobs, log, NAME
    SET/NAME/stores.json            written last: without it there is no backup of that name

The joint manifest holds the SHA-256 of the manifest of each store, which holds those of its files.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import msgspec

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded.files import replace_file, sync_folder
from fogbank.engines.embedded.manifest import MANIFEST, Manifest, read_manifest

JOINT: Final = "stores.json"
LAYOUT: Final = 1
"""The number of this layout; a restore refuses a larger one."""


class Member(msgspec.Struct, frozen=True):
    """The backup of one store."""

    version: int
    content: str
    sha256: str
    """Of its manifest."""


class Joint(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup of several stores holds."""

    layout: int = LAYOUT
    name: str
    made_ms: int
    stores: list[Member]
    """By the number of the store."""


class _Sealed(msgspec.Struct, frozen=True):
    """The content of the file."""

    joint: Joint
    sha256: str
    """Of the joint manifest, encoded."""


_decode: Final = msgspec.json.Decoder(_Sealed).decode


def set_of(root: Path, number: int, stores: int) -> Path:
    """Return the backup set of one of so many stores."""
    return root if stores == 1 else root / f"store-{number}"


def write_joint(root: Path, name: str, made_ms: int, stores: int) -> Joint:
    """Say durably that the backups of all stores are one, when each is whole and durable.

    Raises:
        Corrupt: One of them is not.
    """
    members: list[Member] = []
    for number in range(stores):
        folder = set_of(root, number, stores) / name
        manifest = read_manifest(folder)
        digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
        members.append(Member(manifest.head.version, manifest.tail.content, digest))
    joint = Joint(name=name, made_ms=made_ms, stores=members)
    sync_folder(root)
    digest = hashlib.sha256(msgspec.json.encode(joint)).hexdigest()
    replace_file(root / name / JOINT, msgspec.json.encode(_Sealed(joint, digest)) + b"\n")
    return joint


def read_joint(folder: Path) -> Joint:
    """Return the joint manifest in a folder.

    Raises:
        Corrupt: There is none, it is not what was written, or it is of a newer layout.
    """
    path = folder / JOINT
    try:
        sealed = _decode(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise Corrupt(f"{folder} is no backup, or one that was cut short: no {JOINT}") from None
    except msgspec.DecodeError as error:
        raise Corrupt(f"{path} is not what was written: {error}") from error
    if hashlib.sha256(msgspec.json.encode(sealed.joint)).hexdigest() != sealed.sha256:
        raise Corrupt(f"{path} is not what was written: it has another SHA-256")
    if sealed.joint.layout > LAYOUT:
        raise Corrupt(f"{path} is of layout {sealed.joint.layout}; this program knows {LAYOUT}")
    return sealed.joint


def joints_in(root: Path) -> list[Joint]:
    """Return the backups of several stores in a set, in order of making.

    Raises:
        Corrupt: One of their joint manifests is not what was written.
    """
    folders = sorted(root.iterdir()) if root.is_dir() else []
    found = [read_joint(folder) for folder in folders if (folder / JOINT).exists()]
    return sorted(found, key=lambda each: (each.made_ms, each.name))


def members_of(root: Path, joint: Joint) -> list[Manifest]:
    """Return the manifests of the stores of a joint backup, by number.

    Raises:
        Corrupt: One is missing, damaged, or of another backup.
    """
    found: list[Manifest] = []
    for number, member in enumerate(joint.stores):
        folder = set_of(root, number, len(joint.stores)) / joint.name
        manifest = read_manifest(folder)
        if hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest() != member.sha256:
            raise Corrupt(f"{folder} is not the backup that belongs to {root / joint.name}")
        found.append(manifest)
    return found
