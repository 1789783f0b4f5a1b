"""`python -m web.serve`: the application under granian (docs/decisions/0003)."""

import os
import tempfile

from granian.constants import Interfaces, Loops
from granian.server import Server

from shared import settings, traces
from shared.containment import minimum
from shared.sealing import starting
from web import stopping


class Stoppable(Server):  # type: ignore[valid-type,misc]  # which of two it is depends on the interpreter
    """Tells its worker process that it is being stopped before it waits for that to have answered everybody."""

    def shutdown(self, exit_code: int = 0) -> None:
        stopping.say()
        super().shutdown(exit_code)


def main() -> None:
    chosen = settings.read()
    settings.demand(chosen, "redis_url", "pepper")
    minimum.demand(chosen)
    traces.demand(chosen)
    starting.demand_before_fork(chosen)
    with tempfile.TemporaryDirectory(prefix="etude-web-") as folder:
        os.environ[stopping.MARK] = f"{folder}/stopping"
        _serve(chosen)


def _serve(chosen: settings.Settings) -> None:
    Stoppable(
        "web.gateway:from_environment",
        factory=True,
        address=chosen.host,
        port=chosen.port,
        interface=Interfaces.RSGI,
        loop=Loops.uvloop,
        workers=1,
        backlog=2048,
        # Waiting and listening clients are few bytes each; above this a connection is taken when another one ends.
        backpressure=chosen.waiting_clients + chosen.streaming_clients + 1024,
        websockets=False,
        respawn_failed_workers=True,
    ).serve()


if __name__ == "__main__":
    main()
