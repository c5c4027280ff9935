from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from fogbank.testing import plugin

if TYPE_CHECKING:
    from fogbank.testing.cloud import Cloud


PLUGIN = "fogbank"

# How long an example takes says how busy the machine is, and nothing of what is tested.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    # Where the tree was installed before it had a plugin, its entry point is not known.
    if not config.pluginmanager.has_plugin(PLUGIN):
        config.pluginmanager.register(plugin, PLUGIN)


@pytest.fixture
def cloud(fogbank: Cloud) -> Cloud:
    return fogbank


@pytest.fixture
def client(cloud: Cloud) -> Any:
    return cloud.client


@pytest.fixture(autouse=True)
def kept_umask() -> Iterator[None]:
    """Have no test meet the mask that a command has set, which owns its process outside of tests.

    Sandboxes of another user could not read the functions of whatever test comes later.
    """
    mask = os.umask(0o022)
    os.umask(mask)
    yield
    os.umask(mask)


def pytest_collection_finish() -> None:
    # Eight thousand tests and the models they name live to the end: no collection looks at them.
    gc.collect()
    gc.freeze()


SKIPS = Path(__file__).with_name("skips.txt")


def allowed_skips() -> set[str]:
    """Return the reasons that a test may give for being skipped; the list may only shrink."""
    lines = SKIPS.read_text().splitlines()
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    reasons = {
        report.longrepr[2].removeprefix("Skipped: ")
        for report in reporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    }
    unknown = reasons - allowed_skips()
    if unknown:
        reporter.write_line(
            f"skips that tests/skips.txt does not allow: {sorted(unknown)}", red=True
        )
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", help="renew golden files; read the diff")
    parser.addoption("--seed", type=int, help="the one run of tests/sim to see again")
    parser.addoption("--soak", action="store_true", help="many more rounds; prints its seed")
