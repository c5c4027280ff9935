"""Programs of the field against a server, each unmodified: ``make s3-clients``.

Command lines and libraries that people keep in S3 with, and the SDKs of six languages: each does what
it is for, under a root key of its own account, and compares what comes back with what it gave. What
they need is installed first: from PyPI, npm, the Go module proxy, crates.io, Maven's repository and,
for what is no library, Debian's packages (which takes root). ``--only NAME`` runs one and writes
nothing.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import record

from fogbank.testing.server import Server

CLIENTS = Path(__file__).with_name("clients")
HOME = Path(sys.prefix) / "s3-clients"
PYTHON = HOME / "python" / "bin"
PACKAGES = (
    *("boto3", "awscli", "s3cmd", "s3fs", "pyarrow", "obstore", "deltalake", "polars"),
    "pyiceberg[sql-sqlite,pyarrow]",
)
DEBIAN = ("rclone", "restic", "s3fs", "fuse")
RUN_S = 300
BUILD_S = 3_600
MOUNT_S = 30
FILES = 40
LARGE_BYTES = 20 << 20
REGION = "us-east-1"


class Failed(Exception):
    """A program did not do what it is for; the message holds what it said."""


class Field:
    """Where programs work: a server, and a folder with files to keep in it.

    Args:
        server: It runs.
        folder: Of this program alone.
        name: The program's; buckets are called by it.
    """

    def __init__(self, server: Server, folder: Path, name: str) -> None:
        self.endpoint = server.endpoint
        self.folder = folder
        self.bucket = f"field-{name}"
        clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        given = server.environment()
        self.key, self.secret = given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"]
        home = {"HOME": str(folder), "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": ""}
        self.environment: Mapping[str, str] = {**clean, **given, **home}

    def run(self, *command: str | Path, **variables: str) -> str:
        """Run a program and return what it printed.

        Raises:
            Failed: Its status is not 0.
        """
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=RUN_S,
            cwd=self.folder,
            env={**self.environment, **variables},
        )
        if done.returncode:
            raise Failed(f"{command[0]} {command[1:]}: {done.stderr[-800:]}{done.stdout[-400:]}")
        return done.stdout

    def files(self) -> Path:
        """Return a new folder of files: small and large, empty, with strange names, nested."""
        drawn, root = random.Random(self.bucket), self.folder / "files"
        for number in range(FILES):
            path = root / f"d{number % 3}" / f"a b+c é {number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(drawn.randbytes(number * 997))
        (root / "large.bin").write_bytes(drawn.randbytes(LARGE_BYTES))
        return root


def expect(holds: object, told: str) -> None:
    """Refuse what is not as it must be.

    Raises:
        Failed: It does not hold.
    """
    if not holds:
        raise Failed(told)


def expect_same(one: Path, other: Path) -> None:
    """Refuse two folders that do not hold the same files with the same bytes."""
    names = {path.relative_to(one) for path in one.rglob("*") if path.is_file()}
    others = {path.relative_to(other) for path in other.rglob("*") if path.is_file()}
    expect(names == others, f"files differ: {sorted(map(str, names ^ others))[:4]}")
    _, mismatch, errors = filecmp.cmpfiles(one, other, map(str, names), shallow=False)
    expect(not mismatch and not errors, f"bytes differ: {(mismatch + errors)[:4]}")


# Command lines.


def aws_cli(field: Field) -> None:
    """Copy, synchronise, move, presign and remove with aws-cli, and talk to the API."""
    files, url = field.files(), f"s3://{field.bucket}"

    def aws(*arguments: str) -> str:
        return field.run(PYTHON / "aws", *arguments)

    # Unless told otherwise it presigns for us-east-1 by signature version 2 (README).
    aws("configure", "set", "default.s3.signature_version", "s3v4")
    aws("s3", "mb", url)
    aws("s3", "sync", str(files), f"{url}/all", "--only-show-errors")
    expect(not aws("s3", "sync", str(files), f"{url}/all"), "a second sync copies again")
    back = field.folder / "back"
    aws("s3", "cp", "--recursive", f"{url}/all", str(back), "--only-show-errors")
    expect_same(files, back)
    aws("s3", "mv", f"{url}/all/large.bin", f"{url}/moved.bin", "--only-show-errors")
    expect("all/large.bin" not in aws("s3", "ls", "--recursive", url), "what was moved is there")
    signed = aws("s3", "presign", f"{url}/moved.bin", "--expires-in", "60").strip()
    field.run("curl", "-sSf", "-o", "presigned.bin", signed)
    expect(
        filecmp.cmp(field.folder / "presigned.bin", files / "large.bin", shallow=False),
        "a presigned URL brings other bytes",
    )
    aws("s3api", "put-object-tagging", "--bucket", field.bucket, "--key", "moved.bin",
        "--tagging", "TagSet=[{Key=a,Value=b}]")  # fmt: skip
    told = aws("s3api", "get-object-attributes", "--bucket", field.bucket, "--key", "moved.bin",
               "--object-attributes", "ObjectSize", "Checksum")  # fmt: skip
    expect(str(LARGE_BYTES) in told, told)
    aws("s3", "rb", "--force", url)
    expect(field.bucket not in aws("s3", "ls"), "a removed bucket is listed")


def rclone(field: Field) -> None:
    """Synchronise both ways with rclone, compare checksums, serve ranges, purge."""
    files = field.files()
    variables = {
        "RCLONE_CONFIG_FOG_TYPE": "s3",
        "RCLONE_CONFIG_FOG_PROVIDER": "Other",
        "RCLONE_CONFIG_FOG_ENV_AUTH": "true",
        "RCLONE_CONFIG_FOG_ENDPOINT": field.endpoint,
        "RCLONE_CONFIG_FOG_REGION": REGION,
        # Its own default, private, is refused where there are no lists: in every new bucket, as on AWS.
        "RCLONE_S3_ACL": "bucket-owner-full-control",
        "RCLONE_S3_CHUNK_SIZE": "5Mi",
        "RCLONE_S3_UPLOAD_CUTOFF": "5Mi",
    }

    def run(*arguments: str) -> str:
        return field.run("rclone", "--config", os.devnull, *arguments, **variables)

    remote = f"fog:{field.bucket}"
    run("mkdir", remote)
    run("sync", str(files), f"{remote}/deep/er")
    run("check", "--download", str(files), f"{remote}/deep/er")
    run("copy", f"{remote}/deep/er", str(field.folder / "back"))
    expect_same(files, field.folder / "back")
    (files / "large.bin").unlink()
    run("sync", str(files), f"{remote}/deep/er")
    expect("large.bin" not in run("lsf", "-R", remote), "what was removed is still there")
    run("move", f"{remote}/deep", f"{remote}/moved")
    run("check", str(files), f"{remote}/moved/er")
    run("purge", remote)
    expect(field.bucket not in run("lsd", "fog:"), "a purged bucket is listed")


def restic(field: Field) -> None:
    """Back up, verify every byte, restore and prune with restic."""
    files = field.files()
    variables = {
        "RESTIC_REPOSITORY": f"s3:{field.endpoint}/{field.bucket}/repository",
        "RESTIC_PASSWORD": "of the field",
        "RESTIC_CACHE_DIR": str(field.folder / "cache"),
    }

    def run(*arguments: str) -> str:
        return field.run("restic", "--quiet", *arguments, **variables)

    run("init")
    run("backup", str(files))
    (files / "later.txt").write_text("later")
    run("backup", str(files))
    run("check", "--read-data")
    run("restore", "latest", "--target", str(field.folder / "back"))
    expect_same(files, field.folder / "back" / files.relative_to("/"))
    run("forget", "--keep-last", "1", "--prune")
    run("check", "--read-data")
    expect(run("snapshots", "--json").count('"short_id"') == 1, "one snapshot is left")


def s3cmd(field: Field) -> None:
    """Put in parts, synchronise, copy, list and remove with s3cmd."""
    files, url = field.files(), f"s3://{field.bucket}"
    host = field.endpoint.partition("//")[2]

    def run(*arguments: str) -> str:
        given = [f"--host={host}", f"--host-bucket={host}", "--no-ssl", f"--region={REGION}"]
        keys = [f"--access_key={field.key}", f"--secret_key={field.secret}"]
        return field.run(PYTHON / "s3cmd", "--config", os.devnull, *given, *keys, *arguments)

    run("mb", url)
    # Its copies carry a list, which buckets take only if they have lists, as on AWS.
    ownership = "Rules=[{ObjectOwnership=ObjectWriter}]"
    field.run(PYTHON / "aws", "s3api", "put-bucket-ownership-controls", "--bucket", field.bucket,
              "--ownership-controls", ownership)  # fmt: skip
    run("put", "--multipart-chunk-size-mb=5", str(files / "large.bin"), f"{url}/large.bin")
    run("get", f"{url}/large.bin", str(field.folder / "large.bin"))
    expect(
        filecmp.cmp(field.folder / "large.bin", files / "large.bin", shallow=False),
        "what was put in parts comes back as other bytes",
    )
    run("sync", f"{files}/", f"{url}/all/")
    (field.folder / "back").mkdir()
    run("sync", f"{url}/all/", f"{field.folder}/back/")
    expect_same(files, field.folder / "back")
    run("cp", f"{url}/large.bin", f"{url}/copy.bin")
    run("mv", f"{url}/copy.bin", f"{url}/moved.bin")
    expect("moved.bin" in run("ls", url), "what was moved is not listed")
    run("del", "--recursive", "--force", url)
    run("rb", url)


def fuse_mount(field: Field) -> None:
    """Work on a mounted bucket as on a disk, and find all of it after mounting it again."""
    files, mount = field.files(), field.folder / "mount"
    mount.mkdir()
    keys = field.folder / "keys"
    keys.write_text(f"{field.key}:{field.secret}\n")
    keys.chmod(0o600)
    field.run(PYTHON / "aws", "s3", "mb", f"s3://{field.bucket}")
    options = (
        f"passwd_file={keys},url={field.endpoint},use_path_request_style,endpoint={REGION},"
        "multipart_size=5,retries=1"
    )

    def mounted(work: Callable[[], None]) -> None:
        field.run("s3fs", field.bucket, mount, "-o", options)
        try:
            until = time.monotonic() + MOUNT_S
            while not mount.is_mount():
                expect(time.monotonic() < until, "it is not mounted in time")
                time.sleep(0.05)
            work()
        finally:
            field.run("fusermount", "-u", mount)

    def write() -> None:
        shutil.copytree(files, mount / "tree", copy_function=shutil.copyfile)
        (mount / "tree" / "d0").rename(mount / "tree" / "renamed")
        with (mount / "tree" / "large.bin").open("r+b") as file:
            file.seek(7 << 20)
            file.write(b"changed in the middle")

    def compare() -> None:
        (files / "d0").rename(files / "renamed")
        with (files / "large.bin").open("r+b") as file:
            file.seek(7 << 20)
            file.write(b"changed in the middle")
        expect_same(files, mount / "tree")
        shutil.rmtree(mount / "tree")
        expect(not any(mount.iterdir()), "what was removed is still there")

    mounted(write)
    mounted(compare)


# Libraries and SDKs: programs of their own, which end with another status if anything is wrong.


def python_library(name: str) -> Callable[[Field], None]:
    """Return what runs a script of the folder ``clients/python``."""

    def check(field: Field) -> None:
        field.run(PYTHON / "python", CLIENTS / "python" / f"{name}_client.py", field.bucket)

    return check


def go_sdk(field: Field) -> None:
    """Do the scene of all SDKs with the SDK for Go v2."""
    field.run(HOME / "go-client", field.bucket)


def java_sdk(field: Field) -> None:
    """Do the scene of all SDKs with the SDK for Java 2."""
    jars = HOME / "java"
    field.run("java", "-cp", f"{jars}/classes:{jars}/dependency/*", "Client", field.bucket)


def rust_sdk(field: Field) -> None:
    """Do the scene of all SDKs with the SDK for Rust."""
    field.run(HOME / "rust" / "debug" / "s3-client", field.bucket)


def javascript_sdk(field: Field) -> None:
    """Do the scene of all SDKs with the SDK for JavaScript v3."""
    field.run("node", HOME / "node" / "client.mjs", field.bucket)


# What they need.


def _install(*command: str | Path, cwd: Path = CLIENTS, **variables: str) -> None:
    """Run a step of an installation; what it says is seen."""
    subprocess.run(command, check=True, cwd=cwd, timeout=BUILD_S, env={**os.environ, **variables})


def install_python() -> None:
    """Make an environment of the libraries of Python."""
    if not (PYTHON / ".ready").exists():
        _install(sys.executable, "-m", "venv", HOME / "python")
        _install(PYTHON / "pip", "install", "-q", "--disable-pip-version-check", *PACKAGES)
        (PYTHON / ".ready").touch()


def install_debian() -> None:
    """Install the programs that Debian has."""
    if any(shutil.which(name) is None for name in ("rclone", "restic", "s3fs", "fusermount")):
        _install("apt-get", "update", "-qq")
        _install("apt-get", "install", "-y", "-qq", "--no-install-recommends", *DEBIAN)


def install_go() -> None:
    """Build the client in Go."""
    flags = {"GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false", "CGO_ENABLED": "0"}
    command = ("build", "-mod=readonly", "-trimpath", "-o", HOME / "go-client", ".")
    _install(Path(sys.prefix) / "bin" / "go", *command, cwd=CLIENTS / "go", **flags)


def install_java() -> None:
    """Build the client in Java, with the jars that it needs beside it."""
    target = f"-DbuildDirectory={HOME / 'java'}"
    _install(
        *("mvn", "-q", "-B", target, "compile", "dependency:copy-dependencies"),
        cwd=CLIENTS / "java",
    )


def install_rust() -> None:
    """Build the client in Rust."""
    target = {"CARGO_TARGET_DIR": str(HOME / "rust")}
    # A lock file of Cargo would name its registry.
    folder = HOME / "rust-client"
    shutil.copytree(CLIENTS / "rust", folder, dirs_exist_ok=True)
    _install("cargo", "build", "--quiet", cwd=folder, **target)


def install_javascript() -> None:
    """Install the SDK for JavaScript beside its client."""
    folder = HOME / "node"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "client.mjs"):
        shutil.copy(CLIENTS / "node" / name, folder)
    _install("npm", "ci", "--silent", "--no-audit", "--no-fund", cwd=folder)


class Program(NamedTuple):
    """A program of the field."""

    name: str
    needs: Sequence[Callable[[], None]]
    check: Callable[[Field], None]


PROGRAMS = (
    Program("aws-cli", [install_python], aws_cli),
    Program("rclone", [install_debian], rclone),
    Program("restic", [install_debian], restic),
    Program("s3cmd", [install_python], s3cmd),
    Program("fuse", [install_debian, install_python], fuse_mount),
    *(
        Program(name, [install_python], python_library(name))
        for name in ("s3fs", "pyarrow", "obstore", "deltalake", "pyiceberg", "polars")
    ),
    Program("go", [install_go], go_sdk),
    Program("java", [install_java], java_sdk),
    Program("rust", [install_rust], rust_sdk),
    Program("javascript", [install_javascript], javascript_sdk),
)


def outcome_of(program: Program, server: Server, folder: Path) -> str:
    """Return why a program failed; empty if it did not."""
    folder.mkdir()
    try:
        for install in program.needs:
            install()
        program.check(Field(server, folder, program.name))
    except (Failed, OSError, subprocess.SubprocessError) as error:
        return f"{error}" or repr(error)
    return ""


def main() -> int:
    """Run the programs and write how they fared; the exit status is 1 if one failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--only", choices=[each.name for each in PROGRAMS], help="one, unrecorded")
    given = parser.parse_args()
    HOME.mkdir(exist_ok=True)
    chosen = [each for each in PROGRAMS if given.only in (None, each.name)]
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="fogbank-s3-clients-") as scratch:
        folder = Path(scratch)
        with Server(folder / "data", settings=f'region = "{REGION}"\n') as server:
            for program in chosen:
                why = outcome_of(program, server, folder / program.name)
                print(f"{program.name}: {'failed: ' + why if why else 'passed'}", flush=True)
                failures += [program.name] if why else []
    if given.only is None:
        record.write(
            "s3_clients",
            "make s3-clients",
            {"programs": len(chosen), "passed": len(chosen) - len(failures)},
            failures=failures,
            promises={"passed": f">= {len(chosen)}"},
            tables=[record.Table("Programs", ["program"], [[each.name] for each in chosen])],
        )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
