"""Which stems could run a function: pure but for a look at its layers.

Rule: where it makes a difference that a runtime was started before the function was known, there is no
stem for it: variables that are read when a runtime boots, wrapper scripts, external extensions.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from msgspec import structs

from fogbank.engines.sandbox import variables
from fogbank.engines.sandbox.programs import Program
from fogbank.engines.sandbox.stem import Kind
from fogbank.platform.runtime.port import SandboxSpec


def extended(spec: SandboxSpec, roots: variables.Roots) -> SandboxSpec:
    """Return what an environment is, with where external extensions lie, if there are any.

    AWS: in ``extensions/`` of the layers (Developer Guide, "Using the Lambda Extensions API").
    """
    if spec.debug_port:  # who asks the keeper for connections needs one
        folder = spec.extensions_dir or f"{roots.opt}/extensions"
        return structs.replace(spec, extensions_dir=folder)
    if spec.extensions_dir or not spec.layers_dir:
        return spec
    there = os.path.isdir(os.path.join(spec.layers_dir, "extensions"))  # noqa: PTH112, PTH118 (beside os.open)
    return structs.replace(spec, extensions_dir=f"{roots.opt}/extensions") if there else spec


def kind_of(
    spec: SandboxSpec, runtime: str, program: Program | None, trust: Mapping[str, str]
) -> Kind | None:
    """Return the kind of stem that could become an environment, or None if none could.

    Args:
        spec: The environment's.
        runtime: What runs it.
        program: How that is executed; None: it is forked, and needs no stem.
        trust: The variables of every function by which SDKs find what to trust.
    """
    if program is None or not program.waiting or spec.extensions_dir:
        return None
    if program.wrapper(spec.environment):
        return None
    boot = {**variables.AT_BOOT, **trust}
    for name, value in spec.environment.items():
        if name.startswith(program.read_at_boot) and boot.get(name) != value:
            return None
    roots = variables.ROOTS
    return Kind(
        account=spec.account,
        runtime=runtime,
        candidates=tuple(program.paths(*roots)),
        arguments=tuple(program.words(spec, *roots, program.waiting)),
        environment=tuple(boot.items()),
    )
