"""The unpacked trees that an environment stands on: its code, and its layers.

Rule: what an environment has taken it leaves once, when nothing runs in it any more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from fogbank.platform.runtime.cloud import open_package
from fogbank.platform.runtime.functions import OPT, Package, Surroundings, Tree
from fogbank.platform.runtime.packages import Packages, Read
from fogbank.platform.runtime.pool import Environment


async def prepare(tree: Tree, packages: Packages, around: Surroundings) -> int:
    """Unpack and check packages; return how many bytes that made.

    Raises:
        PackageError: One cannot be unpacked.
        UnreadableError: One is sealed with a key that cannot be used.
        Full: There is no space for the tree.
    """
    path = await packages.hold(tree, await _reading(tree.packages, around))
    unpacked = packages.unpacked_bytes(path)
    packages.release(path)
    return unpacked


async def take(environment: Environment, packages: Packages, around: Surroundings) -> None:
    """Have the trees of an environment ready, and keep them until ``leave``.

    A sealed package is opened although its tree may be there: without its key nothing starts.

    Raises:
        UnreadableError: A package is sealed with a key that cannot be used.
    """
    target = environment.target
    read = await _reading((target.package, *target.layers), around)
    environment.code = await packages.hold(Tree((target.package,), target.runtime), read)
    if target.layers:
        environment.layers = await packages.hold(Tree(target.layers, target.runtime, OPT), read)


def leave(environment: Environment, packages: Packages) -> None:
    """Let go of the trees of an environment."""
    for path in (environment.code, environment.layers):
        if path is not None:
            packages.release(path)
    environment.code = environment.layers = None


async def _reading(wanted: Sequence[Package], around: Surroundings) -> Read:
    """Return what reads the bytes of zip files, their keys at hand."""
    keys = {package.blob: await open_package(package, around) for package in wanted}

    def read(package: Package) -> AsyncIterator[bytes]:
        return around.blobs.read(package.blob, lock=keys[package.blob])

    return read
