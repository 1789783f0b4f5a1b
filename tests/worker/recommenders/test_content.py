"""What items are like: columns as labels, filters, and the place of what nobody has played."""

import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from shared.errors import InvalidRequest, JobFailed
from worker.recommenders import artifacts, content, filters, newcomers, popularity
from worker.recommenders.artifacts import RecommenderModel
from worker.recommenders.catalogue import Catalogue
from worker.recommenders.factors import Factors
from worker.recommenders.histories import single
from worker.recommenders.linear import Linear
from worker.recommenders.towers import Towers

TABLE = pa.table(
    {
        "artist": ["Ada", "Ada", "Bo", None],
        "tags": ["slow, calm|piano", "calm", "", "loud;fast"],
        "title": ["one", "two", "three", "four"],
        "year": [1999, 2004, None, 2020],
        "explicit": [True, False, False, None],
        "released": ["1999-05-01", "2004-01-01", None, "2020-12-31"],
        "plays": [9, 8, 7, 6],
    }
)
CATALOGUE = Catalogue(TABLE)


def kept(**wanted: Any) -> list[int] | None:
    found = filters.allowed(CATALOGUE, wanted, pointer="/filters")
    return None if found is None else np.flatnonzero(found).tolist()


def test_a_list_in_a_cell_is_several_labels() -> None:
    labels = CATALOGUE.labels("tags")

    assert labels.words == ["calm", "fast", "loud", "piano", "slow"]
    assert labels.matrix.toarray().astype(int).tolist() == [
        [1, 0, 0, 1, 1], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 1, 1, 0, 0]
    ]  # fmt: skip
    assert labels.first().tolist() == [0, 0, -1, 1]


def test_a_comma_in_a_name_parts_nothing() -> None:
    catalogue = Catalogue(pa.table({"artist": ["Earth, Wind & Fire", "Bo"]}))

    assert catalogue.labels("artist").words == ["Bo", "Earth, Wind & Fire"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, None),
        ({"allow": {"artist": ["Ada"]}}, [0, 1]),
        ({"deny": {"artist": ["Ada"]}}, [2, 3]),
        ({"allow": {"tags": ["piano", "loud"]}}, [0, 3]),
        ({"allow": {"artist": ["Ada", "Bo"]}, "deny": {"tags": ["slow"]}}, [1, 2]),
        ({"allow": {"year": {"min": 2000}}}, [1, 3]),
        ({"allow": {"year": {"min": 1990, "max": 2004}}}, [0, 1]),
        ({"deny": {"year": {"max": 2004}}}, [2, 3]),
        ({"allow": {"year": [1999]}}, [0]),
        ({"allow": {"released": {"min": "2004-01-01"}}}, [1, 3]),
        ({"allow": {"explicit": [False]}}, [1, 2]),
        ({"allow": {"artist": ["Nobody"]}}, []),
    ],
)
def test_filters_keep_what_is_asked(wanted: dict[str, Any], expected: list[int] | None) -> None:
    assert kept(**wanted) == expected


def test_a_filter_that_cannot_be_is_told_by_its_place() -> None:
    for wanted, pointer in (({"allow": {"mood": ["x"]}}, "/filters/allow/mood"),
                            ({"deny": {"year": {"min": "soon"}}}, "/filters/deny/year")):  # fmt: skip
        with pytest.raises(InvalidRequest) as raised:
            filters.allowed(CATALOGUE, wanted, pointer="/filters")
        assert raised.value.faults[0].pointer == pointer


def test_what_is_said_of_one_item_alone_or_tells_the_plays_is_no_content() -> None:
    features = content.describe(Catalogue(TABLE.select(["title", "plays", "year"])))

    assert features is None


def test_items_with_labels_in_common_are_alike() -> None:
    catalogue = Catalogue(pa.table({"tags": ["a|b", "a|b", "a", "c", ""], "artist": ["x", "x", "y", "y", None]}))
    features = content.describe(catalogue)

    assert features is not None
    near = (features @ features.T).toarray()
    assert near[0, 1] == pytest.approx(1)
    assert 0 < near[0, 2] < 1
    assert near[0, 3] == 0
    assert not near[4].any()


def test_recordings_are_content_beside_labels() -> None:
    heard = np.array([[1, 0], [0.9, 0.1], [-1, 0], [0, 0]], np.float32)
    features = content.describe(Catalogue(pa.table({"": pa.nulls(4)}).select([])), heard)

    assert features is not None
    near = (features @ features.T).toarray()
    assert near[0, 1] > 0.9
    assert near[0, 2] < -0.9
    assert not near[3].any()


def features_of(tags: list[str]) -> Any:
    found = content.describe(Catalogue(pa.table({"tags": tags})))
    assert found is not None
    return found


# The third item is new: like the first two, and as near to both.
NEW = features_of(["a", "a", "a", "b", "b"])


def test_what_is_new_stands_where_what_is_like_it_stands() -> None:
    shares = content.shares(NEW, np.array([2]), np.array([0, 1, 3, 4])).toarray()

    assert shares.tolist() == [[0.5, 0.5, 0, 0]]


def by_hand(features: Any, cold: np.ndarray, warm: np.ndarray) -> np.ndarray:
    """The shares one after the other; what rounding makes of the same nearness is the same."""
    near = np.rint((features[cold] @ features[warm].T).toarray() * 2**20) / 2**20
    found = np.zeros(near.shape)
    for row, each in enumerate(near):
        chosen = [place for place in np.argsort(-each, kind="stable")[:20] if each[place] > 0.05]
        found[row, chosen] = each[chosen] ** 2 / (each[chosen] ** 2).sum()
    return found


@pytest.mark.parametrize("cells", [1, 2_000, 4_000_000])
@pytest.mark.parametrize("heard", [0, 30])
@pytest.mark.parametrize("labels", [3, 200])
def test_shares_are_those_of_the_nearest_of_equal_ones_the_first(
    monkeypatch: pytest.MonkeyPatch, labels: int, heard: int, cells: int
) -> None:
    monkeypatch.setattr(content, "CELLS_AT_ONCE", cells)
    random = np.random.default_rng(3)
    tags = ["|".join(f"t{each}" for each in random.integers(0, labels, random.integers(0, 4))) for _ in range(400)]
    recordings = np.where(random.random(400)[:, None] < 0.5, random.normal(size=(400, heard)), 0).astype(np.float32)
    features = content.describe(Catalogue(pa.table({"tags": tags})), recordings)
    cold, warm = np.arange(0, 400, 3), np.setdiff1d(np.arange(400), np.arange(0, 400, 3))
    told: list[float] = []

    shares = content.shares(features, cold, warm, told.append)

    assert shares.toarray() == pytest.approx(by_hand(features, cold, warm), abs=1e-6)
    assert told == sorted(told) and told[-1] == 1
    assert len(told) > 3 or cells > 1


def test_half_of_a_large_catalogue_finds_its_places_in_seconds() -> None:
    random, count = np.random.default_rng(0), 60_000
    artists, tags = random.integers(0, count // 10, count), random.integers(0, 300, (2, count))
    table = {"artist": [f"a{each}" for each in artists], "tags": [f"g{a // 6}|t{b}" for a, b in tags.T]}
    features = content.describe(Catalogue(pa.table(table)))
    assert features is not None

    begun = time.process_time()
    shares = content.shares(features, np.arange(count // 2), np.arange(count // 2, count))

    # One after the other took eleven.
    assert time.process_time() - begun < 5
    assert shares.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_where_new_items_stand_is_found_once_for_models_that_know_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model = popularity.Popular(np.array([1, 0.5, -np.inf, 0.25, 0.25], np.float32))
    other = popularity.Popular(np.array([1, -np.inf, -np.inf, 0.25, 0.25], np.float32))
    told: list[float] = []
    places = newcomers.find(model.known, NEW, told.append)
    expected = [newcomers.extend(each, NEW).scores(np.zeros((1, 0))) for each in (model, other)]
    asked: list[Any] = []
    shares = content.shares
    monkeypatch.setattr(content, "shares", lambda *args: asked.append(args) or shares(*args))

    extended = [newcomers.extend(each, NEW, places).scores(np.zeros((1, 0))) for each in (model, other)]

    assert [each.tolist() for each in extended] == [each.tolist() for each in expected]
    # Of the other model, which knows less, they were found anew.
    assert (len(asked), told) == (1, [1.0])


def test_whoever_is_told_of_places_may_stop_it() -> None:
    def stop(done: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        newcomers.extend(popularity.Popular(np.array([1, 0.5, -np.inf, 1, 1], np.float32)), NEW, told=stop)


def test_every_model_has_a_place_for_what_is_new() -> None:
    known = np.array([0, 1, 3, 4], np.int32)
    matrix = np.arange(16, dtype=np.float32).reshape(4, 4)
    vectors = np.arange(10, dtype=np.float32).reshape(5, 2)
    none = np.array([2], np.int32)
    models = [
        popularity.Popular(np.array([1, 0.5, -np.inf, 0.25, 0.25], np.float32)),
        Linear("ease", 5, "binary", known, matrix),
        Factors(vectors, "binary", 1.0, 1.0, none),
        Towers("autoencoder", "binary", vectors, (), vectors, np.arange(5, dtype=np.float32), none),
    ]
    for model in models:
        extended = newcomers.extend(model, NEW)
        scores = extended.scores(extended.read(single([3], [1.0], count=5)))[0]
        assert scores[2] == pytest.approx((scores[0] + scores[1]) / 2)
        before = model.scores(model.read(single([3], [1.0], count=5)))[0]
        assert np.isneginf(before[2])


def test_without_content_nothing_new_has_a_place() -> None:
    model = popularity.Popular(np.array([1, -np.inf], np.float32))

    assert newcomers.extend(model, None) is model


def packed() -> dict[str, bytes]:
    model = Linear("ease", 4, "log", np.arange(4, dtype=np.int32), np.eye(4, dtype=np.float32))
    vectors, listeners = np.ones((4, 2), np.float32), np.array([3, 2, 1, 0])
    fallback = popularity.Popular(np.array([3, 2, 1, -np.inf], np.float32))
    made = RecommenderModel(model, ["a", "b", "c", "d"], listeners, CATALOGUE, vectors, fallback, 5)
    return artifacts.pack("recommendation", made, {"roles": {}})


def test_a_model_is_what_its_files_say() -> None:
    again = artifacts.unpack(packed())

    assert (again.items, again.listeners.tolist()) == (["a", "b", "c", "d"], [3, 2, 1, 0])
    assert again.catalogue.table.equals(TABLE)
    assert (again.places["c"], again.users) == (2, 5)
    assert again.popularity.tolist() == pytest.approx([1, np.log(3) / np.log(4), np.log(2) / np.log(4), 0])
    assert packed() == packed()


@pytest.mark.parametrize("name", ["spec.json", "weights.safetensors", "items.parquet"])
def test_a_damaged_model_is_refused(name: str) -> None:
    files = packed()

    for content_ in (b"", files[name][:20], files[name][:-4]):
        with pytest.raises(JobFailed) as raised:
            artifacts.unpack({**files, name: content_})
        assert raised.value.code == "integrity"


def test_a_label_with_a_separator_in_it_is_found_as_it_stands() -> None:
    catalogue = Catalogue(pa.table({"licence": ["CC BY 4.0; no resale", "cc0"], "labels": ["Sony Music, Inc", "Bo"]}))

    for name, wanted in (("licence", "CC BY 4.0; no resale"), ("labels", "Sony Music, Inc"), ("licence", " cc0 ")):
        allowed = filters.allowed(catalogue, {"deny": {name: [wanted]}}, pointer="")
        assert allowed is not None
        assert allowed.tolist() in ([False, True], [True, False])


def test_a_year_holds_all_of_its_days() -> None:
    assert kept(allow={"released": {"min": "2004", "max": "2020"}}) == [1, 3]
    assert kept(allow={"released": {"max": "2004-01"}}) == [0, 1]


def test_labels_that_no_item_has_are_told() -> None:
    asked = {"allow": {"artist": ["Ada", "Nobody"], "year": {"min": 1}}, "deny": {"tags": ["clam"]}}

    assert filters.unknown_labels(CATALOGUE, asked) == [("artist", "Nobody"), ("tags", "clam")]
