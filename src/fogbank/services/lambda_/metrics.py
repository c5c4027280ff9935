"""The metrics of functions, as CloudWatch names them.

Source: AWS Lambda Developer Guide, "Types of metrics for Lambda functions", "Viewing metrics for
Lambda functions" and "Monitoring Lambda function URLs".
"""

from __future__ import annotations

from typing import Final

from fogbank.contract.metric import Metric

NAMESPACE: Final = "AWS/Lambda"
_FUNCTION: Final = ("FunctionName",)
_RESOURCE: Final = ("FunctionName", "Resource")
_EXECUTED: Final = ("ExecutedVersion", "FunctionName", "Resource")

ASYNC_RECEIVED: Final = "AsyncEventsReceived"
ASYNC_AGE: Final = "AsyncEventAge"
ASYNC_DROPPED: Final = "AsyncEventsDropped"
RECURSIVE_DROPPED: Final = "RecursiveInvocationsDropped"
UNDELIVERED: Final = "DestinationDeliveryFailures"
ITERATOR_AGE: Final = "IteratorAge"
MAPPING: Final = "EventSourceMappingUUID"
POLLED: Final = "PolledEventCount"
FILTERED_OUT: Final = "FilteredOutEventCount"
INVOKED: Final = "InvokedEventCount"
FAILED_INVOKE: Final = "FailedInvokeEventCount"
DROPPED: Final = "DroppedEventCount"
DELIVERED: Final = "OnFailureDestinationDeliveredEventCount"
URL_REQUESTS: Final = "UrlRequestCount"
URL_4XX: Final = "Url4xxCount"
URL_5XX: Final = "Url5xxCount"
URL_LATENCY: Final = "UrlRequestLatency"

_INVOCATIONS: Final = {
    "Invocations": "Count",
    "Errors": "Count",
    "Throttles": "Count",
    "Duration": "Milliseconds",
    "InitDuration": "Milliseconds",
    "ProvisionedConcurrencyInvocations": "Count",
    "ProvisionedConcurrencySpilloverInvocations": "Count",
    "ProvisionedConcurrentExecutions": "Count",
    "ProvisionedConcurrencyUtilization": "None",
}
_EVENTS: Final = {
    ASYNC_RECEIVED: "Count",
    ASYNC_AGE: "Milliseconds",
    ASYNC_DROPPED: "Count",
    RECURSIVE_DROPPED: "Count",
    UNDELIVERED: "Count",
    ITERATOR_AGE: "Milliseconds",
    URL_REQUESTS: "Count",
    URL_4XX: "Count",
    URL_5XX: "Count",
    URL_LATENCY: "Milliseconds",
}

METRICS: Final = (
    *(
        Metric(NAMESPACE, name, unit, dimensions)
        for name, unit in _INVOCATIONS.items()
        for dimensions in ((), _FUNCTION, _RESOURCE, _EXECUTED)
    ),
    *(
        Metric(NAMESPACE, name, unit, dimensions)
        for name, unit in _EVENTS.items()
        for dimensions in ((), _FUNCTION, _RESOURCE)
    ),
    *(
        Metric(NAMESPACE, name, "Count", (MAPPING,))
        for name in (POLLED, FILTERED_OUT, INVOKED, FAILED_INVOKE, DROPPED, DELIVERED)
    ),
    Metric(NAMESPACE, "ConcurrentExecutions", "Count", _FUNCTION),
    Metric(NAMESPACE, "ConcurrentExecutions", "Count", ()),
    Metric(NAMESPACE, "UnreservedConcurrentExecutions", "Count", ()),
)
