"""Programs of the field against a server, each unmodified: ``make s3-clients``.

Command lines and libraries that people keep in S3 with, and the SDKs of six languages: each does what
it is for, under a root key of its own account, and compares what comes back with what it gave.
``--only NAME`` runs one and writes nothing.
"""

from __future__ import annotations

import filecmp
import os
import random
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from field import (
    REGION,
    Field,
    Program,
    expect,
    go_program,
    install_debian,
    install_go,
    install_java,
    install_node,
    install_python,
    install_rust,
    java_class,
    main,
    node_script,
    python_of,
    python_script,
    rust_program,
)

SUITE = "s3"
PACKAGES = (
    *("boto3", "awscli", "s3cmd", "s3fs", "pyarrow", "obstore", "deltalake", "polars"),
    "pyiceberg[sql-sqlite,pyarrow]",
)
DEBIAN = ("rclone", "restic", "s3fs", "fuse")
COMMANDS = ("rclone", "restic", "s3fs", "fusermount")
MOUNT_S = 30
FILES = 40
LARGE_BYTES = 20 << 20


def files_of(field: Field) -> Path:
    """Return a new folder of files: small and large, empty, with strange names, nested."""
    drawn, root = random.Random(field.label), field.folder / "files"
    for number in range(FILES):
        path = root / f"d{number % 3}" / f"a b+c é {number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawn.randbytes(number * 997))
    (root / "large.bin").write_bytes(drawn.randbytes(LARGE_BYTES))
    return root


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
    files, url = files_of(field), f"s3://{field.label}"

    def aws(*arguments: str) -> str:
        return field.run(python_of(SUITE) / "aws", *arguments)

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
    aws("s3api", "put-object-tagging", "--bucket", field.label, "--key", "moved.bin",
        "--tagging", "TagSet=[{Key=a,Value=b}]")  # fmt: skip
    told = aws("s3api", "get-object-attributes", "--bucket", field.label, "--key", "moved.bin",
               "--object-attributes", "ObjectSize", "Checksum")  # fmt: skip
    expect(str(LARGE_BYTES) in told, told)
    aws("s3", "rb", "--force", url)
    expect(field.label not in aws("s3", "ls"), "a removed bucket is listed")


def rclone(field: Field) -> None:
    """Synchronise both ways with rclone, compare checksums, serve ranges, purge."""
    files = files_of(field)
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

    remote = f"fog:{field.label}"
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
    expect(field.label not in run("lsd", "fog:"), "a purged bucket is listed")


def restic(field: Field) -> None:
    """Back up, verify every byte, restore and prune with restic."""
    files = files_of(field)
    variables = {
        "RESTIC_REPOSITORY": f"s3:{field.endpoint}/{field.label}/repository",
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
    files, url = files_of(field), f"s3://{field.label}"
    host = field.endpoint.partition("//")[2]

    def run(*arguments: str) -> str:
        given = [f"--host={host}", f"--host-bucket={host}", "--no-ssl", f"--region={REGION}"]
        keys = [f"--access_key={field.key}", f"--secret_key={field.secret}"]
        return field.run(
            python_of(SUITE) / "s3cmd", "--config", os.devnull, *given, *keys, *arguments
        )

    run("mb", url)
    # Its copies carry a list, which buckets take only if they have lists, as on AWS.
    ownership = "Rules=[{ObjectOwnership=ObjectWriter}]"
    field.run(python_of(SUITE) / "aws", "s3api", "put-bucket-ownership-controls", "--bucket", field.label,
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
    files, mount = files_of(field), field.folder / "mount"
    mount.mkdir()
    keys = field.folder / "keys"
    keys.write_text(f"{field.key}:{field.secret}\n")
    keys.chmod(0o600)
    field.run(python_of(SUITE) / "aws", "s3", "mb", f"s3://{field.label}")
    options = (
        f"passwd_file={keys},url={field.endpoint},use_path_request_style,endpoint={REGION},"
        "multipart_size=5,retries=1"
    )

    def mounted(work: Callable[[], None]) -> None:
        field.run("s3fs", field.label, mount, "-o", options)
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


python = partial(install_python, SUITE, PACKAGES)
debian = partial(install_debian, COMMANDS, DEBIAN)
PROGRAMS = (
    Program("aws-cli", [python], aws_cli),
    Program("rclone", [debian], rclone),
    Program("restic", [debian], restic),
    Program("s3cmd", [python], s3cmd),
    Program("fuse", [debian, python], fuse_mount),
    *(
        Program(name, [python], python_script(SUITE, name))
        for name in ("s3fs", "pyarrow", "obstore", "deltalake", "pyiceberg", "polars")
    ),
    Program("go", [partial(install_go, "s3", "./s3")], go_program("s3")),
    Program("java", [install_java], java_class("S3")),
    Program("rust", [partial(install_rust, "s3")], rust_program("s3")),
    Program("javascript", [install_node], node_script("s3")),
)


if __name__ == "__main__":
    sys.exit(main(SUITE, PROGRAMS))
