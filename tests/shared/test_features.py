"""What was computed of a recording is kept by its content, and goes with the last dataset that holds it."""

import pytest

from shared import datasets, features
from shared.database import Database
from shared.features import Feature
from tests import factories

EAR, ONE, TWO, THREE = "ear@1", "1" * 64, "2" * 64, "3" * 64


def keep(database: Database, tenant: str, *new: Feature) -> None:
    with database.transaction() as sql:
        features.keep(sql, tenant, new)


def known(database: Database, tenant: str, *contents: str, extractor: str = EAR) -> set[str]:
    with database.reading() as sql:
        return set(features.find(sql, tenant, extractor, contents))


def make_dataset(database: Database, tenant: str, *contents: str) -> str:
    with database.transaction() as sql:
        dataset = factories.make_dataset(sql, tenant)
        features.name_tracks(sql, tenant, dataset, contents)
        return dataset


def test_what_is_known_is_found_by_content_and_extractor(database: Database, tenant: str) -> None:
    keep(database, tenant, Feature(ONE, EAR, {"a": 1}), Feature(TWO, "other@1", {"a": 2}))

    assert known(database, tenant, ONE, TWO, THREE) == {ONE}
    assert known(database, tenant, TWO, extractor="other@1") == {TWO}


def test_the_first_to_compute_it_is_kept(database: Database, tenant: str) -> None:
    keep(database, tenant, Feature(ONE, EAR, {"by": "first"}))
    keep(database, tenant, Feature(ONE, EAR, {"by": "second"}), Feature(TWO, EAR, {"by": "second"}))

    with database.reading() as sql:
        found = features.find(sql, tenant, EAR, [ONE, TWO])
    assert {content: row.data["by"] for content, row in found.items()} == {ONE: "first", TWO: "second"}


def test_another_tenant_knows_nothing_of_it(database: Database, tenant: str, other: str) -> None:
    keep(database, tenant, Feature(ONE, EAR, {}))

    assert known(database, other, ONE) == set()


def test_more_contents_than_one_statement_takes_are_found(database: Database, tenant: str) -> None:
    contents = [f"{number:064x}" for number in range(1203)]
    keep(database, tenant, *(Feature(content, EAR, {}) for content in contents))

    assert known(database, tenant, *contents) == set(contents)


def test_the_tracks_of_a_dataset_keep_their_order(database: Database, tenant: str) -> None:
    dataset = make_dataset(database, tenant, TWO, ONE, TWO)

    with database.reading() as sql:
        assert features.contents(sql, dataset) == [TWO, ONE, TWO]


def test_erasing_forgets_what_no_other_dataset_holds_and_names_the_files(
    database: Database, tenant: str, other: str
) -> None:
    erased, kept = make_dataset(database, tenant, ONE, TWO), make_dataset(database, tenant, TWO, THREE)
    make_dataset(database, other, ONE)
    file = {"key": "t/one", "size_bytes": 1, "sha256": ONE}
    for owner in (tenant, other):
        keep(
            database,
            owner,
            *(Feature(content, EAR, {}, file | {"key": f"{owner}/{content}"}) for content in (ONE, TWO, THREE)),
        )

    with database.transaction() as sql:
        _, keys = datasets.erase(sql, tenant, erased)

    assert keys == [f"{tenant}/{ONE}"]
    assert known(database, tenant, ONE, TWO, THREE) == {TWO, THREE}
    assert known(database, other, ONE, TWO, THREE) == {ONE, TWO, THREE}
    with database.reading() as sql:
        assert features.contents(sql, kept) == [TWO, THREE]
        assert features.contents(sql, erased) == []


@pytest.mark.parametrize("folder", ["t/a/jobs/job_1/2/", "t/a_b/"])
def test_the_files_that_features_name_are_found_by_their_folder_alone(
    database: Database, tenant: str, folder: str
) -> None:
    keys = [f"{folder}features/x", "t/a/jobs/job_1/23/features/y", "t/axb/features/z"]
    keep(
        database,
        tenant,
        *(
            Feature(f"{place:064x}", EAR, None, {"key": key, "size_bytes": 1, "sha256": ONE})
            for place, key in enumerate(keys)
        ),
    )

    with database.reading() as sql:
        assert features.named(sql, folder) == {keys[0]}
