"""The pytest plugin: a cloud for each test, for code that uses plain boto3.

Rule: a run that asks for none of these fixtures pays nothing: nothing of the cloud, and no boto3,
is imported before a fixture is. ``docs/testing.md`` shows every fixture at work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fogbank.contract.service import Service
    from fogbank.testing.cloud import Cloud
    from fogbank.testing.server import Server

SEED_DEFAULT = "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the settings that a project may put into its ini file."""
    parser.addini(
        "fogbank_services",
        "services of the cloud of a test, by boto3's names; all by default",
        type="args",
        default=[],
    )
    parser.addini(
        "fogbank_seed",
        "every id and secret of a test's cloud follows from it",
        default=SEED_DEFAULT,
    )
    parser.addini(
        "fogbank_replay",
        "run every transaction body again, and fail if it does not do the same",
        type="bool",
        default=False,
    )


def _services_of(config: pytest.Config) -> list[Service]:
    """Return the services that the settings name."""
    from fogbank.server.roster import services  # noqa: PLC0415 (only runs with a cloud pay)

    found = {each.model: each for each in services()}
    wanted: list[str] = config.getini("fogbank_services") or list(found)
    unknown = sorted(set(wanted) - found.keys())
    if unknown:
        raise pytest.UsageError(
            f"fogbank_services names {', '.join(unknown)}; there are {', '.join(found)}"
        )
    return [found[name] for name in wanted]


def _seed_of(config: pytest.Config) -> int:
    """Return the seed that the settings name."""
    text: str = config.getini("fogbank_seed")
    try:
        return int(text)
    except ValueError:
        raise pytest.UsageError(f"fogbank_seed is {text!r} and must be a whole number") from None


def _require_one_cloud(request: pytest.FixtureRequest) -> None:
    """Refuse a test whose clients could be meant for either of two clouds."""
    if {"fogbank", "fogbank_server"} <= set(request.fixturenames):
        raise pytest.UsageError("a test has the cloud in process or the server, not both")


@pytest.fixture(name="fogbank")
def fogbank_fixture(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """A cloud of the test's own, in this process, that every boto3 client reaches.

    Time stands still until ``fogbank.advance(ms)`` moves it; ``fogbank.settle()`` waits until
    background work (deliveries, asynchronous invocations) has nothing left to do.
    """
    _require_one_cloud(request)
    from fogbank.testing.attach import attached  # noqa: PLC0415 (only runs with a cloud pay)
    from fogbank.testing.cloud import Cloud  # noqa: PLC0415 (only runs with a cloud pay)

    config = request.config
    with (
        Cloud(
            seed=_seed_of(config),
            replay=config.getini("fogbank_replay"),
            services=_services_of(config),
        ) as cloud,
        attached(cloud),
    ):
        yield cloud


@pytest.fixture
def fogbank_account(fogbank: Cloud) -> Callable[..., object]:
    """Make another account: ``fogbank_account("other")`` returns the keys of its root."""
    return fogbank.create_account


@pytest.fixture(scope="session")
def fogbank_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server in processes of its own, for the whole run; ``fogbank_server`` points at it."""
    from fogbank.testing.server import Server  # noqa: PLC0415 (only runs with a server pay)

    with Server(tmp_path_factory.mktemp("fogbank") / "data") as server:
        yield server


@pytest.fixture
def fogbank_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The run's server, with the environment of this test pointing at it.

    It has sockets, a disk and isolated functions, and wall time; what a test makes in it stays
    until the end of the run.
    """
    _require_one_cloud(request)
    from fogbank.testing.attach import OWN_FILES, environment  # noqa: PLC0415 (only runs with one pay)

    # Asked for here, so that no server starts for a test that is refused.
    server: Server = request.getfixturevalue("fogbank_process")
    with environment({**server.environment(), **OWN_FILES}):
        yield server
