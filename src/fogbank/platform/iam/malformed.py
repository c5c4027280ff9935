"""Why a policy document is refused, in the words of the service that refuses it."""

from __future__ import annotations


class MalformedPolicy(Exception):
    """The document is no policy; ``message`` is what AWS says of it, as far as known."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotEvaluated(MalformedPolicy):
    """The document is a policy that uses what is not evaluated yet: refused, never ignored."""

    def __init__(self, what: str) -> None:
        super().__init__(f"fogbank has not built {what} in policies")
