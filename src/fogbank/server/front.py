"""A front: sockets, TLS, HTTP, signatures, decoding and encoding, and no state.

It serves the sockets that the supervisor bound, and sends each decoded, authenticated call to the
store process that owns its domain. Bytes of uploads it writes to the blobs of that process, hashed and
sealed, when the operation has asked for them; other bodies pass through it, with back-pressure.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

from fogbank.base.clock import SystemClock
from fogbank.base.ids import Ids
from fogbank.contract.quota import Quotas
from fogbank.engines.embedded.keeping import BlobKeeper
from fogbank.gateway.credentials import RemoteProofs
from fogbank.gateway.dispatch import Dispatcher, Edge
from fogbank.gateway.forward import Notes
from fogbank.gateway.listener import Listener
from fogbank.platform.link.caller import Line
from fogbank.platform.store.engine import Domain
from fogbank.platform.store.keyspace import shard_of
from fogbank.server import boot as booting
from fogbank.server import datadir
from fogbank.server.bounds import gateway_settings, listener_settings
from fogbank.server.figures import EdgeFigures, FrontReporter, front_name, handlers_of
from fogbank.server.links import Meeting, dial_of, front_socket, store_socket
from fogbank.server.roster import services
from fogbank.server.steps import Steps
from fogbank.server.told import Boot
from fogbank.wire.checksums import hasher_of


def main() -> int:
    """Run a front."""
    return booting.run(_serve)


async def _serve(boot: Boot, steps: Steps) -> None:
    """Listen, say ready, serve until told to stop."""
    stop, clock = booting.stop_event(), SystemClock()
    built = services()
    dirs = datadir.store_dirs(Path(boot.data_dir), boot.stores)
    lines = [Line(dial_of(store_socket(each)), clock) for each in dirs]
    epochs = booting.epochs_of(boot, None)
    assert epochs is not None, "fronts stand beside store processes"

    def owner_of(domain: Domain) -> Line:
        return lines[shard_of(domain, len(lines))]

    notes = Notes(lines[0])
    proofs, quotas = RemoteProofs(owner_of, epochs, clock), Quotas(boot.config.quotas)
    keeper = BlobKeeper(hasher_of)
    edge = Edge(proofs, clock, Ids(), quotas, keeper)
    settings = gateway_settings(boot.config)
    dispatcher = Dispatcher(built, edge, settings, sink=notes, owner_of=owner_of)
    listener = Listener(dispatcher.handle, listener_settings(boot.config), clock, dispatcher.busy)
    work_to_do = booting.work_of(listener)
    garbage = booting.garbage_of(boot, clock, work_to_do)
    lateness = booting.lateness_of(work_to_do, listener)
    figures = EdgeFigures(dispatcher, listener, clock, lateness, steps, garbage)
    reporter = FrontReporter(front_name(boot.number), figures, notes, lambda: keeper.damaged_reads)
    booting.hear_supervisor(boot, listener)
    async with asyncio.TaskGroup() as group:
        socket_path = front_socket(Path(boot.data_dir), boot.number)
        meeting = Meeting(socket_path, handlers_of(reporter), group)
        await meeting.open()
        work = [
            group.create_task(garbage.run(), name="garbage"),
            group.create_task(notes.run(), name="notes"),
            group.create_task(dispatcher.refusals.run(), name="refusals"),
        ]
        group.create_task(listener.serve([socket.socket(fileno=boot.listener)]), name="http")
        booting.say_ready(boot, steps, garbage, lateness)
        await stop.wait()
        await listener.drain(boot.config.limits.drain_ms / 1000)
        dispatcher.refusals.tell()
        await notes.flush()
        for task in work:
            task.cancel()
        meeting.close()
    for line in lines:
        line.close()


if __name__ == "__main__":
    sys.exit(main())
