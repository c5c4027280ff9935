"""What a service promises: operations, events, jobs, metrics, actions, quotas, facets.

A service is a package of small functions over data; this floor is the vocabulary in which it says
so, and what the gateway and the server rely on. Read ``service``, ``operation`` and ``call`` first.
"""

from __future__ import annotations
