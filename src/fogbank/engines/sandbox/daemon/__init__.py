"""sandboxd, the privileged part: builds, limits, kills and sweeps sandboxes; runs no user code.

Rule: the standard library and ``fogbank.base`` only, and short enough to be read in an hour.
Order of reading: ``syscalls`` (the kernel), ``config`` and ``messages`` (what is accepted),
``root`` (what a sandbox sees), ``landlock`` (walls where there are no namespaces), ``zygotes`` and
``nursery`` (how one is born, and for whom), ``cgroups`` and ``watch`` (limits), ``cells`` (what one
holds), ``ahead`` and ``stems`` (what is there before it is asked for), ``steps`` (where tests
kill us), ``loop``, ``__main__`` (which level).
"""

from __future__ import annotations
