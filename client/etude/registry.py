"""What a client asks of the registry: cards, aliases with their history, the way back, comparisons, signed archives."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from etude import archive, signed
from etude.models import Models

ZIP = "application/zip"

Json = dict[str, Any]


class Registry(Models):
    """The part of a client that is about versions beside each other, and about who stands where."""

    def card(self, model: str) -> Json:
        """The card of the version that `name@3`, `name@champion` or `name` means."""
        said: Json = self._transport.get(f"{self._address(model)}/card").json()
        return said

    def card_text(self, model: str, form: str = "markdown") -> str:
        """The same as a page (`html`) or as text (`markdown`)."""
        return str(self._transport.get(f"{self._address(model)}/card", query={"format": form}).text)

    def describe_model(self, model: str, **said: str) -> Json:
        """Say what a model's cards tell of it: `description`, `intended_use`, `limits`, `licence`; empty is none."""
        return self._transport.patch(_of(model), said)

    def aliases(self, model: str) -> list[Json]:
        """Where each alias of a model points, with its last move."""
        found: list[Json] = self._transport.get(f"{_of(model)}/aliases").json()["data"]
        return found

    def alias_history(self, model: str, alias: str, *, limit: int | None = None) -> Iterator[Json]:
        """Every move of an alias, the last first."""
        return self._transport.listed(f"{_alias(model, alias)}/history", {}, limit)

    def set_alias(
        self,
        model: str,
        alias: str,
        version: int,
        *,
        require: Json | None = None,
        expected_version: int | None = None,
        reason: str | None = None,
    ) -> Json:
        """Point an alias to a version; `require` is the gate: `{"metric", "not_worse_than", "min_rows", …}`.

        With `expected_version` it moves only if it still points there; 0 is nowhere.
        """
        given = {"require": require, "expected_version": expected_version, "reason": reason}
        body: Json = {"version": version, **{name: value for name, value in given.items() if value is not None}}
        return self._transport.put(_alias(model, alias), body)

    def roll_back(self, model: str, alias: str, *, expected_version: int | None = None) -> Json:
        """Point an alias to where it pointed before; again, and it goes on back."""
        query = {} if expected_version is None else {"expected_version": expected_version}
        return self._transport.post(f"{_alias(model, alias)}/rollback", query=query)

    def compare_versions(self, model: str, versions: Sequence[int]) -> Json:
        """Two to ten versions of a model: their metrics, and what differs of params, data and code."""
        query = {"versions": ",".join(map(str, versions))}
        said: Json = self._transport.get(f"{_of(model)}/compare", query=query).json()
        return said

    def download_model(self, model: str, path: str | Path) -> Path:
        """A version as an archive: spec, weights, card, manifest, signature. The file appears once it is whole."""
        with archive.appearing(Path(path)) as file:
            self._transport.save(f"{self._address(model)}/download", file, accept=ZIP)
        return Path(path)

    def verify_archive(self, path: str | Path) -> Json:
        """Check every digest of an archive, and ask this service whether it signed the manifest.

        Raises EtudeError for an archive that is not what its manifest says.
        """
        found = signed.read(Path(path))
        body = {"manifest": found.manifest, "signature": found.signature}
        return {"version": found.version, "files": found.files, **self._transport.post("/v1/manifests/verify", body)}

    def _address(self, model: str) -> str:
        name, number = self._numbered(model)
        return f"{_of(name)}/versions/{number}"


def _of(model: str) -> str:
    return f"/v1/models/{quote(model, safe='')}"


def _alias(model: str, alias: str) -> str:
    return f"{_of(model)}/aliases/{quote(alias, safe='')}"
