"""The supervisor: binds the sockets, starts store processes and fronts, watches them, and no more.

Rule: it parses no request. When it dies, all die; when another process dies, that one is started
again on the same sockets, so that clients see a pause and no new address, and the others go on. A
start that cannot work (another server has the directory, the store is damaged) ends the supervisor
with the reason. What listens drains first: fronts end before the store processes behind them.

It stands for as long as the server and does almost nothing, and whoever starts waits for it: so it
loads no event loop, no cipher, no model, and X.509 only where there is a certificate.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Final, Protocol

from fogbank.base.errors import Corrupt
from fogbank.base.ids import Ids
from fogbank.platform.crypto.secret import KeyRefused, Secret
from fogbank.platform.identity.cache import page_bytes
from fogbank.server import datadir, keys, notify, privilege, watchdog
from fogbank.server.children import Child, Daemons
from fogbank.server.config import Config
from fogbank.server.told import TRY_AGAIN, Boot, Material, TlsError

PORT_WAIT_S: Final = 2.0
PORT_POLL_S: Final = 0.05
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


class Certificates(Protocol):
    """What keeps the certificate: ``tls.Keeper``."""

    note: str
    """What the operator should know of the certificate that was read last."""

    @property
    def authority_file(self) -> str:
        """Return the file of what clients must trust, or nothing."""
        ...

    def read(self) -> Material:
        """Return the certificate, checked; raises ``TlsError``."""
        ...

    def is_due(self) -> bool:
        """Return whether it should be read again."""
        ...

    def host_of(self, material: Material, numeric: str) -> str:
        """Return under which host it lets clients on this machine reach the server."""
        ...

    def end_of(self, material: Material) -> str:
        """Return until when it is valid."""
        ...


def _certificates(data_dir: Path, config: Config) -> Certificates | None:
    """Return what keeps the certificate, or None without TLS."""
    if not config.tls.enabled:
        return None
    from fogbank.server import tls  # noqa: PLC0415 (a server without TLS loads no X.509)

    return tls.keeper_of(data_dir, config)


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


class Supervisor:
    """One server: its socket, its processes, its end."""

    def __init__(self, data_dir: Path, config: Config, announce: Callable[[str], None]) -> None:
        self._data_dir = data_dir
        self._config = config
        self._announce = announce
        self._drop = privilege.decide(config.service_user, data_dir)
        self._stores = self._store_children()
        self._fronts = [
            Child("fogbank.server.front", f"front {number}", self._drop, None)
            for number in range(config.processes.fronts)
        ]
        self._watchdog = watchdog.of_environment(
            [*self._stores, *self._fronts], config.processes.hang_ms / 1_000, _say
        )
        self._epochs = self._epochs_page()
        self._keeper = _certificates(data_dir, config)
        self._material: Material | None = None
        self._terminal = _has_terminal()
        self._endpoint = ""
        self._secrets: list[Secret] = []
        """What opens the keys of the stores, the newest first."""

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
        datadir.settle_stores(self._data_dir, self._config.processes.stores)
        found = self._found_secret()
        self._secrets = [] if found is None else [found]
        with bind(self._config.host, self._config.port) as listener:
            self._endpoint = self._endpoint_of(listener)
            try:
                for children in (self._stores, self._fronts):
                    for child in children:
                        self._start(child, listener)
                    self._await_ready(children)
                public_url = self._config.public_url
                datadir.write_server(self._data_dir, self._endpoint, authority, public_url)
                try:
                    notify.say("READY=1")
                    self._announce(f"ready {self._endpoint}")
                    return self._watch(listener, wake_read)
                finally:
                    datadir.remove_server(self._data_dir)  # ours, as only one server starts
            finally:
                self._kill()

    def _endpoint_of(self, listener: socket.socket) -> str:
        """Return at which URL this machine reaches a listening socket.

        The host is the numeric address, unless a certificate is for names only.
        """
        address: tuple[str, int] = listener.getsockname()[:2]
        scheme, host, port = "http", *address
        if self._keeper is not None and self._material is not None:
            numeric = datadir.reached_at(host)
            scheme, host = "https", self._keeper.host_of(self._material, numeric)
        return datadir.endpoint_of(scheme, host, port)

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

    def _store_children(self) -> list[Child]:
        """Return the store processes, none of which runs yet."""
        count = self._config.processes.stores
        return [
            Child(
                "fogbank.server.process",
                "the store process" if count == 1 else f"store process {number}",
                self._drop,
                Daemons(datadir.functions_dir(self._data_dir, number, count), self._config),
                self._learn,
            )
            for number in range(count)
        ]

    def _learn(self, secret: Secret) -> None:
        """Start store processes with a further secret from now on: one that died may need either."""
        self._secrets = [secret, *[each for each in self._secrets if each != secret][:1]]

    def _epochs_page(self) -> int:
        """Return the descriptor of the page of epochs; -1 if one process does everything."""
        processes = self._config.processes
        if processes.stores == 1 and not processes.fronts:
            return -1
        page = os.memfd_create("fogbank-epochs", os.MFD_CLOEXEC)
        os.ftruncate(page, page_bytes(processes.stores))
        return page

    def _start(self, child: Child, listener: socket.socket) -> None:
        """Start a run of a child; it says later whether it serves."""
        listens = child in self._fronts or not self._fronts
        siblings = self._fronts if child in self._fronts else self._stores

        def boot(ready: int, life: int, daemons: int) -> Boot:
            return Boot(
                data_dir=str(self._data_dir),
                config=self._config,
                listener=listener.fileno() if listens else -1,
                ready=ready,
                life=life,
                endpoint=self._endpoint,
                tls=self._material,
                daemons=daemons,
                secrets=[] if child in self._fronts else self._secrets,
                number=siblings.index(child),
                epochs=self._epochs,
            )

        child.start(boot, self._trusted())

    def _await_ready(self, children: Sequence[Child]) -> None:
        """Wait for the word of children, starting sandboxd when one asks.

        Raises:
            StartError: One ended instead; the message is its last word.
        """
        while any(child.is_starting for child in children):
            with selectors.DefaultSelector() as selector:
                for child in children:
                    child.register(selector)
                for key, _ in selector.select():
                    key.data()
            for child in children:
                if not child.is_starting and not child.is_ready:
                    raise StartError(_last_word(child))

    def _watch(self, listener: socket.socket, wake_read: int) -> int:
        """Restart whoever dies, until a signal ends us."""
        while True:
            signals = self._wait(wake_read)
            if signal.SIGTERM in signals or signal.SIGINT in signals:
                return self._stop()
            if signal.SIGHUP in signals:
                if self._terminal and not _has_terminal():
                    return self._stop()  # Our terminal was closed: an end, and no wish to reload.
                self._reload()
            for child in (*self._stores, *self._fronts):
                status = child.ended()
                if status is not None:
                    self._restart(child, status, listener)

    def _restart(self, child: Child, status: int, listener: socket.socket) -> None:
        """Start a child again that has ended.

        Raises:
            StartError: It said that it cannot serve, or it has died too often.
        """
        if not child.is_ready and child.said and status != TRY_AGAIN:
            raise StartError(_last_word(child))
        if not child.may_start_again():
            raise StartError(f"{child.name} died too often within a minute")
        _say(f"{child.name} ended ({status}); restarting")
        time.sleep(RESTART_PAUSE_S)
        self._start(child, listener)

    def _wait(self, wake_read: int) -> bytes:
        """Return the numbers of the signals that came, hearing children meanwhile."""
        while True:
            if self._keeper is not None and self._keeper.is_due():
                self._reload()
            self._watchdog.turn()
            with selectors.DefaultSelector() as selector:
                selector.register(wake_read, selectors.EVENT_READ)
                for child in (*self._stores, *self._fronts):
                    child.register(selector)
                for key, _ in selector.select(self._wait_s()):
                    if key.fileobj == wake_read:
                        return os.read(wake_read, 4_096)
                    key.data()

    def _wait_s(self) -> float | None:
        """Return how long nothing has to be done unless somebody wakes us; None: for ever."""
        waits = [self._watchdog.wait_s(), CERTIFICATE_LOOK_S if self._keeper else None]
        return min([each for each in waits if each is not None], default=None)

    def _first_material(self, keeper: Certificates) -> Material:
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
        for child in (*self._stores, *self._fronts):
            child.tell(material)
        _say(f"the certificate in force is valid until {self._keeper.end_of(material)}")

    def _trusted(self) -> str:
        """Return what functions must trust to call the endpoint."""
        return self._material.authority if self._material is not None else ""

    def _stop(self) -> int:
        """Let fronts drain, then store processes; return how it went."""
        notify.say("STOPPING=1")
        went_well = True
        for children in (self._fronts, self._stores):
            for child in children:
                child.stop()
            until = time.monotonic() + STOP_WAIT_S
            for child in children:
                went_well &= self._ends_well(child, until)
        return 0 if went_well else 1

    def _ends_well(self, child: Child, until: float) -> bool:
        """Wait for the end of a child that was told to stop; return whether it ended in order."""
        try:
            status = child.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            _say(f"{child.name} does not end; killing it")
            child.kill()
            return False
        if status == 0 or (status == -signal.SIGTERM and not child.is_ready):
            return True  # one that was still starting has nothing to end in order
        _say(f"{child.name} ended ({status}) when it was told to stop")
        return False

    def _kill(self) -> None:
        """Leave no child behind."""
        for child in (*self._fronts, *self._stores):
            child.kill()


def _last_word(child: Child) -> str:
    """Return why a child did not come to serve."""
    return child.said.decode().strip() or f"{child.name} died while it started"
