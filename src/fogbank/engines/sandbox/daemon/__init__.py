"""sandboxd, the privileged part: builds, limits, kills and sweeps sandboxes; runs no user code.

Rule: the standard library and ``fogbank.base`` only, and short enough to be read in an hour.
Order of reading: ``syscalls`` (the kernel), ``messages`` (what is accepted), ``root`` (what a
sandbox sees), ``zygotes`` (how one is born), ``cgroups`` and ``watch`` (limits), ``loop``.
"""

from __future__ import annotations
