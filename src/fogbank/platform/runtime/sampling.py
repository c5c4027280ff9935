"""Which invocations are traced of those that nobody has decided on.

Rule: of each function the first in a second, and one in twenty of the others.

Source: AWS Lambda Developer Guide, "Visualize Lambda function invocations using AWS X-Ray" ("1 request per
second and 5 percent of additional requests").
"""

from __future__ import annotations

from typing import Final

from fogbank.base.clock import Clock
from fogbank.base.ids import Ids
from fogbank.platform.identity.cache import Lru

FUNCTIONS_MAX: Final = 4_096
_SECOND_MS: Final = 1_000
_DRAWN_BYTES: Final = 2
_TRACED_MAX: Final = (1 << 16) // 20


class Sampler:
    """Decides for the invocations of one machine.

    Args:
        clock: The time.
        ids: Draws.
    """

    __slots__ = ("_clock", "_ids", "_last")

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids
        self._last: Lru[str, int] = Lru(FUNCTIONS_MAX)

    def sample(self, function_arn: str) -> bool:
        """Return whether the next invocation of a function is traced."""
        second = self._clock.now_ms() // _SECOND_MS
        if self._last.find(function_arn) != second:
            self._last.put(function_arn, second)
            return True
        return int.from_bytes(self._ids.random_bytes(_DRAWN_BYTES)) < _TRACED_MAX
