"""What the calls about keys and the audit log take."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from shared.issued_keys import EXPIRES_DAYS, EXPIRES_DAYS_AT_MOST, GRACE_S, GRACE_S_AT_MOST
from shared.schema import Closed, Int
from shared.wanted import Name
from web.requests import RunsPage

Word = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Moment = Annotated[str, StringConstraints(max_length=40)]


class NewKey(Closed):
    """A key to be made: a name for whoever reads the list, how far it reaches and how long it lives."""

    name: Name
    scope: Literal["read", "submit", "admin"]
    expires_in_days: Annotated[Int, Field(ge=1, le=EXPIRES_DAYS_AT_MOST)] = EXPIRES_DAYS


class Rotation(Closed):
    """How long the old key is good beside the new one."""

    grace_s: Annotated[Int, Field(ge=0, le=GRACE_S_AT_MOST)] = GRACE_S


class AuditLogPage(RunsPage):
    """Rows from `from` to before `to`, each a day (UTC) or a moment of RFC 3339; of one key, action or object."""

    key: Word | None = None
    action: Word | None = None
    object: Word | None = None
    since: Annotated[Moment | None, Field(alias="from")] = None
    until: Annotated[Moment | None, Field(alias="to")] = None
