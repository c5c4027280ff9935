"""Streams of events on their way out: what ends one early is told inside of it.

Rule: once the head of a reply has left, an error can only be an event. A client error goes as it
is; weather and bugs go in the words of the service, and a bug is logged with the request's id, as
one before the head would be. A plain body that fails half-way has no place for words: its
connection breaks, and the length or the last chunk that is missing tells the client.

Source: Smithy, "Event streams" (modelled exceptions and the ``error`` message).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from fogbank.base.errors import ServiceError, Weather
from fogbank.base.types import Wire
from fogbank.gateway.render import No, Words, error_of
from fogbank.gateway.visit import Visit
from fogbank.wire.model import OperationModel

_INTERNAL_STATUS: Final = 500
_log = logging.getLogger(__name__)


def with_told_ends(model: OperationModel, answer: Wire, words: Words, visit: Visit) -> Wire:
    """Return the answer of an operation, its stream of events with an end that is told.

    Args:
        model: The operation.
        answer: What it returned, by wire names.
        words: How its service says what the gateway says.
        visit: The call.
    """
    member = model.event_stream_output
    if member is None or member not in answer:
        return answer
    return {**answer, member: _told(answer[member], model, words, visit)}


async def _told(
    events: AsyncIterator[Mapping[str, Any]], model: OperationModel, words: Words, visit: Visit
) -> AsyncIterator[Mapping[str, Any]]:
    """Yield events; raise whatever ends them as an error that a client may see."""
    try:
        async for event in events:
            yield event
    except ServiceError:
        raise
    except Weather as weather:
        _log.info("request %s: %r", visit.request_id, weather)
        raise words.weather_error(weather) from weather
    except Exception as error:
        # The house's one net has let the reply pass already: this is its other end.
        _log.exception(
            "request %s: %s:%s failed in its stream",
            visit.request_id,
            visit.service,
            visit.operation,
        )
        raise _internal(model, words) from error
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()


def _internal(model: OperationModel, words: Words) -> ServiceError:
    """Return the stream's own exception for what is our fault, or the service's error."""
    said = words.error(No.INTERNAL)
    member = model.event_stream_output
    assert member is not None, "only streams end so"
    assert model.output is not None, "a stream is a member of an output"
    for name, ref in model.output.members[member].shape.members.items():
        if ref.shape.is_error and name.lower().startswith("internal"):
            return error_of(name, _INTERNAL_STATUS, said.message)
    return said
