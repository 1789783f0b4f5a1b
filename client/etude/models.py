"""What a client asks of models that are there: versions, aliases, what is alike, what somebody may like."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Unpack
from urllib.parse import quote

from etude.errors import NotFound, Refused
from etude.listing import Wanted
from etude.transport import Transport

# What the service says of a reference that names nothing; an item that a model does not know is 404 too.
NO_VERSION = "There is no such model version."

Json = dict[str, Any]


class Models:
    """The part of a client that is about models."""

    _transport: Transport

    def models(self, *, limit: int | None = None) -> Iterator[Json]:
        return self._transport.listed("/v1/models", {}, limit)

    def model(self, name: str) -> Json:
        """One model with all its versions."""
        return self._get(f"/v1/models/{quote(name, safe='')}")

    def version(self, name: str, number: int) -> Json:
        return self._get(f"/v1/models/{quote(name, safe='')}/versions/{number}")

    def kind_of(self, model: str) -> str:
        """What a version that is there has learned: classification, recommendation, … Raises NotFound."""
        self.resolve(model)
        kind: str = self.model(model.partition("@")[0])["kind"]
        return kind

    def resolve(self, model: str) -> Json:
        """The version that `name@3`, `name@latest`, `name@champion` or `name` means. Raises NotFound."""
        try:
            return self.version(*self._numbered(model))
        except Refused as refused:
            if refused.status != 404:
                raise
            raise _no_model(model) from refused

    def delete_model(self, name: str) -> None:
        """Delete a model with all its versions and files."""
        self._transport.delete(f"/v1/models/{quote(name, safe='')}")

    def similar(
        self,
        model: str,
        track: str,
        *,
        k: int = 10,
        dataset: str | None = None,
        where: Mapping[str, str] | None = None,
    ) -> Json:
        """The `k` tracks that sound most like `track`, by its key; `where` keeps those with these values in columns.

        `dataset` is where to look, the one that the model learned from without it.
        """
        name, number = self._numbered(model)
        query: Json = {"track": track, "k": k, **({"dataset": dataset} if dataset else {})}
        query |= {f"where.{column}": value for column, value in (where or {}).items()}
        return self._get(f"/v1/models/{quote(name, safe='')}/versions/{number}/similar", query)

    def _numbered(self, reference: str) -> tuple[str, int]:
        """The version that `name@3`, `name@latest`, `name@champion` or `name` means, as the service reads it."""
        name, _, which = reference.partition("@")
        if which.isdecimal():
            return name, int(which)
        found = self.model(name)
        newest = {"latest": found["versions"][0]["version"]} if found["versions"] else {}
        known = {**newest, **found["aliases"]}
        number = known.get(which or "champion", known.get("latest") if not which else None)
        if number is None:
            raise NotFound(f"There is no {reference}: `etude models {name}` lists the versions that there are.")
        return name, int(number)

    def recommend(
        self,
        model: str,
        *,
        user: str | None = None,
        items: Sequence[str] | Mapping[str, float] | None = None,
        dataset: str | None = None,
        **wanted: Unpack[Wanted],
    ) -> Json:
        """What a listener may like, at once: the `user` of a dataset, or anybody who has played these `items`.

        `items` may say how much each was played. `dataset` is where the user is looked up, the one that the model
        learned from without it. `data` has the list: `item`, `score`, `reason`; `basis` is history or popularity.
        """
        body: Json = {**wanted, **({"user": user} if user is not None else {})}
        if items is not None:
            body["items"] = _played(items)
        if dataset is not None:
            body["dataset"] = dataset
        with _known(model):
            return self._transport.post(f"/v1/models/{quote(model, safe='@')}/recommend", body)

    def similar_items(self, model: str, item: str, *, k: int = 20) -> Json:
        """The `k` items that are most like one, by what a model has learned of who plays them."""
        with _known(model):
            return self._get(f"/v1/models/{quote(model, safe='@')}/similar", {"item": item, "k": k})

    def _get(self, path: str, query: Json | None = None) -> Json:
        said: Json = self._transport.get(path, query=query).json()
        return said


def _played(items: Sequence[str] | Mapping[str, float]) -> list[str | Json]:
    if isinstance(items, Mapping):
        return [{"item": item, "weight": weight} for item, weight in items.items()]
    return list(items)


@contextmanager
def _known(model: str) -> Iterator[None]:
    """Say of a model that is not there where those are listed that are."""
    try:
        yield
    except Refused as refused:
        if refused.status != 404 or str(refused) != NO_VERSION:
            raise
        raise _no_model(model) from refused


def _no_model(model: str) -> NotFound:
    return NotFound(f"There is no model {model}: `etude models` lists those that there are.")
