"""PartiQL: SELECT, INSERT, UPDATE, DELETE and EXISTS, as DynamoDB reads them.

The way of a statement is ``reader`` (tokens with their places), ``parser`` (text to ``syntax``, kept by
text) and ``plans`` (a statement and its parameters held against a table: what is read, or the part of
a transaction that it is).

Rule: conditions and changes are the trees of ``rules/expressions``, with every literal and every ``?``
behind a name of its own; so a statement means what the same expression means.
"""

from __future__ import annotations
