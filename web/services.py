"""What the handlers of one web process share."""

from dataclasses import dataclass

from shared.database import Database
from shared.keys import Keyring
from shared.questions import Asker
from shared.queue import Bell
from shared.receivers import Receivers
from shared.settings import Settings
from shared.storage import Storage
from web.event_ids import EventIds
from web.observing import Observer
from web.places import Places
from web.quotas import Quotas
from web.rates import Rates
from web.shown import Shown
from web.streams import Streams
from web.waiting import WaitingRoom


@dataclass(frozen=True)
class Services:
    """Made once at the start; each part is safe to use from every thread."""

    settings: Settings
    database: Database
    storage: Storage
    bell: Bell
    keyring: Keyring
    room: WaitingRoom
    streams: Streams
    event_ids: EventIds
    observer: Observer
    shown: Shown
    places: Places
    quotas: Quotas
    rates: Rates
    asker: Asker
    receivers: Receivers
    # Answers on the spot or not at all: its database does not wait, and nothing is fetched from elsewhere.
    is_prompt: bool = False
