"""`python -m web.serve`: the application under granian (docs/decisions/0003)."""

from granian.constants import Interfaces, Loops
from granian.server import Server

from shared import settings
from shared.sealing import starting


def main() -> None:
    chosen = settings.read()
    settings.demand(chosen, "redis_url", "pepper")
    starting.demand_before_fork(chosen)
    Server(
        "web.gateway:from_environment",
        factory=True,
        address=chosen.host,
        port=chosen.port,
        interface=Interfaces.RSGI,
        loop=Loops.uvloop,
        workers=1,
        backlog=2048,
        # Waiting clients are few bytes each; above this a connection is taken when another one ends.
        backpressure=chosen.waiting_clients + 1024,
        websockets=False,
        respawn_failed_workers=True,
    ).serve()


if __name__ == "__main__":
    main()
