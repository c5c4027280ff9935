"""The XML reader: plain documents are read, dangerous ones are refused."""

from __future__ import annotations

import contextlib
from typing import Any, cast
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fogbank.wire.checksums import digest_of, text_of
from fogbank.wire.compile import codec_of
from fogbank.wire.errors import InvalidArgument, MalformedXML
from fogbank.wire.http import HttpRequest
from fogbank.wire.xml import BYTES_MAX, ELEMENTS_MAX, local, parse


def test_a_plain_document_is_read() -> None:
    root = parse(
        b'<a:Grant xmlns:a="x"><a:Grantee xsi:type="Group" xmlns:xsi="y">t &amp; u</a:Grantee>'
        b"</a:Grant>"
    )
    assert local(root.tag) == "Grant"
    (child,) = root
    assert (local(child.tag), child.text) == ("Grantee", "t & u")
    assert {local(name): text for name, text in child.attrib.items()} == {"type": "Group"}


def test_a_deep_document_is_refused_and_breaks_nothing() -> None:
    deep = b"<Delete>" + b"<Object>" * 20_000 + b"</Object>" * 20_000 + b"</Delete>"
    md5 = text_of(digest_of("MD5", deep))
    request = HttpRequest("POST", "/b", "delete", {"content-md5": md5}, deep)
    with pytest.raises(MalformedXML):
        codec_of("s3").decode("DeleteObjects", request, {"Bucket": "b"})


BOMB = b'<!DOCTYPE a [<!ENTITY b "bbb"><!ENTITY c "&b;&b;">]><a>&c;</a>'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"text",
        b"<a>",
        b"<a></b>",
        b"<a/><b/>",
        b"<a>&unknown;</a>",
        b"<a>\x00</a>",
        b"\xff\xfe<a/>",
        BOMB,
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b"<a>" + b"<b/>" * (2 * ELEMENTS_MAX) + b"</a>",
        b"<a>" + bytes(BYTES_MAX) + b"</a>",
        "<!DOCTYPE a><a/>".encode("utf-16"),
        "<!DOCTYPE a><a/>".encode("utf-16-be"),
        "<!DOCTYPE a><a/>".encode("utf-32"),
        b'<?xml version="1.0" encoding="utf-7"?><a b=""',
    ],
)
def test_a_bad_or_dangerous_document_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedXML):
        parse(body)


@pytest.mark.parametrize(
    ("encoding", "text", "taken"),
    [
        (b"utf-8", b"\xc3\xa9", True),
        (b"UTF-8", b"\xc3\xa9", True),
        (b"iso-8859-1", b"e", True),
        (b"US-ASCII", b"e", True),
        (b"iso-8859-1", b"\xc3\xa9", False),
        (b"windows-1252", b"e", False),
        (b"utf-16", b"e", False),
        (b"nonsense", b"e", False),
    ],
)
def test_a_document_is_read_in_the_encoding_that_it_says_or_refused(
    encoding: bytes, text: bytes, taken: bool
) -> None:
    for mark in (b"", b"\xef\xbb\xbf")[: 2 if encoding.lower() == b"utf-8" else 1]:
        for quoted in (b'"%s"', b"'%s'"):
            said = b"<?xml version='1.0' encoding = " + quoted % encoding + b" ?>"
            body = mark + said + b"<a>" + text + b"</a>"
            if taken:
                assert parse(body).text == text.decode()
            else:
                with pytest.raises(MalformedXML):
                    parse(body)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    for body in (data, b"<a>" + data + b"</a>"):
        with contextlib.suppress(MalformedXML):
            parse(body)


@pytest.mark.parametrize("service", ["iam", "ec2", "s3", "cloudfront"])
def test_a_message_is_legible_whatever_it_repeats(service: str) -> None:
    error = InvalidArgument("Value '\x01<&\x1f\ufffe' is none")
    reply = codec_of(service).encode_error(None, error, "request")
    root = ET.fromstring(cast("bytes", reply.body))
    told = [each.text for each in root.iter() if each.tag.rpartition("}")[2] == "Message"]
    assert told == ["Value '\ufffd<&\ufffd\ufffd' is none"]


def test_what_an_error_of_s3_repeats_is_legible_too() -> None:
    """Found by fuzzing: a signature's scope with a NUL stands in StringToSign."""
    error = InvalidArgument("no", ArgumentName="k", ArgumentValue="a\0b\x1f")
    reply = codec_of("s3").encode_error(None, error, "request")
    root = ET.fromstring(cast("bytes", reply.body))
    assert root.findtext("ArgumentValue") == "a\ufffdb\ufffd"


_TEXTS = st.one_of(st.text(max_size=5), st.sampled_from(["a<b", "&", "é", "\r", "\0", "{x}", "%s"]))
_OBJECTS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"Key": _TEXTS, "Size": st.integers(0, 9)},
    optional={
        "LastModified": st.integers(0, 2_000_000_000_000),
        "ChecksumAlgorithm": st.lists(st.sampled_from(["CRC32", "<"]), max_size=2),
        "Owner": st.fixed_dictionaries({}, optional={"ID": _TEXTS}),
        "RestoreStatus": st.fixed_dictionaries({}, optional={"IsRestoreInProgress": st.booleans()}),
        "ETag": st.none() | _TEXTS,
        "NoMember": _TEXTS,
    },
)


@given(st.lists(_OBJECTS, min_size=1, max_size=12), st.sampled_from([0, 8]))
@settings(max_examples=200, deadline=None)
def test_entries_that_are_alike_are_written_together_as_each_is_alone(
    objects: list[dict[str, Any]], more: int
) -> None:
    codec = codec_of("s3")

    def listed(entries: list[dict[str, Any]]) -> str:
        body = codec.encode("ListObjectsV2", {"Contents": entries}, "R").body
        assert isinstance(body, bytes)
        return body.decode().partition("<Contents>")[2].rpartition("</Contents>")[0]

    objects = [*objects, *objects[:1] * more]
    alone = "</Contents><Contents>".join(listed([each]) for each in objects)
    assert listed(objects) == alone


def test_entries_of_more_forms_than_are_kept_are_written_all_the_same() -> None:
    codec = codec_of("s3")
    members = ("Key", "ETag", "StorageClass", "ChecksumType", "Size", "LastModified", "Owner")
    values = ("k", "e", "s", "c", 1, 2, {"ID": "i"})
    forms = [
        {n: v for at, (n, v) in enumerate(zip(members, values, strict=True)) if form >> at & 1}
        for form in range(1, 128)
    ]
    body = codec.encode("ListObjectsV2", {"Contents": forms}, "R").body
    assert isinstance(body, bytes)
    assert body.count(b"<Contents>") == len(forms)
    assert body.count(b"<Key>k</Key>") == 64
