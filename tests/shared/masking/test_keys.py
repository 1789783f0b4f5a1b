"""The key of a dataset's hashes: made once, under no readable name, gone for good when it is destroyed."""

from sqlalchemy import update

from shared.masking import keys
from shared.sealing.key_tables import object_keys
from shared.settings import Settings
from shared.storage import UNWRITTEN_S, Storage


def test_a_name_has_one_key_and_another_name_or_tenant_another(settings: Settings, storage: Storage) -> None:
    places = [keys.place(settings.pepper, *who) for who in (("ten_1", "plays"), ("ten_1", "songs"), ("ten_2", "plays"))]

    taken = [keys.take(storage, place) for place in places]

    assert [keys.take(Storage(settings), place) for place in places] == taken
    assert len(set(taken)) == 3 and all(len(key) == 32 for key in taken)
    assert all("plays" not in place and place.startswith("t/ten_") for place in places)


def test_a_sweep_leaves_it_alone_although_no_file_belongs_to_it(settings: Settings, storage: Storage) -> None:
    place = keys.place(settings.pepper, "ten_1", "plays")
    before = keys.take(storage, place)
    with storage.open_keys().transaction() as sql:
        sql.execute(update(object_keys).values(created_at=object_keys.c.created_at - 2 * UNWRITTEN_S))

    storage.sweep()

    assert keys.take(Storage(settings), place) == before


def test_destroyed_it_does_not_come_back(settings: Settings, storage: Storage) -> None:
    place = keys.place(settings.pepper, "ten_1", "plays")
    before = keys.take(storage, place)

    keys.destroy(storage, place)

    assert keys.take(storage, place) != before
