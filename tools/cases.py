"""Fetch the test cases that only botocore's source package carries.

``python tools/cases.py FOLDER VERSION`` leaves its protocol cases in
``FOLDER/botocore-VERSION/{input,output,legacy}`` and AWS's test suite of Signature Version 4 in
``FOLDER/botocore-VERSION/aws4_testsuite``. Nothing of them is committed; ``make env`` runs this once
for each pinned version.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

KEPT = {
    "tests/unit/protocols/": (".json",),
    "tests/unit/auth/": (".req", ".creq", ".sts", ".authz"),
}
"""What is kept: folders of the package, and how their files' names end."""


def _keep(archive: tarfile.TarFile, prefix: str, suffixes: tuple[str, ...], target: Path) -> None:
    """Write some files below a prefix of the archive into a folder."""
    for member in archive:
        name = member.name.removeprefix(prefix)
        content = archive.extractfile(member) if name.endswith(suffixes) else None
        if name == member.name or content is None or ".." in name:
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(content.read())


def fetch(folder: Path, version: str) -> None:
    """Download the source package and keep its cases."""
    package = f"botocore-{version}"
    with tempfile.TemporaryDirectory() as scratch:
        options = ["--quiet", "--no-deps", "--no-binary", "botocore", "--dest", scratch]
        subprocess.run(  # noqa: S603 (our own interpreter and a version from our own file)
            [sys.executable, "-m", "pip", "download", *options, f"botocore=={version}"], check=True
        )
        shutil.rmtree(folder / package, ignore_errors=True)
        with tarfile.open(Path(scratch) / f"{package}.tar.gz") as archive:
            for prefix, suffixes in KEPT.items():
                _keep(archive, f"{package}/{prefix}", suffixes, folder / package)
    (folder / package / ".ready").touch()


if __name__ == "__main__":
    fetch(Path(sys.argv[1]), sys.argv[2])
