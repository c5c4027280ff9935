"""Front doors: how they are found, what they are handed, and what comes through a front."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.unit.gateway.stub import ACCOUNT, REGION, Gate, StreamOf
from tests.unit.gateway.test_forward import Split

from fogbank.base.errors import Throttled
from fogbank.contract.endpoint import Endpoint, Knock
from fogbank.contract.operation import BodyLimit
from fogbank.contract.quota import Quota
from fogbank.contract.service import Service
from fogbank.platform.store.engine import Domain
from fogbank.testing.signing import close_signers, open_signers, signing_by
from fogbank.wire.http import HttpReply, HttpRequest


@pytest.fixture(autouse=True)
def signers() -> Iterator[None]:
    """Let requests be signed by the gate's clock."""
    open_signers()
    yield
    close_signers()


PLACE = Domain("dynamodb", ACCOUNT, REGION)


def site(serve: Callable[[Knock], Awaitable[HttpReply]]) -> Service:
    """Return a service with a front door of eight bytes at most, whose names begin with ``w``."""
    endpoint = Endpoint(
        name="VisitSite",
        label="site",
        place=lambda _region, name: (ACCOUNT, PLACE) if name.startswith("w") else None,
        serve=serve,
        body=BodyLimit(Quota("dynamodb.site_bytes_max", 8)),
    )
    return Service(model="dynamodb", operations=(), endpoints=(endpoint,))


async def tell(knock: Knock) -> HttpReply:
    if knock.path == "/bug":
        raise AssertionError("bug")
    signed = await knock.prove()
    who = "nobody" if signed is None else signed.principal.arn
    assert (knock.call.domain, knock.call.scope.account) == (PLACE, ACCOUNT)
    return HttpReply(200, [], f"{knock.name} {knock.path} {who} ".encode() + knock.request.body)


def test_a_front_door_is_found_by_its_host_or_under_a_bare_one_by_its_path() -> None:
    gate = Gate(services=[site(tell)])
    host = {"host": f"www.site.{REGION}.localhost:4566"}
    reply, body = gate.handle(HttpRequest("GET", "/a", "", host))
    assert (reply.status, body) == (200, b"www /a nobody ")
    bare = {"host": "127.0.0.1:4566"}
    _, body = gate.handle(HttpRequest("GET", f"/site/{REGION}/www/a/b", "", bare))
    assert body == b"www /a/b nobody "
    _, body = gate.handle(HttpRequest("GET", f"/site/{REGION}/www", "", bare))
    assert body == b"www / nobody "
    for path in ("/site/nowhere/www/", f"/site/{REGION}/other/", f"/site/{REGION}", "/site/"):
        reply, _ = gate.handle(HttpRequest("GET", path, "", bare))
        assert reply.status != 200


def test_what_a_front_door_cannot_take_or_does_wrong_is_told_in_the_words_of_its_service() -> None:
    gate = Gate(services=[site(tell)])
    host = {"host": f"www.site.{REGION}.localhost"}
    reply, _ = gate.handle(HttpRequest("GET", "/bug", "", host))
    assert reply.status == 500
    reply, body = gate.handle(HttpRequest("POST", "/", "", host, b"12345678"))
    assert (reply.status, body) == (200, b"www / nobody 12345678")
    reply, body = gate.handle(HttpRequest("POST", "/", "", host, b"123456789"))
    assert reply.status == 413
    streamed = HttpRequest("POST", "/", "", host, b"", StreamOf(b"123456789", 4))
    reply, _ = gate.handle(streamed)
    assert reply.status == 413


def test_a_signer_is_proved_at_a_front_door_when_it_is_asked_for() -> None:
    gate = Gate(services=[site(tell)])
    url = f"http://www.site.{REGION}.localhost/x"
    keys = Credentials(gate.root.access_key_id, gate.root.secret_access_key)
    for service, status in (("dynamodb", 200), ("s3", 400)):
        asked = AWSRequest("GET", url, headers={"host": urlsplit(url).netloc})
        with signing_by(gate.clock):
            SigV4Auth(keys, service, REGION).add_auth(asked)
        headers = {name.lower(): value for name, value in asked.headers.items()}
        reply, body = gate.handle(HttpRequest("GET", "/x", "", dict(headers)))
        assert reply.status == status
        if status == 200:
            assert body == f"www /x arn:aws:iam::{ACCOUNT}:root ".encode()
            headers["x-amz-date"] = headers["x-amz-date"].replace("2026", "2025")
            assert gate.handle(HttpRequest("GET", "/x", "", headers))[0].status == 400


def test_a_request_at_a_front_door_goes_whole_to_who_owns_it_and_its_answer_back() -> None:
    split = Split(services=[site(tell)])
    host = {"host": f"www.site.{REGION}.localhost"}
    reply, body = split.handle(HttpRequest("POST", "/p", "", host, b"short"))
    assert (reply.status, body) == (200, b"www /p nobody short")
    reply, body = split.handle(HttpRequest("POST", "/", "", host, b"", StreamOf(b"1234567")))
    assert body == b"www / nobody 1234567"
    assert split.peer.calls == 2
    assert split.handle(HttpRequest("GET", "/bug", "", host))[0].status == 500
    assert split.handle(HttpRequest("POST", "/", "", host, b"123456789"))[0].status == 413


def test_a_streamed_answer_comes_through_a_front_piece_by_piece() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    async def serve(_knock: Knock) -> HttpReply:
        return HttpReply(203, [("x-a", "b"), ("Set-Cookie", "1"), ("Set-Cookie", "2")], pieces())

    split = Split(services=[site(serve)])
    host = {"host": f"www.site.{REGION}.localhost"}
    reply, body = split.handle(HttpRequest("GET", "/", "", host))
    assert (reply.status, body) == (203, b"one two")
    assert [value for name, value in reply.headers if name == "Set-Cookie"] == ["1", "2"]


def test_where_there_is_no_room_a_front_door_says_so_and_the_refusal_is_recorded() -> None:
    async def serve(_knock: Knock) -> HttpReply:
        raise Throttled("later")

    gate = Gate(services=[site(serve)])
    reply, _ = gate.handle(HttpRequest("GET", "/", "", {"host": f"www.site.{REGION}.localhost"}))
    assert reply.status == 400
    (entry,) = gate.dispatcher.recent
    assert (entry.operation, entry.error_code) == ("VisitSite", "ThrottlingException")
