from __future__ import annotations

from typing import Any

import pytest

DAY_MS = 86_400_000

INVALID = "InvalidParameterException"


def messages_of(reply: Any) -> list[str]:
    return [event["message"] for event in reply["events"]]


def test_events_come_back_in_order_of_time_then_of_arrival(
    logs: Any, stream: Any, put: Any, now_ms: int
) -> None:
    put((now_ms - 2, "b"), (now_ms - 2, "c"), (now_ms, "e"))
    put((now_ms - 5, "a"), (now_ms - 2, "d"), (now_ms, "f"))
    reply = logs.get_log_events(**stream)
    assert messages_of(reply) == ["a", "b", "c", "d", "e", "f"]
    assert reply["events"][0] == {
        "timestamp": now_ms - 5,
        "message": "a",
        "ingestionTime": now_ms,
    }
    assert messages_of(logs.get_log_events(**stream, startFromHead=True)) == list("abcdef")
    every = logs.filter_log_events(logGroupName="/app")
    assert messages_of(every) == list("abcdef")
    assert every["searchedLogStreams"] == []
    newest = logs.filter_log_events(
        logGroupName="/app", startFromHead=False, startTime=now_ms - DAY_MS
    )
    assert messages_of(newest) == list("fedcba")
    assert len({event["eventId"] for event in every["events"]}) == 6


def test_a_time_range_cuts_off_its_end_for_one_operation_and_not_for_the_other(
    logs: Any, stream: Any, put: Any, now_ms: int
) -> None:
    put(*((now_ms + i, str(i)) for i in range(5)))
    span = {"startTime": now_ms + 1, "endTime": now_ms + 3}
    assert messages_of(logs.get_log_events(**stream, **span)) == ["1", "2"]
    assert messages_of(logs.filter_log_events(logGroupName="/app", **span)) == ["1", "2", "3"]


def test_one_stream_is_paged_forward_and_backward(
    logs: Any, stream: Any, put: Any, now_ms: int
) -> None:
    for begin in (0, 1):
        put(*((now_ms - 60_000 + 1_000 * i, str(i)) for i in range(begin, 60, 2)))
    numbers = [str(i) for i in range(60)]
    seen, token = [], None
    while True:
        options = {"nextToken": token} if token else {}
        page = logs.get_log_events(**stream, startFromHead=True, limit=7, **options)
        seen += messages_of(page)
        if page["nextForwardToken"] == token:
            break
        token = page["nextForwardToken"]
    assert seen == numbers
    put((now_ms, "later"))
    assert messages_of(logs.get_log_events(**stream, startFromHead=True, nextToken=token)) == [
        "later"
    ]
    back: list[str] = []
    page = logs.get_log_events(**stream, limit=9)
    assert messages_of(page)[-1] == "later"
    while page["events"]:
        back = messages_of(page) + back
        page = logs.get_log_events(**stream, limit=9, nextToken=page["nextBackwardToken"])
    assert back == [*numbers, "later"]


def test_an_empty_stream_has_tokens_that_wait_for_what_comes(
    logs: Any, stream: Any, put: Any, now_ms: int
) -> None:
    page = logs.get_log_events(**stream)
    assert page["events"] == []
    assert page["nextForwardToken"] != page["nextBackwardToken"]
    put((now_ms, "first"))
    token = page["nextForwardToken"]
    assert messages_of(logs.get_log_events(**stream, nextToken=token)) == ["first"]


def test_tokens_that_we_did_not_give_are_refused(logs: Any, stream: Any, refusal: Any) -> None:
    invalid = (INVALID, "The specified nextToken is invalid.")
    assert refusal(logs.get_log_events, **stream, nextToken="f/1/s") == invalid
    for token in ("invalid-token", "Zi8xL3M="):
        assert refusal(logs.filter_log_events, logGroupName="/app", nextToken=token) == invalid


@pytest.mark.slow
def test_a_search_merges_streams_and_hours(
    logs: Any, stream: Any, put: Any, cloud: Any, now_ms: int
) -> None:
    hour = 3_600_000
    expected = []
    for number in range(300):
        time_ms = now_ms - 6 * hour + number * 70_000
        put((time_ms, f"m{number}"), name=f"s{number % 7}")
        expected.append(f"m{number}")
    seen: list[str] = []
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName="/app", PaginationConfig={"PageSize": 64}
    )
    for page in pages:
        assert len(page["events"]) <= 64
        seen += messages_of(page)
    assert seen == expected
    down: list[str] = []
    options = {"logGroupName": "/app", "startFromHead": False, "startTime": now_ms - DAY_MS}
    while True:
        page = logs.filter_log_events(**options, limit=64)
        down += messages_of(page)
        if "nextToken" not in page:
            break
        options["nextToken"] = page["nextToken"]
    assert down == expected[::-1]
    some = logs.filter_log_events(logGroupName="/app", logStreamNames=["s1", "s3"])
    assert messages_of(some) == [f"m{i}" for i in range(300) if i % 7 in {1, 3}]
    prefixed = logs.filter_log_events(logGroupName="/app", logStreamNamePrefix="s6")
    assert messages_of(prefixed) == [f"m{i}" for i in range(6, 300, 7)]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", "abcdef"),
        ("hello", "ace"),
        ("goodbye world", "df"),
        ('"hello cruel"', "e"),
        ("?hello ?goodbye", "acdef"),
        ("world -goodbye", "bc"),
        ("-hello", "bdf"),
        ('-"cruel world"', "abcde"),
        ("HELLO", ""),
    ],
)
def test_a_pattern_of_terms_selects(
    logs: Any, stream: Any, put: Any, now_ms: int, pattern: str, found: str
) -> None:
    texts = {
        "a": "hello",
        "b": "world",
        "c": "hello world",
        "d": "goodbye world",
        "e": "hello cruela",
        "f": "goodbye cruel world",
    }
    put(*((now_ms + i, text) for i, text in enumerate(texts.values())))
    reply = logs.filter_log_events(logGroupName="/app", filterPattern=pattern)
    assert messages_of(reply) == [texts[name] for name in found]


def test_other_kinds_of_patterns_are_refused_honestly(logs: Any, stream: Any, refusal: Any) -> None:
    for pattern in ('{ $.level = "ERROR" }', "[ip, user]", "%ERR%"):
        code, message = refusal(logs.filter_log_events, logGroupName="/app", filterPattern=pattern)
        assert code == "NotImplemented"
        assert "filterPattern" in message
    for pattern in ('"unclosed', "a-b", "x;y"):
        assert refusal(logs.filter_log_events, logGroupName="/app", filterPattern=pattern)[0] == (
            INVALID
        )


@pytest.mark.parametrize("cloud", [{"logs.scan_bytes_max": 1_000}], indirect=True)
def test_a_long_search_without_a_match_comes_back_empty_with_a_token(
    logs: Any, stream: Any, put: Any, now_ms: int
) -> None:
    put(*((now_ms + i, "x" * 100) for i in range(50)), (now_ms + 50, "needle"))
    request = {"logGroupName": "/app", "filterPattern": "needle"}
    page = logs.filter_log_events(**request)
    assert page["events"] == []
    pages = 1
    while "nextToken" in page:
        page = logs.filter_log_events(**request, nextToken=page["nextToken"])
        pages += 1
    assert messages_of(page) == ["needle"]
    assert pages >= 5


def test_a_search_looks_at_so_many_hours_and_goes_on_there(
    logs: Any, stream: Any, put: Any, now_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fogbank.services.logs.quotas.SEARCH_HOURS", 3)
    for hours in range(10, 0, -1):
        put((now_ms - hours * 3_600_000, "x"))
    put((now_ms, "y"), name="needle")
    begin = {"startTime": now_ms - DAY_MS}
    for direction in ({}, {"startFromHead": False, **begin}):
        request = {"logGroupName": "/app", "logStreamNamePrefix": "n", **direction}
        found, pages = [], 0
        while True:
            page = logs.filter_log_events(**request)
            pages += 1
            found += messages_of(page)
            if "nextToken" not in page:
                break
            request["nextToken"] = page["nextToken"]
        assert (found, pages) == (["y"], 4)
    both = logs.get_paginator("filter_log_events").paginate(logGroupName="/app")
    assert [message for page in both for message in messages_of(page)] == ["x"] * 10 + ["y"]


def test_a_batch_must_be_in_order_and_within_a_day(
    put: Any, stream: Any, refusal: Any, logs: Any, now_ms: int
) -> None:
    def events(*times: int) -> list[dict[str, Any]]:
        return [{"timestamp": time_ms, "message": "m"} for time_ms in times]

    assert refusal(logs.put_log_events, **stream, logEvents=events(now_ms, now_ms - 1)) == (
        INVALID,
        "Log events in a single PutLogEvents request must be in chronological order.",
    )
    wide = events(now_ms - DAY_MS - 1, now_ms)
    assert "more than 24 hours" in refusal(logs.put_log_events, **stream, logEvents=wide)[1]


def test_events_too_old_or_too_new_are_rejected_and_told(
    logs: Any, stream: Any, put: Any, now_ms: int
) -> None:
    ahead = now_ms + 2 * 3_600_000
    reply = put((now_ms - 15 * DAY_MS, "old"), (now_ms, "now"), (ahead, "edge"), (ahead + 1, "new"))
    assert reply["rejectedLogEventsInfo"] == {
        "tooOldLogEventEndIndex": 1,
        "tooNewLogEventStartIndex": 3,
    }
    assert messages_of(logs.get_log_events(**stream)) == ["now", "edge"]
    only = put((now_ms - 15 * DAY_MS, "old"))
    assert only["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    assert only["nextSequenceToken"]


def test_sizes_are_counted_as_aws_counts_them(
    logs: Any, stream: Any, put: Any, refusal: Any, now_ms: int
) -> None:
    fits = (1 << 20) - 26
    put((now_ms, "x" * fits))
    events = [{"timestamp": now_ms, "message": "x" * (fits + 1)}]
    assert refusal(logs.put_log_events, **stream, logEvents=events) == (
        INVALID,
        "Upload too large: 1048577 bytes exceeds limit of 1048576",
    )
    assert logs.describe_log_groups()["logGroups"][0]["storedBytes"] == 1 << 20


def test_a_large_message_comes_back_whole(logs: Any, stream: Any, put: Any, now_ms: int) -> None:
    large = "é𝄞" * 150_000
    put((now_ms, "before"), (now_ms, large), (now_ms, "after"))
    assert messages_of(logs.get_log_events(**stream, startFromHead=True)) == [
        "before",
        large,
        "after",
    ]
    assert messages_of(logs.filter_log_events(logGroupName="/app", filterPattern="after")) == [
        "after"
    ]


def test_a_page_holds_a_megabyte_and_at_least_one_event(
    logs: Any, stream: Any, put: Any, now_ms: int
) -> None:
    for number in range(3):
        put((now_ms + number, str(number) + "x" * 700_000))
    page = logs.get_log_events(**stream, startFromHead=True)
    assert len(page["events"]) == 1
    first = logs.filter_log_events(logGroupName="/app")
    assert len(first["events"]) == 1
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName="/app")
    assert [m[0] for page in pages for m in messages_of(page)] == ["0", "1", "2"]


@pytest.mark.slow
def test_ten_thousand_events_over_a_day_are_one_batch(
    logs: Any, stream: Any, put: Any, now_ms: int
) -> None:
    begin = now_ms - DAY_MS
    put(*((begin + 8_640 * i, str(i)) for i in range(10_000)))
    page = logs.get_log_events(
        **stream, startTime=begin + 8_640 * 5_000, startFromHead=True, limit=2
    )
    assert messages_of(page) == ["5000", "5001"]
    assert messages_of(logs.get_log_events(**stream, limit=2)) == ["9998", "9999"]


def test_streams_and_groups_that_are_not_there_are_named(
    logs: Any, stream: Any, refusal: Any, now_ms: int
) -> None:
    no_group = ("ResourceNotFoundException", "The specified log group does not exist.")
    no_stream = ("ResourceNotFoundException", "The specified log stream does not exist.")
    events = [{"timestamp": now_ms, "message": "m"}]
    other, none = {**stream, "logStreamName": "x"}, {**stream, "logGroupName": "/none"}
    assert refusal(logs.put_log_events, **other, logEvents=events) == no_stream
    assert refusal(logs.put_log_events, **none, logEvents=events) == no_group
    assert refusal(logs.get_log_events, **other) == no_stream
    assert refusal(logs.filter_log_events, logGroupName="/none") == no_group
    named = {"logGroupName": "/app", "logStreamNames": ["x"]}
    assert refusal(logs.filter_log_events, **named) == no_stream
    both = {**named, "logStreamNamePrefix": "x"}
    assert refusal(logs.filter_log_events, **both)[0] == INVALID
