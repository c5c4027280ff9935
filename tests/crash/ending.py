"""How a server that went through something ends: in order, and with a folder in which all agrees."""

from __future__ import annotations

from fogbank.testing.server import Server


def end_whole(server: Server) -> None:
    """End a server; assert that it did so in order and that ``fogbank check`` finds nothing wrong."""
    assert server.stop() == 0
    done = server.run("check")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout
