"""The sandbox engine: user functions in namespaces of their own, from pure Python.

Three parts, each with its own trust: ``client`` (in the store process, unprivileged, speaks the
port), ``daemon`` (sandboxd, the only privileged part, runs no user code) and ``inside`` (what is
visible within a sandbox: the zygote and the bootstrap that runs the user's handler).
docs/operating/sandbox.md says what each level isolates.
"""

from __future__ import annotations
