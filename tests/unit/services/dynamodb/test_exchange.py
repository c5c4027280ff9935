from __future__ import annotations

import csv
import gzip
import io
import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest
from amazon.ion import simpleion
from amazon.ion.simple_types import IonPyNull
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.services.dynamodb.transferring import items, texts

from fogbank.services.dynamodb.rules import values
from fogbank.services.dynamodb.rules.exchange import delimited, dynamodb_json, ion, packing
from fogbank.services.dynamodb.rules.exchange.faults import Malformed, Unreadable
from fogbank.services.dynamodb.rules.exchange.records import Cut, Cutter

Item = dict[str, Any]
ITEM_OF: dict[str, Callable[[bytes], Item]] = {
    "json": dynamodb_json.item_of,
    "ion": ion.item_of,
}


def same(left: Item, right: Item) -> bool:
    return values.equal({"M": dict(values.admit_item(left))}, {"M": right})


# DynamoDB JSON.


@pytest.mark.slow
@given(items)
def test_an_item_written_as_a_line_of_json_reads_back(item: Item) -> None:
    line = dynamodb_json.line_of({"Item": item})
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert dynamodb_json.item_of(line) == item


@pytest.mark.parametrize(
    "line",
    [
        b'{"Item":{"a":{"S":5}}}',
        b'{"Item":{"a":{"N":5}}}',
        b'{"Item":{"a":{"X":"5"}}}',
        b'{"Item":{"a":{"B":"%%"}}}',
        b'{"Item":{},"Other":{}}',
        b'{"a":{"S":"x"}}',
        b"[]",
        b"\xff",
        b'{"Item":{"a":' + b'{"L":[' * 5_000,
    ],
)
def test_a_line_that_is_no_item_in_json_is_refused(line: bytes) -> None:
    with pytest.raises(Unreadable, match=r"^The line is no item in DynamoDB JSON: "):
        dynamodb_json.item_of(line)


# Amazon Ion.


@pytest.mark.slow
@given(items)
def test_an_item_written_as_a_line_of_ion_reads_back(item: Item) -> None:
    line = ion.line_of({"Item": item})
    assert line.startswith(b"$ion_1_0 {Item:{")
    assert line.count(b"\n") == 1
    assert same(ion.item_of(line), item)


def plain(value: Any) -> Any:
    """Return what the reference reader of Ion has read, in Python's own types."""
    if isinstance(value, IonPyNull):
        return None
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (str, bytes)):
        return value
    if isinstance(value, Sequence):
        kinds = [annotation.text for annotation in getattr(value, "ion_annotations", ())]
        return ("".join(kinds), [plain(each) for each in value])
    return value if isinstance(value, Decimal) else bool(value)


def expected(value: dict[str, Any]) -> Any:
    """Return the same of a value of DynamoDB's."""
    [(kind, content)] = value.items()
    if kind == "M":
        return {name: expected(each) for name, each in content.items()}
    if kind == "L":
        return ("", [expected(each) for each in content])
    if kind in {"SS", "NS", "BS"}:
        return (f"$dynamodb_{kind}", [expected({kind[0]: each}) for each in content])
    if kind == "N":
        return Decimal(content)
    return None if kind == "NULL" else content


@pytest.mark.slow
@given(items)
def test_the_reference_reader_of_ion_reads_what_is_written(item: Item) -> None:
    """``amazon.ion`` is the reader of those who defined Ion."""
    read = simpleion.loads(ion.line_of({"Item": item}).decode())
    assert plain(read) == {"Item": expected({"M": item})}


def test_numbers_are_written_in_ion_as_the_documents_show_them() -> None:
    """Developer Guide, "DynamoDB table export output format: Amazon Ion"."""
    shown = {"103": "103.", "600": "6d2", "2000": "2d3", "0": "0.", "-1.5": "-1.5"}
    shown |= {"0.0000015": "0.0000015", "0.000000015": "15d-9"}
    for number, text in shown.items():
        assert (
            ion.line_of({"Item": {"n": {"N": number}}})
            == f"$ion_1_0 {{Item:{{n:{text}}}}}\n".encode()
        )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'''a''' '''b'''", {"S": "ab"}),
        (r'"\x41\u0042\U00000043\n\"\/"', {"S": 'ABC\n"/'}),
        ("0x1F", {"N": "31"}),
        ("-0b101", {"N": "-5"}),
        ("1_000.5d-1", {"N": "1000.5e-1"}),
        ("null.decimal", {"NULL": True}),
        ("[1, 2,]", {"L": [{"N": "1"}, {"N": "2"}]}),
        ("/* c */ true // d", {"BOOL": True}),
        ("'$dynamodb_SS'::[\"a\"]", {"SS": ["a"]}),
        ("{{ YQ == }}", {"B": b"a"}),
        (
            "{'a b': {}, \"c\": 1, '''d''': 2}",
            {"M": {"a b": {"M": {}}, "c": {"N": "1"}, "d": {"N": "2"}}},
        ),
    ],
)
def test_what_ion_can_write_in_other_ways_is_read(text: str, value: Any) -> None:
    """The Amazon Ion specification, "Text encoding"."""
    line = f"$ion_1_0 {{Item:{{x:{text}\n}}}}"
    assert ion.item_of(line.encode()) == {"x": value}


@pytest.mark.parametrize(
    "text",
    [
        "1e0", "2007-01-01", "symbol", "(a b)", '{{"clob"}}', "+inf", "nan", "$other::[1]",
        "$dynamodb_SS::[1]", "$dynamodb_SS::5", "a::b::[1]", "[1 2]", "{a:1 b:2}", "{a}", "{1:2}",
        "{a:1,a:2}", '"\\q"', '"\\ud800"', "{{%}}", "null.other", "", '"open', "'''open",
        "1" * 5_000, "[" * 5_000, "{a:" * 50 + "1" + "}" * 50,
    ],
)  # fmt: skip
def test_what_ion_has_and_dynamodb_has_not_is_refused(text: str) -> None:
    with pytest.raises(Unreadable, match=r"^The line is no item in Amazon Ion: "):
        ion.item_of(f"{{Item:{{x:{text}}}}}".encode())


@pytest.mark.parametrize(
    "line", [b"", b"$ion_1_0", b"{Item:1}", b"{Item:{}} {Item:{}}", b"{item:{}}", b"[1]", b"\xff"]
)
def test_a_line_that_is_no_item_in_ion_is_refused(line: bytes) -> None:
    with pytest.raises(Unreadable, match=r"^The line is no item in Amazon Ion: "):
        ion.item_of(line)


# CSV.

fields = st.lists(texts.map(lambda text: text.replace("\0", "")), min_size=2, max_size=5)


@pytest.mark.slow
@given(st.lists(fields, min_size=1, max_size=5), st.sampled_from(",;:|\t "), st.integers(1, 7))
def test_what_a_writer_of_csv_writes_reads_back(
    rows: list[list[str]], delimiter: str, step: int
) -> None:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    content = out.getvalue().encode()
    cutter = Cutter(0, 1_000, quoted=True)
    cuts = [
        cut for at in range(0, len(content), step) for cut in cutter.cut(content[at : at + step])
    ]
    cuts += cutter.finish()
    assert [delimited.fields_of(cut.content or b"", delimiter) for cut in cuts] == rows
    assert cuts[-1].end == len(content)


def test_quotes_are_escaped_as_the_documents_show() -> None:
    """Developer Guide, "Amazon S3 import formats for DynamoDB: Escaping double quotes"."""
    right = b"""id,value \"\"\"123\"\"\",Women's Full Lenth Dress"""
    assert delimited.fields_of(right, ",") == ["id", 'value "123"', "Women's Full Lenth Dress"]
    with pytest.raises(Unreadable, match="A quote in field 2 is not escaped"):
        delimited.fields_of(b"""id,value "123",Women's Full Lenth Dress""", ",")


def test_keys_of_csv_have_their_types_and_all_else_is_text() -> None:
    types = {"n": "N", "b": "B"}
    record = b"5,%b,5" % b64encode(b"\0\1")
    item = delimited.item_of(record, ",", ("n", "b", "x"), types)
    assert item == {"n": {"N": "5"}, "b": {"B": b"\0\1"}, "x": {"S": "5"}}
    with pytest.raises(Unreadable, match="The value of the key b is not in base64"):
        delimited.item_of(b"5,!,5", ",", ("n", "b", "x"), types)
    with pytest.raises(Unreadable, match="The record has 2 fields, and the header 3"):
        delimited.item_of(b"5,6", ",", ("n", "b", "x"), types)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"a,,c", "A column has no name"),
        (b"a,b,a", "Two columns have one name"),
        (b'a,"b', "A quote in field 2 is not escaped"),
        (b"a" * 101, "The header has more than 100 bytes"),
        (b"\xff", "The record is not in UTF-8"),
    ],
)
def test_a_header_that_names_no_columns_is_malformed(header: bytes, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        delimited.header_of(header, ",", 100)


# Records.


@pytest.mark.slow
@given(st.lists(st.binary(max_size=9), max_size=9), st.integers(1, 9), st.booleans())
def test_records_are_the_same_however_the_stream_is_cut(
    contents: list[bytes], step: int, ends: bool
) -> None:
    lines = [content.replace(b"\n", b"").replace(b"\r", b"") for content in contents]
    stream = b"\n".join(lines) + (b"\n" if ends else b"")
    cutter = Cutter(7, 100, quoted=False)
    cuts = [cut for at in range(0, len(stream), step) for cut in cutter.cut(stream[at : at + step])]
    cuts += cutter.finish()
    wanted = lines if ends and lines else [*lines[:-1], *filter(None, lines[-1:])]
    assert [cut.content for cut in cuts] == (wanted if lines or not ends else [b""])
    begin = 7
    for cut in cuts:
        # Reading can go on at the place that a record tells.
        rest = Cutter(begin, 100, quoted=False)
        assert (rest.cut(stream[begin - 7 :]) + rest.finish())[0] == cut
        begin = cut.end


def test_a_record_that_is_too_large_is_passed_over_and_not_kept() -> None:
    cutter = Cutter(0, 10, quoted=False)
    assert cutter.cut(b"small\nlarg") == [Cut(b"small", 6)]
    for _ in range(1_000):
        assert cutter.cut(b"x" * 100) == []
    assert sum(map(len, cutter._kept)) <= 10
    assert cutter.cut(b"e\nnext\r\n") == [Cut(None, 100_012), Cut(b"next", 100_018)]


def test_a_quote_that_nobody_closes_ends_the_file_for_us() -> None:
    cutter = Cutter(0, 10, quoted=True)
    assert cutter.cut(b'a,b\nc,"d\n' + b"e\n" * 10) == [Cut(b"a,b", 4)]
    with pytest.raises(Malformed, match="A quoted field is larger than an item may be"):
        cutter.cut(b"more")
    short = Cutter(0, 10, quoted=True)
    assert short.cut(b'a,"b\n') == []
    with pytest.raises(Malformed, match="The file ends inside a quoted field"):
        short.finish()


# Compression.

PACK: dict[str, Callable[[bytes], bytes]] = {
    "NONE": bytes,
    "GZIP": lambda content: gzip.compress(content[:5]) + gzip.compress(content[5:]),
    "ZSTD": lambda content: zstd.compress(content[:5]) + zstd.compress(content[5:]),
}


@pytest.mark.parametrize("compression", PACK)
@pytest.mark.parametrize("step", [1, 7, 1_000_000])
def test_members_that_follow_each_other_are_inflated(compression: str, step: int) -> None:
    """RFC 1952, section 2.2; RFC 8878, section 3."""
    content = b"".join(b"line %d\n" % number for number in range(500))
    packed = PACK[compression](content)
    inflater = packing.inflater(compression)
    found = b"".join(
        piece
        for at in range(0, len(packed), step)
        for piece in inflater.inflate(packed[at : at + step])
    )
    inflater.finish()
    assert found == content


@pytest.mark.slow
@pytest.mark.parametrize("compression", ["GZIP", "ZSTD"])
def test_a_bomb_comes_out_in_pieces(compression: str) -> None:
    content = bytes(16 << 20)
    packed = {"GZIP": gzip.compress, "ZSTD": zstd.compress}[compression](content)
    assert len(packed) < 20_000
    sizes = [len(piece) for piece in packing.inflater(compression).inflate(packed)]
    assert max(sizes) == packing.PIECE_BYTES
    assert sum(sizes) == len(content)


@pytest.mark.parametrize("compression", ["GZIP", "ZSTD"])
def test_what_is_not_compressed_as_it_says_is_malformed(compression: str) -> None:
    said = "The file is not compressed as it was said to be"
    with pytest.raises(Malformed, match=said):
        list(packing.inflater(compression).inflate(b'{"Item":{}}\n' * 20))
    packed = PACK[compression](b"content " * 100)
    with pytest.raises(Malformed, match=said):
        list(packing.inflater(compression).inflate(packed + b"trailing rubbish"))
    inflater = packing.inflater(compression)
    list(inflater.inflate(packed[:-3]))
    with pytest.raises(Malformed, match="The compressed file is cut off"):
        inflater.finish()


@pytest.mark.slow
def test_a_frame_that_asks_for_a_large_window_is_refused() -> None:
    """RFC 8878, section 3.1.1.1.2: a decoder may refuse windows above 8 MiB."""
    options = {
        zstd.CompressionParameter.window_log: 27,
        zstd.CompressionParameter.enable_long_distance_matching: 1,
    }
    compressor = zstd.ZstdCompressor(options=options)
    packed = compressor.compress(bytes(32 << 20)) + compressor.flush()
    with pytest.raises(Malformed):
        list(packing.inflater("ZSTD").inflate(packed))


def test_json_of_python_is_read() -> None:
    line = json.dumps({"Item": {"é": {"S": "\ud83d\ude00"}}}).encode()
    assert dynamodb_json.item_of(line) == {"é": {"S": "😀"}}
