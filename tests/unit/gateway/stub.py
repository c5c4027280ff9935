"""A gateway over services that answer almost nothing, and botocore to sign for it."""

from __future__ import annotations

import asyncio
import json
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from types import ModuleType
from typing import Any, cast
from unittest import mock

import botocore.auth
import botocore.crt.auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config

from fogbank.base.ids import Ids
from fogbank.contract.action import Access
from fogbank.contract.call import Call, Facilities
from fogbank.contract.facet import OriginRule, OriginRules, ResourcePolicies, Standing
from fogbank.contract.operation import operation
from fogbank.contract.quota import Quotas
from fogbank.contract.service import Service
from fogbank.engines.memory import MemoryEngine
from fogbank.gateway.dispatch import Dispatcher
from fogbank.gateway.settings import GatewaySettings
from fogbank.platform.iam.bound import BoundPolicy
from fogbank.platform.iam.request import Caller
from fogbank.platform.identity.credentials import Credential
from fogbank.platform.identity.identity import Identity
from fogbank.platform.identity.principal import PrincipalKind
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.testing.clock import VirtualClock
from fogbank.testing.sessions import new_session
from fogbank.wire.http import BODY_WHOLE_BYTES_MAX, HttpReply, HttpRequest

REGION = "us-east-1"
ACCOUNT = "123456789012"
KEY_ID = "AKIDEXAMPLEROOT00001"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
UNSIGNED_HEADERS = "There were headers present in the request which were not signed"


def module_of(name: str, **functions: Any) -> ModuleType:
    """Return a module of operations, as a service has them."""
    module = ModuleType(f"stub_{name}")
    for key, function in functions.items():
        function.__module__ = module.__name__
        setattr(module, key, function)
    return module


class Stub:
    """What the operations saw, and what they shall answer."""

    def __init__(self) -> None:
        self.calls: list[tuple[Call, dict[str, Any]]] = []
        self.fail: BaseException | None = None
        self.bucket_policy: str | None = None
        self.bucket_owner = ACCOUNT
        self.origin_rules: tuple[OriginRule, ...] | None = ()

    def note(self, call: Call, request: dict[str, Any]) -> None:
        self.calls.append((call, request))
        if self.fail is not None:
            raise self.fail

    def s3(self) -> Service:
        stub = self

        @operation(access=lambda _s, _r: [Access("s3:ListAllMyBuckets", "*")])
        async def list_buckets(call: Call, request: dict[str, Any]) -> dict[str, Any]:
            stub.note(call, request)
            return {"Buckets": []}

        @operation(
            access=lambda _s, r: [Access("s3:PutObject", f"arn:aws:s3:::{r['Bucket']}/{r['Key']}")],
            unhonoured={"ACL": "private", "Tagging": ""},
        )
        async def put_object(call: Call, request: dict[str, Any]) -> dict[str, Any]:
            body = request.get("Body", b"")
            if not isinstance(body, bytes):
                pieces = []
                while piece := await body.read(1_000):
                    pieces.append(piece)
                trailers = getattr(body, "trailers", {})
                request = {**request, "Body": b"".join(pieces), "Trailers": trailers}
            stub.note(call, request)
            return {"ETag": '"x"'}

        @operation(
            access=lambda _s, r: [Access("s3:GetObject", f"arn:aws:s3:::{r['Bucket']}/{r['Key']}")]
        )
        async def get_object(call: Call, request: dict[str, Any]) -> dict[str, Any]:
            stub.note(call, request)
            return {"Body": b"hello", "ContentLength": 5}

        async def find(_tr: Transaction, _access: Access, _caller: Caller) -> Standing:
            said = None if stub.bucket_policy is None else BoundPolicy(stub.bucket_policy)
            return Standing(said, stub.bucket_owner)

        async def rules(_tr: Transaction) -> tuple[OriginRule, ...] | None:
            return stub.origin_rules

        def domain_of(bucket: str | None) -> Domain | None:
            return None if bucket is None else Domain("s3", bucket)

        return Service(
            model="s3",
            operations=(
                module_of(
                    "s3", list_buckets=list_buckets, put_object=put_object, get_object=get_object
                ),
            ),
            access_denied="AccessDenied",
            origins=OriginRules(lambda params: domain_of(params.get("Bucket")), rules),
            policies=ResourcePolicies(
                lambda arn: Domain("s3", arn.rpartition(":")[2].partition("/")[0]), find
            ),
        )

    def plain(self, model: str, function: str, answer: dict[str, Any], denied: str) -> Service:
        stub = self

        @operation()
        async def run(call: Call, request: dict[str, Any]) -> dict[str, Any]:
            stub.note(call, request)
            return answer

        return Service(
            model=model, operations=(module_of(model, **{function: run}),), access_denied=denied
        )

    def services(self) -> list[Service]:
        return [
            self.s3(),
            self.plain("dynamodb", "list_tables", {"TableNames": []}, "AccessDeniedException"),
            self.plain("dynamodbstreams", "list_streams", {"Streams": []}, "AccessDeniedException"),
            self.plain("iam", "list_users", {"Users": []}, "AccessDenied"),
            self.plain("lambda", "list_functions", {"Functions": []}, "AccessDeniedException"),
            self.plain("logs", "describe_log_groups", {"logGroups": []}, "AccessDeniedException"),
            self.plain("sts", "get_caller_identity", {"Account": ACCOUNT}, "AccessDenied"),
        ]


CALLS = {
    "s3": ("list_buckets", {}),
    "dynamodb": ("list_tables", {}),
    "iam": ("list_users", {}),
    "lambda": ("list_functions", {}),
    "logs": ("describe_log_groups", {}),
    "sts": ("get_caller_identity", {}),
}


class StreamOf:
    """A body in pieces, as a socket gives it."""

    def __init__(self, content: bytes, piece: int = 1_000) -> None:
        self.content, self.piece = content, piece
        self.length: int | None = len(content)
        self.at = 0

    async def read(self, limit: int) -> bytes:
        begin, self.at = self.at, self.at + min(limit, self.piece)
        return self.content[begin : self.at]


class Gate:
    """A dispatcher with an account, and requests that botocore has signed for it."""

    def __init__(
        self,
        settings: GatewaySettings | None = None,
        services: Sequence[Service] | None = None,
        clock: Any = None,
    ) -> None:
        self.stub = Stub()
        self.clock = clock or VirtualClock()
        self.engine = MemoryEngine()
        ids = Ids.seeded(7)
        self.identity = Identity(self.engine, self.clock, ids)
        self.facilities = Facilities(
            placement=self.engine,
            blobs=self.engine.blobs,
            clock=self.clock,
            ids=ids,
            identity=self.identity,
            quotas=Quotas(),
            outbox=cast("Any", None),
            timers=cast("Any", None),
            functions=cast("Any", None),
        )
        self.dispatcher = Dispatcher(
            self.stub.services() if services is None else services, self.facilities, settings
        )
        self.facilities.calls = self.dispatcher
        self.root: Credential = asyncio.run(self._open())

    async def _open(self) -> Credential:
        await self.identity.open()
        return await self.identity.create_account(
            "one", account_id=ACCOUNT, access_key_id=KEY_ID, secret_access_key=SECRET
        )

    def _now(self, *, remove_tzinfo: bool = True) -> datetime:
        now = datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC)
        return now.replace(tzinfo=None) if remove_tzinfo else now

    @contextmanager
    def _time(self) -> Iterator[None]:
        """Let botocore's signers, in Python and in C, read our clock."""
        with (
            mock.patch.object(botocore.auth, "get_current_datetime", self._now),
            mock.patch.object(botocore.crt.auth, "get_current_datetime", self._now),
        ):
            yield

    def client(self, service: str, **options: Any) -> Any:
        return new_session().client(
            service,
            region_name=options.pop("region", REGION),
            endpoint_url=options.pop("endpoint", "http://localhost:4566"),
            aws_access_key_id=options.pop("key_id", KEY_ID),
            aws_secret_access_key=options.pop("secret", SECRET),
            aws_session_token=options.pop("token", None),
            config=Config(retries={"total_max_attempts": 1}, **options),
        )

    def request(
        self, service: str, call: str = "", parameters: Any = None, **options: Any
    ) -> HttpRequest:
        """Return the request that botocore would send."""
        sent: list[Any] = []
        client = self.client(service, **options)

        def catch(request: Any, **_: object) -> None:
            sent.append(request)
            raise _Caught

        client.meta.events.register("before-send", catch)
        name, defaults = CALLS.get(service, ("", {}))
        with self._time(), suppress(_Caught):
            getattr(client, call or name)(**(defaults if parameters is None else parameters))
        return http_request(sent[0])

    def presigned(self, method: str, url: str, *, expires: int = 60, **changes: Any) -> HttpRequest:
        request = AWSRequest(method=method, url=url)
        credentials = mock.Mock(
            access_key=changes.get("key_id", KEY_ID),
            secret_key=changes.get("secret", SECRET),
            token=changes.get("token"),
        )
        signer = botocore.auth.S3SigV4QueryAuth(credentials, "s3", REGION, expires=expires)
        with self._time():
            signer.add_auth(request)
        return http_request(request.prepare())

    def handle(self, request: HttpRequest) -> tuple[HttpReply, bytes]:
        return asyncio.run(self._handle(request))

    async def _handle(self, request: HttpRequest) -> tuple[HttpReply, bytes]:
        reply = await self.dispatcher.handle(request)
        if isinstance(reply.body, bytes):
            return reply, reply.body
        stream = cast("AsyncIterator[bytes]", reply.body)
        return reply, b"".join([piece async for piece in stream])

    def refusal(self, request: HttpRequest) -> tuple[int, str, str]:
        """Return status, code and message of an error."""
        reply, body = self.handle(request)
        return reply.status, *error_in(reply, body)


def session_of(gate: Gate, unique_id: str, name: str) -> dict[str, str]:
    """Return the options of a client that has a session of a user."""

    async def made() -> Credential:
        asked = gate.identity.new_session(
            account=ACCOUNT, kind=PrincipalKind.USER, unique_id=unique_id, name=name, duration_s=900
        )
        return await gate.identity.session(asked)

    found = asyncio.run(made())
    return {
        "key_id": found.access_key_id,
        "secret": found.secret_access_key,
        "token": found.session_token,
    }


class _Caught(Exception):
    pass


def http_request(prepared: Any, *, streamed: bool = False) -> HttpRequest:
    rest = prepared.url.split("//", 1)[1]
    host, _, tail = rest.partition("/")
    path, _, query = tail.partition("?")
    headers = {
        name.lower(): value.decode("latin-1") if isinstance(value, bytes) else str(value)
        for name, value in prepared.headers.items()
    }
    headers.setdefault("host", host)
    body = prepared.body or b""
    if hasattr(body, "read"):
        body = body.read()
    content = body.encode() if isinstance(body, str) else bytes(body)
    streamed = streamed or len(content) > BODY_WHOLE_BYTES_MAX
    return HttpRequest(
        prepared.method,
        f"/{path}",
        query,
        headers,
        b"" if streamed else content,
        StreamOf(content) if streamed else None,
        peer="10.1.2.3",
    )


def error_in(reply: HttpReply, body: bytes) -> tuple[str, str]:
    """Return code and message, whatever the protocol."""
    if body.startswith(b"{"):
        value = json.loads(body)
        headers = {name.lower(): text for name, text in reply.headers}
        code = value.get("__type") or headers.get("x-amzn-errortype", "")
        message = value.get("message", value.get("Message", ""))
        return code.rpartition("#")[2].partition(":")[0], message

    root = ET.fromstring(body)
    found = {each.tag.rpartition("}")[2]: each.text or "" for each in root.iter()}
    return found.get("Code", ""), found.get("Message", "")


def root_session_of(gate: Gate, seconds: int = 3_600) -> Any:
    """Return a session of the account's root."""
    return asyncio.run(_root_session(gate, seconds))


async def _root_session(gate: Gate, seconds: int) -> Any:
    made = gate.identity.new_session(
        account=ACCOUNT,
        kind=PrincipalKind.ROOT,
        unique_id=ACCOUNT,
        name="",
        duration_s=seconds,
    )
    return await gate.identity.session(made)
