"""What is visible inside a sandbox: zygote, construction of one sandbox, the handler's bootstrap.

Rule: the standard library, ``daemon.syscalls`` and boto3 only; these files and no others of
fogbank are copied into the sandbox's root. Nothing here may hold a secret before the fork.
"""

from __future__ import annotations
