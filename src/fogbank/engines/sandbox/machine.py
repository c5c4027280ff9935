"""What is done to the machine's own tree where sandboxes see it (no namespaces)."""

from __future__ import annotations

from pathlib import Path

from fogbank.base.errors import Unavailable
from fogbank.engines.sandbox import offer, passage
from fogbank.engines.sandbox.daemon import root
from fogbank.engines.sandbox.daemon.config import Config
from fogbank.engines.sandbox.settings import SandboxSettings


def prepare(
    uid: int, config: Config, settings: SandboxSettings, found: offer.Offer
) -> tuple[str, offer.Offer]:
    """Make the machine's tree fit for sandboxes that see it.

    Args:
        uid: Of the daemon.
        config: The daemon's.
        settings: Ours.
        found: What runtimes there are.

    Returns:
        Why no sandbox can be started, or nothing; and the runtimes that their users can reach.

    Raises:
        Unavailable: The level was asked for, and its users may not pass to what they need.
    """
    if settings.authority:
        path = Path(config.work_dir) / root.BARE_AUTHORITY
        path.write_text(settings.authority)
        path.chmod(0o644)  # whatever the umask: it is no secret, and sandboxes read it
    if uid != 0:
        return "", found  # sandboxes are the user that we are
    ours = (*settings.folders, config.work_dir)
    passage.open_way(ours)
    needed = [*ours, *config.packages.values()]
    needed.append(config.runtimes[config.own_runtime].executable)
    barred = passage.barred(needed)
    reached = found.without(lambda path: bool(passage.barred([path])))
    level = settings.level_forced
    if barred and level is not None:
        raise Unavailable(
            f"sandbox level {level.value} ({level.name.lower()}) is asked for and cannot be "
            f"had here: {barred}"
        )
    return barred, reached
