"""The forms of the command line are a promise that scripts rely on (README)."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fogbank.server.cli import doctor
from fogbank.testing.server import Server, StartFailed

pytestmark = [pytest.mark.http, pytest.mark.slow]


def fogbank(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("FOGBANK_")}
    return subprocess.run(
        [sys.executable, "-m", "fogbank", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**clean, **variables},
    )


def runs(pid: int) -> bool:
    """Return whether a process runs; a zombie that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_env_json_names_the_running_server_and_the_account(server: Server) -> None:
    said = server.environment()
    assert said["AWS_ENDPOINT_URL"] == server.endpoint
    assert said["AWS_REGION"] == said["AWS_DEFAULT_REGION"] == "us-east-1"
    assert len(said["AWS_ACCOUNT_ID"]) == 12
    assert len(said["AWS_SECRET_ACCESS_KEY"]) == 40


def test_env_for_a_shell_can_be_evaluated(server: Server) -> None:
    line = f'eval "$({sys.executable} -m fogbank env --data {server.data_dir})" && echo $AWS_ENDPOINT_URL'
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == server.endpoint
    assert done.stderr == ""


def test_env_without_a_server_says_so_and_without_a_directory_fails(tmp_path: Path) -> None:
    missing = fogbank("env", "--data", str(tmp_path / "none"))
    assert missing.returncode == 1
    assert "no data directory" in missing.stderr
    server = Server(tmp_path / "data")
    server.start()
    assert server.stop() == 0
    quiet = fogbank("env", "--data", str(tmp_path / "data"), "--format", "json")
    assert quiet.returncode == 0
    assert "no server runs" in quiet.stderr
    assert json.loads(quiet.stdout)["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"


def test_a_second_server_on_the_same_directory_is_refused(server: Server) -> None:
    second = Server(server.data_dir)
    with pytest.raises(StartFailed, match="another server"):
        second.start()
    assert server.client("sts").get_caller_identity()["Account"]


def test_everything_in_the_data_directory_is_closed_to_others(server: Server) -> None:
    open_to_others = [
        str(path)
        for path in [server.data_dir, *server.data_dir.rglob("*")]
        # Unpacked code is read by the sandboxes' own users; the folder above it is closed.
        if "functions" not in path.relative_to(server.data_dir).parts
        and not path.is_symlink()
        and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    assert open_to_others == []


def test_an_unknown_setting_is_an_error_that_names_it(tmp_path: Path) -> None:
    file = tmp_path / "fogbank.toml"
    file.write_text("prot = 1\n")
    done = fogbank("serve", "--data", str(tmp_path / "d"), "--config", str(file), "--port", "0")
    assert done.returncode == 1
    assert "prot" in done.stderr
    done = fogbank("serve", "--data", str(tmp_path / "d"), "--port", "0", FOGBANK_PROT="1")
    assert done.returncode == 1
    assert "FOGBANK_PROT" in done.stderr


def test_credentials_can_come_from_settings(tmp_path: Path) -> None:
    variables = {
        "FOGBANK_ACCOUNT_ID": "111122223333",
        "FOGBANK_ACCESS_KEY_ID": "LOCALKEYFORTESTS0001",
        "FOGBANK_SECRET_ACCESS_KEY": "a secret that a test makes up by itself",
    }
    with Server(tmp_path / "data", variables=variables) as server:
        said = server.client("sts").get_caller_identity()
        assert said["Arn"] == "arn:aws:iam::111122223333:root"


def test_the_port_and_the_lock_of_a_dying_server_are_waited_for(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    server.start()
    server.kill()
    server.start()
    assert server.client("sts").get_caller_identity()["Account"]
    assert server.stop() == 0


def test_when_the_supervisor_dies_all_die(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    server.start()
    below = [pid for pid in server.processes() if pid != server.pid]
    assert below
    os.kill(server.pid, signal.SIGKILL)
    server._finish()
    server.start()  # waits up to 2 s for lock and port, which the dead hold no longer
    assert [pid for pid in below if runs(pid)] == []
    assert server.stop() == 0


def test_check_finds_nothing_wrong_after_use(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    with server:
        s3 = server.client("s3")
        s3.create_bucket(Bucket="check-me")
        s3.put_object(Bucket="check-me", Key="large", Body=os.urandom(3_000_000))
    done = fogbank("check", "--data", str(tmp_path / "data"))
    assert (done.returncode, done.stdout) == (0, "")


def test_doctor_says_what_the_machine_allows(server: Server) -> None:
    done = fogbank("doctor", "--data", str(server.data_dir))
    assert done.returncode == 0
    for word in ("isolation", "cgroups", "runtimes", "file system", "service user"):
        assert word in done.stdout
    assert any(meaning in done.stdout for meaning in doctor.MEANING.values())
