"""Started as root, only supervisor and sandbox daemon keep root's rights (DESIGN section 7)."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]

NOBODY = "nobody"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can reach, as pytest's own are not."""
    made = Path(tempfile.mkdtemp(prefix="fogbank-privilege-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def owners(server: Server) -> dict[str, int]:
    """Return the user of every process, by what it is."""
    found = {}
    for pid, command in server.processes().items():
        status = Path(f"/proc/{pid}/status").read_text()
        uid = int(next(row for row in status.splitlines() if row.startswith("Uid:")).split()[1])
        kind = "store" if "fogbank.server.process" in command else command
        found["daemon" if "sandbox.daemon" in command else kind] = uid
    return found


def nobody_can_run_us() -> bool:
    done = subprocess.run(
        [sys.executable, "-c", "import fogbank.server.process"],
        user=NOBODY,
        group=pwd.getpwnam(NOBODY).pw_gid,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def test_the_store_process_has_the_rights_it_should(folder: Path) -> None:
    root = os.getuid() == 0
    drops = root and nobody_can_run_us()
    with Server(folder / "data", variables={"FOGBANK_SERVICE_USER": NOBODY}) as server:
        found = owners(server)
        assert found["supervisor"] == os.getuid()
        assert found["daemon"] == os.getuid()
        assert found["store"] == (pwd.getpwnam(NOBODY).pw_uid if drops else os.getuid())
        s3 = server.client("s3")
        s3.create_bucket(Bucket="rights")
        s3.put_object(Bucket="rights", Key="k", Body=b"x" * 200_000)
        said = (folder / "server.log").read_text()
        assert ("keeps root's rights" in said) == (root and not drops)
    with Server(folder / "data", variables={"FOGBANK_SERVICE_USER": NOBODY}) as server:
        assert server.client("s3").head_object(Bucket="rights", Key="k")["ContentLength"] == 200_000


def test_an_unknown_service_user_is_said_once_and_the_server_serves(folder: Path) -> None:
    with Server(folder / "data", variables={"FOGBANK_SERVICE_USER": "no-such-user"}) as server:
        assert server.client("sts").get_caller_identity()["Account"]
        said = (folder / "server.log").read_text()
    assert said.count("there is no user no-such-user") == (1 if os.getuid() == 0 else 0)


def test_commands_without_a_server_leave_everything_to_the_user_who_serves(folder: Path) -> None:
    server = Server(folder / "data", variables={"FOGBANK_SERVICE_USER": NOBODY})
    drops = os.getuid() == 0 and nobody_can_run_us()
    expected = pwd.getpwnam(NOBODY).pw_uid if drops else os.getuid()
    for name in ("before", "between"):
        assert server.run("account", "create", name).returncode == 0
        paths = [server.data_dir, *server.data_dir.rglob("*")]
        assert {path.stat().st_uid for path in paths} == {expected}
        with server:
            assert owners(server)["store"] == expected
            assert name in server.run("account", "list").stdout
