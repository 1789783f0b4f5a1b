"""A version of a dataset of plays without one of its listeners, stored beside what is there."""

import functools
from typing import Any

from sqlalchemy import Row

from shared import pseudonyms
from shared.erasing import Change
from worker import rewriting
from worker.desk import Desk
from worker.interactions import profile, removal, stored


def without(desk: Desk, row: Row[Any], wanted: str) -> Change | None:
    """The version without the listener of this pseudonym; None when it has no such user.

    Only the pseudonym is known, so it is the user that is looked for whose pseudonym that is.
    """
    desk.check()
    pseudonym = functools.partial(pseudonyms.of, desk.settings.pepper, desk.claim.tenant, row.name)
    interactions = stored.load(desk.fetch_parts(row))
    place = next((place for place, user in enumerate(interactions.users) if pseudonym(user) == wanted), None)
    if place is None:
        return None
    left = removal.remove(interactions, place)
    folder = desk.scratch / row.id
    folder.mkdir()
    parts = rewriting.put(desk, row, stored.write(folder, left))
    events = len(interactions.user) - len(left.user)
    return Change(row, parts, profile.again(row.profile, left), rewriting.identify(row, parts), events)
