"""Rows of EventBridge User Guide, "Comparison operators for use in event patterns"."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.platform.bus.patterns import DEPTH_MAX, InvalidPattern, Pattern

EVENT = {
    "source": "aws.ec2",
    "detail": {
        "state": "running",
        "count": 10,
        "price": 10.0,
        "on": True,
        "nothing": None,
        "empty": [],
        "blank": "",
        "tags": ["red", "Green"],
        "ip": "10.0.0.77",
        "ip6": "2001:db8::1",
        "path": "a/b*c/d",
        "rows": [{"k": 1, "v": "x"}, {"k": 2, "v": "y"}],
    },
}


def matches(detail: Any) -> bool:
    return Pattern(json.dumps({"detail": detail}).encode()).matches(EVENT)


@pytest.mark.parametrize(
    ("detail", "wanted"),
    [
        ({"state": ["running"]}, True),
        ({"state": ["stopped", "running"]}, True),
        ({"state": ["stopped"]}, False),
        ({"state": ["running"], "count": [11]}, False),
        ({"count": [10]}, True),
        ({"count": [10.0]}, False),  # "300, 300.0, and 3.0e2 are not considered equal"
        ({"price": [10]}, False),
        ({"on": [True]}, True),
        ({"on": [1]}, False),
        ({"nothing": [None]}, True),
        ({"missing": [None]}, False),
        ({"blank": [""]}, True),
        ({"state": [""]}, False),
        ({"tags": ["red"]}, True),
        ({"tags": ["blue"]}, False),
        ({"state": [{"prefix": "run"}]}, True),
        ({"state": [{"prefix": "un"}]}, False),
        ({"state": [{"prefix": {"equals-ignore-case": "RUN"}}]}, True),
        ({"count": [{"prefix": "1"}]}, False),
        ({"state": [{"suffix": "ing"}]}, True),
        ({"state": [{"suffix": {"equals-ignore-case": "ING"}}]}, True),
        ({"state": [{"suffix": "in"}]}, False),
        ({"tags": [{"equals-ignore-case": "green"}]}, True),
        ({"tags": ["green"]}, False),
        ({"state": [{"anything-but": "running"}]}, False),
        ({"state": [{"anything-but": ["stopped", "gone"]}]}, True),
        ({"count": [{"anything-but": [10, 11]}]}, False),
        ({"count": [{"anything-but": 11}]}, True),
        ({"missing": [{"anything-but": "x"}]}, False),
        ({"state": [{"anything-but": {"prefix": "run"}}]}, False),
        ({"state": [{"anything-but": {"prefix": ["x", "run"]}}]}, False),
        ({"state": [{"anything-but": {"suffix": ["x", "y"]}}]}, True),
        ({"state": [{"anything-but": {"equals-ignore-case": ["RUNNING"]}}]}, False),
        ({"path": [{"anything-but": {"wildcard": "*/lib/*"}}]}, True),
        ({"count": [{"numeric": ["=", 10]}]}, True),
        ({"count": [{"numeric": [">", 0, "<=", 10]}]}, True),
        ({"count": [{"numeric": [">", 10]}]}, False),
        ({"price": [{"numeric": ["<", 10.5]}]}, True),
        ({"state": [{"numeric": [">", 0]}]}, False),
        ({"on": [{"numeric": [">", 0]}]}, False),
        ({"state": [{"exists": True}]}, True),
        ({"state": [{"exists": False}]}, False),
        ({"missing": [{"exists": False}]}, True),
        ({"missing": {"deeper": [{"exists": False}]}}, True),
        ({"empty": [{"exists": False}]}, True),
        ({"nothing": [{"exists": True}]}, True),
        ({"rows": [{"exists": True}]}, False),  # "works on leaf nodes only"
        ({"ip": [{"cidr": "10.0.0.0/24"}]}, True),
        ({"ip": [{"cidr": "10.0.1.0/24"}]}, False),
        ({"ip6": [{"cidr": "2001:db8::/32"}]}, True),
        ({"state": [{"cidr": "10.0.0.0/24"}]}, False),
        ({"path": [{"wildcard": "a/*/d"}]}, True),
        ({"path": [{"wildcard": "a/b\\*c/*"}]}, True),
        ({"path": [{"wildcard": "*b\\*c*"}]}, True),
        ({"path": [{"wildcard": "a\\*"}]}, False),
        ({"path": [{"wildcard": "a/b*c/d"}]}, True),
        ({"rows": {"k": [1], "v": ["x"]}}, True),
        ({"rows": {"k": [1], "v": ["y"]}}, False),  # the fields of one element, not of two
        ({"$or": [{"count": [11]}, {"state": ["running"]}]}, True),
        ({"$or": [{"count": [11]}, {"state": ["gone"]}]}, False),
        ({"on": [False], "$or": [{"count": [10]}, {"state": ["running"]}]}, False),
    ],
)
def test_an_operator_takes_what_its_page_says(detail: Any, wanted: bool) -> None:
    assert matches(detail) is wanted


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("[", "not a valid JSON"),
        ("[]", "Filter is not an object"),
        ("{}", "Empty objects"),
        ('{"a": []}', "Empty arrays"),
        ('{"a": "x"}', "must be an object or an array"),
        ('{"a": [["x"]]}', "arrays are not allowed inside arrays"),
        ('{"a": [{"regex": "x"}]}', "Unrecognized match type regex"),
        ('{"a": [{"prefix": "x", "suffix": "y"}]}', "Only one key"),
        ('{"a": [{"prefix": 1}]}', "prefix match pattern must be a string"),
        ('{"a": [{"prefix": {"regex": "x"}}]}', "Unsupported prefix pattern"),
        ('{"a": [{"exists": "yes"}]}', "either true or false"),
        ('{"a": [{"cidr": "10.0.0.0/33"}]}', "Malformed CIDR"),
        ('{"a": [{"numeric": [">"]}]}', "one or two comparisons"),
        ('{"a": [{"numeric": ["!", 1]}]}', "Unrecognized numeric range operator"),
        ('{"a": [{"numeric": [">", "1"]}]}', "must be a number"),
        ('{"a": [{"numeric": [">", 5000000001]}]}', "5 billion"),
        ('{"a": [{"numeric": [">", 5, "<", 5]}]}', "Bottom must be less than top"),
        ('{"a": [{"numeric": ["<", 5, ">", 1]}]}', "a lower bound and then"),
        ('{"a": [{"wildcard": "a**b"}]}', "Consecutive wildcard"),
        ('{"a": [{"wildcard": "a\\\\n"}]}', "Invalid escape"),
        ('{"a": [{"anything-but": [true]}]}', "only strings and numbers"),
        ('{"a": [{"anything-but": []}]}', "Empty arrays"),
        ('{"a": [{"anything-but": {"cidr": "1.1.1.1/8"}}]}', "Unsupported anything-but"),
        ('{"a": [{"anything-but": {"prefix": "a", "suffix": "b"}}]}', "Only one key"),
        ('{"$or": [{"a": ["x"]}]}', "at least 2 Objects"),
        ('{"$or": [{"a": ["x"]}, "y"]}', "Only Object is allowed"),
        ('{"a": ["' + "x" * 4_096 + '"]}', "too long"),
        ('{"a": ' * (DEPTH_MAX + 2) + '["x"]' + "}" * (DEPTH_MAX + 2), "nested deeper"),
        (
            json.dumps(
                {
                    "a": {"$or": [{str(n): [0]} for n in range(40)]},
                    "$or": [{str(n): [0]} for n in range(40)],
                }
            ),
            "too many combinations",
        ),
    ],
)
def test_what_is_no_pattern_is_refused_with_its_reason(source: str, reason: str) -> None:
    with pytest.raises(InvalidPattern, match=re.escape(reason)):
        Pattern(source.encode())


@given(st.text("ab*\\", max_size=12), st.text("ab", max_size=12))
def test_a_wildcard_is_a_regular_expression_of_any_text(wildcard: str, value: str) -> None:
    try:
        pattern = Pattern(json.dumps({"v": [{"wildcard": wildcard}]}).encode())
    except InvalidPattern:
        return
    plain = re.sub(r"\\(.)", lambda found: {"*": "S", "\\": "B"}[found[1]], wildcard)
    expected = re.fullmatch(plain.replace("*", ".*"), value, re.DOTALL) is not None
    assert pattern.matches({"v": value}) is expected
