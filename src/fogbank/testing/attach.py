"""Whatever boto3 does in this process reaches one cloud: no endpoint, no change to the code.

Rule: while a cloud is attached, no request that botocore makes for AWS leaves the process. Clients
find the cloud by the environment; botocore's HTTP session hands it their requests, so that clients
which were made before (at import) are caught as well, and act as the test does. Requests to any
other host go where they say: another server in a test is the test's own affair.

botocore's sleeps (retries, waiters) after an answer of the cloud move its virtual time.
"""
# botocore has no types:
# pyright: basic

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol
from unittest import mock
from urllib.parse import urlsplit

import boto3
import botocore.endpoint
import botocore.session
import botocore.signers
import botocore.waiter
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

from fogbank.testing.clock import VirtualClock
from fogbank.testing.sessions import shared_loader
from fogbank.testing.signing import signing_by

REGION: Final = "us-east-1"
HOST: Final = "127.0.0.1:4566"
AWS_HOSTS: Final = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
OWN_FILES: Final[Mapping[str, str]] = {
    "AWS_CONFIG_FILE": str(Path(__file__).with_name("aws.config")),
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What keeps the user's own configuration out of a test."""
READ_TIMEOUT_S: Final = 60.0
"""botocore's own, where a client has said nothing."""


class Keys(NamedTuple):
    """What someone signs with."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""


class Proof(Protocol):
    """Anything that holds keys: ``Keys``, or a credential of the cloud's own."""

    @property
    def access_key_id(self) -> str:
        """Return the name of the key."""
        ...

    @property
    def secret_access_key(self) -> str:
        """Return the secret."""
        ...

    @property
    def session_token(self) -> str:
        """Return the token of a session, or nothing."""
        ...


class Attachable(Protocol):
    """What a cloud must have to be attached."""

    clock: VirtualClock

    @property
    def account(self) -> Proof:
        """Return who the test is, unless it acts as someone else."""
        ...

    def answer(self, request: Any, timeout_s: float) -> Any:
        """Answer a prepared request of botocore's."""
        ...

    def advance(self, milliseconds: int) -> None:
        """Move virtual time."""
        ...


def environment_of(proof: Proof, *, endpoint: str, region: str = REGION) -> dict[str, str]:
    """Return the variables that point every SDK at an endpoint, and at no one's own files."""
    variables = {
        "AWS_ACCESS_KEY_ID": proof.access_key_id,
        "AWS_SECRET_ACCESS_KEY": proof.secret_access_key,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL": endpoint,
        **OWN_FILES,
    }
    if proof.session_token:
        variables["AWS_SESSION_TOKEN"] = proof.session_token
    return variables


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Let these be the only ``AWS_*`` variables; boto3's default session is made anew."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with (
        mock.patch.dict(os.environ, {**others, **variables}, clear=True),
        mock.patch.object(boto3, "DEFAULT_SESSION", None),
    ):
        yield


@contextmanager
def acting_as(proof: Proof) -> Iterator[None]:
    """Let the clients that are made meanwhile sign as someone else."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL", f"http://{HOST}")
    region = os.environ.get("AWS_REGION", REGION)
    with environment(environment_of(proof, endpoint=endpoint, region=region)):
        yield


def is_aws(url: str) -> bool:
    """Return whether a request is for AWS itself: a client that was made without the cloud."""
    return (urlsplit(url).hostname or "").endswith(AWS_HOSTS)


def is_ours(url: str) -> bool:
    """Return whether a request is for the cloud."""
    parts = urlsplit(url)
    return parts.netloc == HOST or is_aws(url)


class _Time:
    """botocore's ``time`` while a cloud is attached: its sleeps are virtual."""

    def __init__(self, attachment: _Attachment) -> None:
        self._attachment = attachment

    def sleep(self, seconds: float) -> None:
        """Move the cloud's time if it gave the last answer of this thread; sleep if not."""
        if self._attachment.answered_last():
            self._attachment.cloud.advance(round(seconds * 1_000))
        else:
            time.sleep(seconds)  # a client of another server waits as it would

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


class _Attachment:
    """The doubles of botocore's parts, for one cloud."""

    def __init__(self, cloud: Attachable) -> None:
        self.cloud = cloud
        self._send: Any = URLLib3Session.send
        self._sign: Any = botocore.signers.RequestSigner.sign
        self._last = threading.local()

    def answered_last(self) -> bool:
        """Return whether this thread's last answer came from the cloud."""
        return getattr(self._last, "ours", False)

    def send(self, session: Any, request: Any) -> Any:
        """Answer a request, or let it go where it says."""
        self._last.ours = is_ours(request.url)
        if not self._last.ours:
            return self._send(session, request)
        timeout = getattr(session, "_timeout", None)
        seconds = timeout if isinstance(timeout, int | float) else None
        seconds = getattr(timeout, "read_timeout", seconds)
        return self.cloud.answer(request, READ_TIMEOUT_S if seconds is None else seconds)

    def sign(self, signer: Any, operation: str, request: Any, *rest: Any, **options: Any) -> Any:
        """Sign by the cloud's time; for a client that was made for AWS, as the test's caller."""
        if not is_ours(request.url):
            return self._sign(signer, operation, request, *rest, **options)
        if is_aws(request.url):
            signing = dict(request.context.get("signing", {}))
            signing["request_credentials"] = Credentials(
                os.environ["AWS_ACCESS_KEY_ID"],
                os.environ["AWS_SECRET_ACCESS_KEY"],
                os.environ.get("AWS_SESSION_TOKEN"),
            )
            request.context["signing"] = signing
        with signing_by(self.cloud.clock):
            return self._sign(signer, operation, request, *rest, **options)

    def open(self, doubles: ExitStack) -> None:
        """Put the doubles in place."""

        def send(session: Any, request: Any) -> Any:
            return self.send(session, request)

        def sign(signer: Any, operation: str, request: Any, *rest: Any, **options: Any) -> Any:
            return self.sign(signer, operation, request, *rest, **options)

        for owner, name, double in (
            (URLLib3Session, "send", send),
            (botocore.signers.RequestSigner, "sign", sign),
            (botocore.endpoint, "time", _Time(self)),
            (botocore.waiter, "time", _Time(self)),
            (botocore.session, "create_loader", shared_loader),
        ):
            doubles.enter_context(mock.patch.object(owner, name, double))


@contextmanager
def attached(cloud: Attachable) -> Iterator[None]:
    """Let whatever boto3 does in this process reach a cloud, as its account's root."""
    with ExitStack() as doubles:
        _Attachment(cloud).open(doubles)
        doubles.enter_context(environment(environment_of(cloud.account, endpoint=f"http://{HOST}")))
        yield
