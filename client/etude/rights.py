"""What a client asks of the ledger of rights: what holds of a dataset, every entry, and the next one."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from etude.datasets import Dataset
from etude.transport import Transport

Json = dict[str, Any]


class Rights:
    """The part of a client that is about licences and consents."""

    _transport: Transport

    if TYPE_CHECKING:

        def dataset(self, name_or_id: str) -> Dataset: ...

    def rights(self, data: "Dataset | str") -> Json:
        """What holds of a dataset now: `rights` with the most restrictive answers, and `tracks` with single rows."""
        said: Json = self._transport.get(self._ledger(data)).json()
        return said

    def rights_history(self, data: "Dataset | str", *, limit: int | None = None) -> Iterator[Json]:
        """Every entry of the ledger of a dataset, the last first."""
        return self._transport.listed(self._ledger(data), {}, limit)

    def set_rights(
        self, data: "Dataset | str", *, track: str | None = None, reason: str | None = None, **said: Any
    ) -> Json:
        """Write the next entry: `licence`, `commercial`, `consent`, `holder`, `source`; what is left out stays.

        `track` is the key of the one row that it is about. The answer has the `models` that learned from the dataset.
        """
        body = {"track": track, "reason": reason, **said}
        entry = {name: value for name, value in body.items() if value is not None}
        return self._transport.post(self._ledger(data), entry)

    def _ledger(self, data: "Dataset | str") -> str:
        found = self.dataset(data) if isinstance(data, str) else data
        return f"/v1/datasets/{quote(found.id, safe='')}/rights"
