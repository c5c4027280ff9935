"""What who starts does not load: each import is waited for, and stays in memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "_awscrt",
    "asyncio",
    "boto3",
    "botocore.loaders",
    "cryptography",
    "fogbank.contract.service",
    "fogbank.gateway.listener",
    "fogbank.wire.model",
    "inspect",
    "lmdb",
    "orjson",
    "ssl",
    "urllib3",
    "uvloop",
}


def loaded_by(program: str) -> set[str]:
    """Return the modules that are loaded when a program has run in a process of its own."""
    lines = f"import sys\n{program}\nprint(*sys.modules, sep=chr(10), file=sys.stderr)\n"
    done = subprocess.run(
        [sys.executable, "-c", lines], check=True, capture_output=True, text=True, timeout=60
    )
    return set(done.stderr.split())


@pytest.mark.slow  # an interpreter of its own
def test_help_loads_no_command() -> None:
    program = (
        "from fogbank.server.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    )
    found = loaded_by(program)
    ours = {name for name in found if name.startswith("fogbank")}
    assert ours == {"fogbank", "fogbank.server", "fogbank.server.cli"}
    assert not found & {*HEAVY, "msgspec", "subprocess"}


@pytest.mark.slow  # an interpreter of its own
def test_the_supervisor_loads_no_loop_no_cipher_and_no_model() -> None:
    # What it does before its first child runs: read the settings, check the region, find the secret.
    program = """
from pathlib import Path
from fogbank.server.cli import serve
from fogbank.server import config, keys
from fogbank.wire.regions import is_region
assert is_region(config.load(Path("/nowhere")).region)
assert keys.Finder(Path("/nowhere"), config.EncryptionSettings(), bytes).find() is None
"""
    found = loaded_by(program)
    assert "fogbank.server.supervisor" in found
    assert not found & HEAVY


@pytest.mark.slow  # an interpreter of its own
@pytest.mark.parametrize("module", ["process", "front"])
def test_a_process_that_serves_loads_no_client_of_aws_and_no_maker_of_certificates(
    module: str,
) -> None:
    found = loaded_by(
        f"import fogbank.server.{module}\nfrom fogbank.server.roster import services\nservices()"
    )
    assert "fogbank.services.s3" in found
    assert not found & {"boto3", "botocore.loaders", "cryptography.x509", "urllib3"}
