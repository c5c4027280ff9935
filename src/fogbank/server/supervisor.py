"""The supervisor: binds the sockets, starts the store process, watches it, and parses no request.

Rule: when the supervisor dies, all die; when the store process dies, it is started again on the
same sockets, so that clients see a pause and no new address. A start that cannot work (another
server has the directory, the store is damaged) ends the supervisor with the reason.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

import msgspec

from fogbank.base.clock import SystemClock
from fogbank.base.errors import Corrupt
from fogbank.base.ids import Ids
from fogbank.platform.crypto.keyring import Secret
from fogbank.platform.crypto.keys import KeyRefused
from fogbank.server import datadir, keys, notify, privilege
from fogbank.server.config import Config
from fogbank.server.process import Boot
from fogbank.server.sandboxes import launch_sandboxd
from fogbank.server.tls import Keeper, Material, TlsError, end_of, host_of

PORT_WAIT_S: Final = 2.0
PORT_POLL_S: Final = 0.05
RESTARTS_MAX: Final = 20
RESTARTS_WINDOW_S: Final = 60.0
RESTART_PAUSE_S: Final = 0.1
STOP_WAIT_S: Final = 30.0
BACKLOG: Final = 4_096
CERTIFICATE_LOOK_S: Final = 5.0
"""How often the files of the certificate are looked at; SIGHUP looks at once."""


class StartError(Exception):
    """The server cannot start; the message says why."""


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; waits for a server that is just dying to free the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    deadline = time.monotonic() + PORT_WAIT_S
    while True:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            if time.monotonic() >= deadline:
                raise StartError(
                    f"cannot listen on {host} port {port}: {error.strerror}"
                ) from error
            time.sleep(PORT_POLL_S)
        else:
            return listener


def endpoint_of(
    listener: socket.socket, material: Material | None, public_hosts: Sequence[str]
) -> str:
    """Return at which URL this machine reaches a listening socket.

    The host is the numeric address, unless a certificate is for names only.
    """
    address: tuple[str, int] = listener.getsockname()[:2]
    host, port = address
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (compared only)
    scheme = "http"
    if material is not None:
        scheme, host = "https", host_of(material, host, public_hosts)
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _say(text: str) -> None:
    """Tell the operator."""
    os.write(2, f"fogbank: {text}\n".encode())


def _has_terminal() -> bool:
    """Return whether there is a controlling terminal, which a hangup takes away."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _woken(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the wake-up descriptor has been written to, and that is all we need."""


class Daemons:
    """Starts sandboxd with our rights when the store process, which has given them up, asks.

    The request holds nothing: what is started follows from our own settings alone, so that a store
    process that was taken over cannot have us run anything else.
    """

    def __init__(self, work_dir: Path, config: Config) -> None:
        self._work_dir = work_dir
        self._config = config
        self._ours: socket.socket | None = None
        self._endpoint = ""
        self._authority = ""
        self._started: list[subprocess.Popen[bytes]] = []

    def door(self, endpoint: str, authority: str) -> socket.socket:
        """Return the store process's end of a new socket for its requests."""
        if self._ours is not None:
            self._ours.close()
        self._endpoint = endpoint
        self._authority = authority
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return theirs

    def register(self, selector: selectors.BaseSelector) -> None:
        """Let a selector wake for requests."""
        if self._ours is not None:
            selector.register(self._ours, selectors.EVENT_READ)

    def answer(self, selector: selectors.BaseSelector) -> None:
        """Start one sandboxd and send the socket to it, or note that nobody asks any more."""
        assert self._ours is not None
        if not self._ours.recv(1):
            selector.unregister(self._ours)
            self._ours.close()
            self._ours = None
            return
        sandboxd, process = launch_sandboxd(
            self._work_dir, self._endpoint, self._config, self._authority
        )
        self._started.append(process)
        with sandboxd:
            socket.send_fds(self._ours, [b"."], [sandboxd.fileno()])

    def reap(self) -> None:
        """Bury the sandbox daemons that have ended."""
        self._started = [process for process in self._started if process.poll() is None]


class Supervisor:
    """One server: its socket, its store process, its end."""

    def __init__(self, data_dir: Path, config: Config, announce: Callable[[str], None]) -> None:
        self._data_dir = data_dir
        self._config = config
        self._announce = announce
        self._child: subprocess.Popen[bytes] | None = None
        self._life = -1
        self._drop = privilege.decide(config.service_user, data_dir)
        self._daemons = Daemons(data_dir / datadir.FUNCTIONS, config)
        self._keeper = (
            Keeper(data_dir, config, SystemClock(), socket.gethostname())
            if config.tls.enabled
            else None
        )
        self._material: Material | None = None
        self._terminal = _has_terminal()
        self._endpoint = ""
        self._secret: Secret | None = None

    def run(self) -> int:
        """Serve until a signal; return the exit status.

        Raises:
            StartError: The first start did not succeed.
        """
        wake_read, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, _woken)
        authority = ""
        if self._keeper is not None:
            self._material = self._first_material(self._keeper)
            authority = self._keeper.authority_file
        if self._drop.reason:
            _say(f"the store process keeps root's rights: {self._drop.reason}")
        self._secret = self._found_secret()
        with bind(self._config.host, self._config.port) as listener:
            self._endpoint = endpoint_of(listener, self._material, self._config.public_hosts)
            try:
                self._start(listener)
                datadir.write_server(self._data_dir, self._endpoint, authority)
                try:
                    notify.say("READY=1")
                    self._announce(f"ready {self._endpoint}")
                    return self._watch(listener, wake_read)
                finally:
                    datadir.remove_server(self._data_dir)  # ours, as only one server starts
            finally:
                self._kill()

    def _found_secret(self) -> Secret | None:
        """Return what opens the keys, once: a restart must not ask for a passphrase again.

        Raises:
            StartError: It is not where it should be.
        """
        prompt = keys.terminal_prompt()
        finder = keys.Finder(
            self._data_dir, self._config.encryption, Ids().random_bytes, prompt=prompt
        )
        try:
            return finder.find_or_make()
        except (KeyRefused, Corrupt) as error:
            raise StartError(str(error)) from error

    def _start(self, listener: socket.socket) -> None:
        """Start the store process and wait until it serves or says why it cannot."""
        ready_read, ready_write = os.pipe2(os.O_CLOEXEC)
        # Our end ends with us, whatever the end; until then it carries new certificates.
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._life, life_read = ours.detach(), theirs.detach()
        daemons = self._daemons.door(self._endpoint, self._trusted()) if self._drop.user else None
        inherited = [listener.fileno(), ready_write, life_read]
        boot = Boot(
            data_dir=str(self._data_dir),
            config=self._config,
            listener=listener.fileno(),
            ready=ready_write,
            life=life_read,
            endpoint=self._endpoint,
            tls=self._material,
            daemons=daemons.fileno() if daemons else -1,
            secret=self._secret,
        )
        if daemons is not None:
            inherited.append(daemons.fileno())
        user = self._drop.user
        self._child = subprocess.Popen(
            [sys.executable, "-m", "fogbank.server.process"],
            stdin=subprocess.PIPE,
            pass_fds=inherited,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
        )
        os.close(ready_write)
        os.close(life_read)
        if daemons is not None:
            daemons.close()
        assert self._child.stdin is not None
        with self._child.stdin as stdin:
            stdin.write(msgspec.json.encode(boot))
        self._await_ready(ready_read)

    def _await_ready(self, ready_read: int) -> None:
        """Wait for the word of the store process, starting sandboxd when it asks.

        Raises:
            StartError: It ended instead; the message is its last word.
        """
        said = b""
        with selectors.DefaultSelector() as selector, os.fdopen(ready_read, "rb", 0) as ready:
            selector.register(ready, selectors.EVENT_READ)
            self._daemons.register(selector)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is not ready:
                        self._daemons.answer(selector)
                    elif piece := ready.read(4_096):
                        said += piece
                    else:
                        return self._started(said.decode())

    def _started(self, said: str) -> None:
        """Return if the store process serves; raise its reason otherwise."""
        if said == "ready":
            return
        assert self._child is not None
        self._child.wait()
        os.close(self._life)
        raise StartError(said.strip() or "the store process died while it started")

    def _watch(self, listener: socket.socket, wake_read: int) -> int:
        """Restart the store process whenever it dies, until a signal ends us."""
        starts: list[float] = []
        while True:
            signals = self._wait(wake_read)
            if signal.SIGTERM in signals or signal.SIGINT in signals:
                return self._stop()
            if signal.SIGHUP in signals:
                if self._terminal and not _has_terminal():
                    return self._stop()  # Our terminal was closed: an end, and no wish to reload.
                self._reload()
            assert self._child is not None
            status = self._child.poll()
            if status is None:
                continue
            os.close(self._life)
            now = time.monotonic()
            starts = [at for at in starts if now - at < RESTARTS_WINDOW_S] + [now]
            if len(starts) > RESTARTS_MAX:
                raise StartError(f"the store process died {len(starts)} times within a minute")
            _say(f"the store process ended ({status}); restarting")
            time.sleep(RESTART_PAUSE_S)
            self._start(listener)

    def _wait(self, wake_read: int) -> bytes:
        """Return the numbers of the signals that came, starting sandboxd when it is asked for."""
        with selectors.DefaultSelector() as selector:
            selector.register(wake_read, selectors.EVENT_READ)
            self._daemons.register(selector)
            look_s = CERTIFICATE_LOOK_S if self._keeper else None
            while True:
                if self._keeper is not None and self._keeper.is_due():
                    self._reload()
                for key, _ in selector.select(look_s):
                    if key.fileobj == wake_read:
                        self._daemons.reap()
                        return os.read(wake_read, 4_096)
                    self._daemons.answer(selector)

    def _first_material(self, keeper: Keeper) -> Material:
        """Return the certificate to start with.

        Raises:
            StartError: It cannot be used.
        """
        try:
            material = keeper.read()
        except TlsError as error:
            raise StartError(str(error)) from error
        if keeper.note:
            _say(keeper.note)
        return material

    def _reload(self) -> None:
        """Serve new connections with the certificate as it is now, or keep the one in force."""
        if self._keeper is None:
            _say("told to reload: there is no certificate to read again")
            return
        try:
            material = self._keeper.read()
        except TlsError as error:
            _say(f"the certificate stays the one in force: {error}")
            return
        if self._keeper.note:
            _say(self._keeper.note)
        if material == self._material:
            return
        self._material = material
        try:
            os.write(self._life, msgspec.json.encode(material))
        except OSError:
            return  # It has just died; the next one is started with it.
        _say(f"the certificate in force is valid until {end_of(material)}")

    def _trusted(self) -> str:
        """Return what functions must trust to call the endpoint."""
        return self._material.authority if self._material is not None else ""

    def _stop(self) -> int:
        """Let the store process drain and return its status."""
        notify.say("STOPPING=1")
        assert self._child is not None
        self._child.send_signal(signal.SIGTERM)
        try:
            return 0 if self._child.wait(STOP_WAIT_S) == 0 else 1
        except subprocess.TimeoutExpired:
            _say("the store process does not end; killing it")
            return 1

    def _kill(self) -> None:
        """Leave no child behind."""
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
            self._child.wait()
