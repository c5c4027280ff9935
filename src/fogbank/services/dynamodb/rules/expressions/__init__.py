"""The expression language: from the texts of a request to functions of items.

The way of an expression is ``reader`` (tokens), ``parser`` (text to tree, kept by text),
``placeholders`` (the request's names and values), and one of ``conditions``, ``updates``,
``projections`` and ``keyconditions``, which bind a tree to a request.

Rule: everything a request gets wrong is found before any item is read.
"""

from __future__ import annotations
