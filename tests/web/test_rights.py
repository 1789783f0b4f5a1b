"""The ledger of rights at the door: what is declared, what holds, what is refused; and who may become champion."""

from typing import Any

import pytest

from shared.database import Database
from tests import factories
from tests.web.calling import Caller
from tests.web.registry import lineage, make_version

CHAMPION = "/v1/models/songs/aliases/champion"

Json = dict[str, Any]


def create(caller: Caller, **rights: Any) -> Any:
    return caller.call("POST", "/v1/datasets", {"name": "songs", "rights": rights})


def enter(caller: Caller, dataset: str, **said: Any) -> Any:
    return caller.call("POST", f"/v1/datasets/{dataset}/rights", said)


@pytest.fixture
def dataset(database: Database, tenant: str) -> str:
    with database.transaction() as sql:
        return factories.make_dataset(sql, tenant, name="songs", profile=factories.SONGS)


@pytest.fixture
def learned(database: Database, tenant: str, dataset: str) -> str:
    """A dataset from which two versions have learned."""
    with database.transaction() as sql:
        for _ in range(2):
            make_version(sql, tenant, datasets=[dataset], lineage=lineage(dataset))
    return dataset


def test_a_dataset_says_under_which_licence_it_comes(caller: Caller) -> None:
    consent = {"training": "granted", "basis": "contract 7", "until": "2199-01-01T00:00:00Z"}
    made = create(caller, licence="cc-by-4.0", consent=consent, holder="Ada", source="https://example.org")

    said = caller.call("GET", f"/v1/datasets/{made.json['id']}/rights").json
    assert (said["rights"]["commercial"], said["rights"]["consent"]) == ("yes", "granted")
    assert said["rights"]["licences"][0] == {
        "licence": "CC-BY-4.0", "is_known": True, "commercial": "yes", "derivatives": True, "attribution": True,
        "share_alike": False, "source": "https://creativecommons.org/licenses/by/4.0/",
    }  # fmt: skip
    assert said["rights"]["attributions"] == [
        {"reference": "songs@1", "holder": "Ada", "source": "https://example.org"}
    ]
    (entry,) = said["data"]
    assert (entry["number"], entry["key"], entry["consent"]) == (1, "test", consent)
