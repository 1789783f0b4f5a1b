"""`python -m web.serve`: the application under granian (docs/decisions/0003)."""

from granian.constants import Interfaces
from granian.server import Server

from shared import settings

# Beyond the clients that wait: as many requests as two cores can have in hand.
WORKING_THREADS = 16


def main() -> None:
    chosen = settings.read()
    settings.demand(chosen, "redis_url", "pepper")
    Server(
        "web.app:from_environment",
        factory=True,
        address=chosen.host,
        port=chosen.port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=chosen.waiting_clients + WORKING_THREADS,
        backlog=2048,
        backpressure=2048,
        websockets=False,
        respawn_failed_workers=True,
    ).serve()


if __name__ == "__main__":
    main()
