"""DynamoDB's decisions, as pure functions.

``values`` says what can be stored, ``keys`` where it lies, ``expressions`` is the language in
which requests speak of it; ``requests``, ``reads``, ``tables`` and ``names`` check what requests
ask for, ``items``, ``pages`` and ``sizes`` make the answers.
"""

from __future__ import annotations
