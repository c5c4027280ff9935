"""SQL over tables, by DuckDB: in a process of its own, never in a server's.

``query`` is one statement with what fills its tables, for the command line and for the child;
``child`` starts a child for a statement that came over the wire, ``worker`` is that child, and
``frames`` what the two say to each other.
"""

from __future__ import annotations
