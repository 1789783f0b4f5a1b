"""What a training on recordings is said to cost at the door."""

from types import SimpleNamespace
from typing import Any

import pytest

from shared import expectation, networks, sizes
from shared.errors import InvalidRequest
from shared.kinds.classification import TrainParams
from shared.machines import Machine

SEGMENT_BYTES = 187 * 96 * 2


def dataset(*, tracks: int, hours: float, format: str = "audio") -> list[Any]:
    profile = {
        "rows": tracks, "columns": [], "classes": {"rock": 1, "pop": 1}, "audio": {"hours": hours},
        "roles": {"target": ["genre"], "group": None, "id": None, "mask": [], "drop": []},
    }  # fmt: skip
    return [SimpleNamespace(format=format, profile=profile)]


def params(**values: Any) -> TrainParams:
    return TrainParams.model_validate(values)


def test_an_embedding_is_a_small_dense_network_whatever_the_hours() -> None:
    short, long = (sizes.measure(params(), dataset(tracks=1000, hours=hours)) for hours in (1.0, 50.0))

    assert short == long
    assert short.parameters == 400 * 128 + 128 + 128 * 64 + 64 + 64 * 2 + 2


def test_a_network_that_hears_is_told_with_its_front_and_the_crops_that_are_held() -> None:
    size = sizes.measure(params(preset="network"), dataset(tracks=1000, hours=50.0))

    front = params(preset="network").front
    assert front is not None
    assert size.parameters == front.parameters + 256 * 128 + 128 + 128 * 64 + 64 + 64 * 2 + 2
    assert 2 * 1000 * 20 * SEGMENT_BYTES < size.memory_bytes < 2 * 1000 * 20 * SEGMENT_BYTES + 512 * 1024 * 1024


def test_short_tracks_hold_no_more_crops_than_they_have_seconds() -> None:
    listening = {"segments_per_track": 200}

    count = sizes.examples(params(preset="network", listening=listening), dataset(tracks=100, hours=1.0))

    assert 3600 / 2.992 <= count <= 100 + 3600 / 2.992


def test_more_crops_than_memory_are_refused_and_it_is_said_what_to_lower() -> None:
    size = sizes.measure(params(preset="network"), dataset(tracks=100_000, hours=5000.0))

    with pytest.raises(InvalidRequest, match="segments_per_track") as caught:
        networks.refuse_giant(size, memory_limit_bytes=4 * 2**30)

    assert caught.value.code == "model_too_large"


def test_a_network_that_hears_is_expected_to_take_longer_than_its_parameters_say() -> None:
    rows = dataset(tracks=100, hours=5.0)
    chosen = params(preset="network", epochs=10)
    size = sizes.measure(chosen, rows)

    expected_s = expectation.of_training(
        size, chosen, Machine(), rows=sizes.examples(chosen, rows), columns=0, outputs=2
    ).seconds

    # 2,000 segments, 16 million multiplications each, thrice as much backward and forward: on one core some minutes.
    assert 100 < expected_s < 1000
    assert expectation.of_listening(1.0, Machine(), has_networks=False) < expectation.of_listening(1.0, Machine())
