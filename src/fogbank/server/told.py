"""What the supervisor and its children tell each other.

Rule: the supervisor imports this, and so it brings nothing of what only its children need.
"""

from __future__ import annotations

import os
from typing import Final

import msgspec

from fogbank.platform.crypto.secret import Secret
from fogbank.server.config import Config

TRY_AGAIN: Final = 75
"""The status of a process that found no peer: it may be started again (sysexits, EX_TEMPFAIL)."""
ASKED: Final = b"?"
"""What the supervisor says to hear whether our loop turns."""
ANSWERED: Final = b"!"
NEWS_BYTES_MAX: Final = 1 << 20
"""More than a certificate, its key and its authority take."""


class TlsError(Exception):
    """The certificate cannot be used; the message says why."""


class Material(msgspec.Struct, frozen=True):
    """A certificate, ready to serve with; PEM text."""

    certificate: str
    """The chain, the server's own first."""
    key: str
    authority: str
    """What clients must trust; empty where they trust it anyway."""


class Boot(msgspec.Struct, frozen=True):
    """What the supervisor tells a child."""

    data_dir: str
    config: Config
    listener: int
    """Descriptor of the listening socket; -1: others listen."""
    ready: int
    """Descriptor of the pipe that takes ``ready`` or the reason why not."""
    life: int
    """Descriptor of the socket that ends with the supervisor; it carries new certificates, the
    question whether our loop turns, which is answered on it, and the secret by which keys are
    sealed while we serve."""
    endpoint: str
    tls: Material | None = None
    """The certificate to serve with; None: without TLS."""
    daemons: int = -1
    """Descriptor on which the supervisor is asked to start sandboxd; -1: start it ourselves."""
    secrets: list[Secret] = []
    """What opens the keys of the stores: one of these, where they are just being sealed by another.
    Fronts are not told."""
    number: int = 0
    """Which of the children of its kind this is."""
    epochs: int = -1
    """Descriptor of the page of epochs; -1: there is only one process."""

    def tell_secret(self, secret: Secret) -> None:
        """Tell the supervisor what will seal the keys, so that it starts us again with that too."""
        os.write(self.life, msgspec.json.encode(secret))

    @property
    def stores(self) -> int:
        """Return how many store processes there are."""
        return self.config.processes.stores

    @property
    def fronts(self) -> int:
        """Return how many fronts there are."""
        return self.config.processes.fronts

    @property
    def is_alone(self) -> bool:
        """Return whether one process does everything."""
        return self.stores == 1 and not self.fronts
