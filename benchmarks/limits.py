"""The machine's limits: what no server on it can beat. Each is measured in the same rounds as they are."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import uvloop
from peers import CACHE, Child, Entered, NotInstalled, free_port

from fogbank.base.clock import SystemClock
from fogbank.base.ids import Ids
from fogbank.engines.embedded.keyfile import Encryption
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.platform.crypto.secret import Secret
from fogbank.platform.store.engine import Domain, Transaction

PAGE = 4096
GROUP_PAGES = 64
PIECE = 1 << 20
FILE_BYTES = 128 * PIECE
HASHED = bytes(4 * PIECE)
WRITERS = 64
VALUE = b"v" * 100
ECHO = b"x" * 128
NGINX = """
worker_processes auto;
daemon off;
pid {folder}/pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{port} backlog=1024; root {folder}/www; }}
}}
"""


class Disk:
    """Raw files in a folder that is on the disk that servers write to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def syncs(self, seconds: float) -> float:
        """Return how often a second a page is written and is on disk (``fdatasync``)."""
        return self._synced(seconds, 1)

    def group_syncs(self, seconds: float) -> float:
        """Return how many pages a second are on disk, of groups of 64 written at once."""
        return self._synced(seconds, GROUP_PAGES) * GROUP_PAGES

    def _synced(self, seconds: float, pages: int) -> float:
        """Return writes of some pages a second, each synced, within a file that is there whole."""
        path = self._folder / "syncs"
        size = 4096 * PAGE
        path.write_bytes(bytes(size))
        descriptor = os.open(path, os.O_WRONLY)
        os.fsync(descriptor)
        data, count, at = os.urandom(pages * PAGE), 0, 0
        began = time.perf_counter()
        try:
            while time.perf_counter() - began < seconds:
                os.pwrite(descriptor, data, at)
                os.fdatasync(descriptor)
                at = (at + len(data)) % size
                count += 1
            return count / (time.perf_counter() - began)
        finally:
            os.close(descriptor)
            path.unlink()

    def sequential(self) -> tuple[float, float]:
        """Return MB written a second, on disk at the end, and MB read of a file not in memory."""
        path = self._folder / "sequential"
        piece = os.urandom(PIECE)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            began = time.perf_counter()
            for _ in range(FILE_BYTES // PIECE):
                os.write(descriptor, piece)
            os.fdatasync(descriptor)
            written = FILE_BYTES / (time.perf_counter() - began) / 1e6
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            began = time.perf_counter()
            for at in range(0, FILE_BYTES, PIECE):
                os.pread(descriptor, PIECE, at)
            return written, FILE_BYTES / (time.perf_counter() - began) / 1e6
        finally:
            os.close(descriptor)
            path.unlink()


def hash_mb(name: str, seconds: float) -> float:
    """Return how many MB a second one core hashes."""
    count = 0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        hashlib.new(name, HASHED, usedforsecurity=False).digest()
        count += 1
    return count * len(HASHED) / (time.perf_counter() - began) / 1e6


def echoes(folder: Path, seconds: float) -> float:
    """Return how often a second 128 bytes go to another process and back over a Unix socket."""
    path = str(folder / "echo")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1)
    child = os.fork()
    if not child:
        other, _ = listener.accept()
        while data := other.recv(len(ECHO)):
            other.sendall(data)
        os._exit(0)
    listener.close()
    count = 0
    with socket.socket(socket.AF_UNIX) as ours:
        ours.connect(path)
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            ours.sendall(ECHO)
            ours.recv(len(ECHO))
            count += 1
        took = time.perf_counter() - began
    os.waitpid(child, 0)
    Path(path).unlink()
    return count / took


def engine_commits(
    folder: Path, seconds: float, *, writers: int = WRITERS, value: bytes = VALUE
) -> tuple[float, float]:
    """Return durable commits a second of our engine alone, and commits of a sync.

    Each puts one row; encrypted as by default.
    """
    return uvloop.run(_commits(folder / "engine", seconds, writers, value))


async def _commits(folder: Path, seconds: float, writers: int, value: bytes) -> tuple[float, float]:
    """Return commits a second, and commits that each group held."""
    domain = Domain("account", "region")
    encryption = Encryption(Secret("file", bytes(range(32))), Ids().random_bytes)
    engine = await EmbeddedEngine.open(folder, clock=SystemClock(), encryption=encryption)
    store = engine.store_of(domain)
    count = 0
    began = time.perf_counter()

    async def writer(number: int) -> None:
        nonlocal count
        at = number
        while time.perf_counter() - began < seconds:
            key = domain.prefix + b"%012d" % at

            async def body(tr: Transaction, key: bytes = key) -> None:
                tr.put(key, value)

            await store.transact(body)
            count, at = count + 1, at + writers

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(writers):
                group.create_task(writer(number))
        took = time.perf_counter() - began
        figures = engine.figures()
        return count / took, figures.commits / figures.groups
    finally:
        await engine.close()
        shutil.rmtree(folder)


class Nginx(Entered):
    """nginx with static files, as the limit of a GET; a ``Target`` without keys."""

    def __init__(self, files: Mapping[str, bytes | Path]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bench-nginx-")
        place = Path(self._folder.name)
        place.chmod(0o755)
        (place / "www").mkdir()
        for name, content in files.items():
            if isinstance(content, Path):
                (place / "www" / name).symlink_to(content)
            else:
                (place / "www" / name).write_bytes(content)
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        (place / "conf").write_text(NGINX.format(folder=place, port=self.port))
        command = [str(nginx()), "-e", "stderr", "-p", str(place), "-c", str(place / "conf")]
        self._child = Child(command, {}, self.port)

    def request(self, name: str) -> bytes:
        """Return a request for a file."""
        return f"GET /{name} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\n\r\n".encode()

    def environment(self) -> dict[str, str]:
        """Return no keys: nothing is signed."""
        return {}

    def processes(self) -> dict[int, str]:
        """Return its processes."""
        return self._child.processes()

    def client(self, service: str) -> object:
        """Refuse: it has no API."""
        raise NotImplementedError(service)

    def stop(self) -> None:
        """End it."""
        super().stop()
        self._folder.cleanup()


def nginx() -> Path:
    """Return nginx: the machine's, or that of Debian's package, unpacked and not set up.

    Raises:
        NotInstalled: It cannot be had here.
    """
    if found := shutil.which("nginx"):
        return Path(found)
    folder = CACHE / "nginx"
    binary = folder / "usr" / "sbin" / "nginx"
    if not binary.exists():
        if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
            raise NotInstalled("nginx is not installed, and this machine has no Debian packages")
        with tempfile.TemporaryDirectory() as name:
            if not _downloaded(name) and not (_updated() and _downloaded(name)):
                raise NotInstalled(
                    "nginx is not installed, and its Debian package is not to be had"
                )
            package = str(next(Path(name).glob("nginx_*.deb")))
            folder.mkdir(parents=True, exist_ok=True)
            subprocess.run(["dpkg", "-x", package, str(folder)], check=True)
    return binary


def _downloaded(folder: str) -> bool:
    """Return whether the package could be had."""
    command = ["apt-get", "download", "-q", "nginx"]
    return not subprocess.run(command, cwd=folder, check=False, capture_output=True).returncode


def _updated() -> bool:
    """Return whether the lists of packages could be renewed, which only root can."""
    command = ["apt-get", "update", "-q"]
    return not subprocess.run(command, check=False, capture_output=True).returncode
