"""Who judges a segment has heard no other of its track, and is judged by segments and by tracks."""

from collections.abc import Sequence

import numpy as np
import pytest

from bench import heads, segments, soundtracks
from bench.segments import Piece
from shared.audio_params import Listening
from shared.kinds.classification import TrainParams

GAMES = ("chess", "dice", "go")


def piece(game: str, seed: int, *, count: int = 4) -> Piece:
    """Segments that tell their game."""
    random = np.random.default_rng([seed, GAMES.index(game)])
    embedding = random.normal(size=(count, segments.WINDOWS, 400)) * 0.5 + GAMES.index(game)
    return Piece(game, embedding.astype(np.float32), random.normal(size=(count, 384)).astype(np.float32))


def name(of: Piece) -> float:
    """A number that no other has."""
    return float(of.embedding[0, 0, 0])


PIECES = [piece(GAMES[number % 3], number, count=1 + number % 4) for number in range(30)]


@pytest.mark.parametrize(
    ("lasting_s", "expected"), [(8.9, []), (9.0, [0]), (20, [0, 10]), (1000, [50 * place for place in range(20)])]
)
def test_segments_lie_evenly_and_never_overlap(lasting_s: float, expected: list[float]) -> None:
    assert segments.starts(lasting_s) == expected


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [0]), (3, [0, 1, 2]), (4, [0, 1, 2, 3]), (7, [0, 1, 3, 5]), (20, [0, 5, 10, 15])]
)
def test_up_to_four_segments_are_asked_about_evenly(count: int, expected: list[int]) -> None:
    whole = piece("go", 0, count=count)

    assert segments.even(count) == expected
    assert np.array_equal(whole.asked.embedding, whole.embedding[expected])
    assert np.array_equal(whole.asked.statistics, whole.statistics[expected])


def test_statistics_are_of_each_band() -> None:
    mel = np.zeros((10, 96), np.float32)
    mel[:, 1] = np.arange(10)
    mel[:, 2] = np.tile([0, 1], 5)

    mean, deviation, most, change = segments.statistics(mel).reshape(4, 96)

    assert mean[:3].tolist() == [0, 4.5, 0.5] and most[:3].tolist() == [0, 9, 1]
    assert deviation[2] == 0.5 and change[1] == 0 and change[2] == pytest.approx(0.99, abs=0.01)


def test_every_track_is_asked_once_by_a_judge_that_has_not_heard_it() -> None:
    asked_of: list[float] = []

    def judge(train: Sequence[Piece], asked: Sequence[Piece]) -> list[np.ndarray]:
        assert not {name(each) for each in train} & {name(each) for each in asked}
        asked_of.extend(name(each) for each in asked)
        return [np.eye(3)[[0] * len(each.embedding)] for each in asked]

    of_segments, of_tracks = soundtracks.accuracy(PIECES, judge, seed=0)

    assert sorted(asked_of) == sorted(name(each) for each in PIECES)
    chess = [len(each.embedding) for each in PIECES if each.game == "chess"]
    assert of_segments == pytest.approx(sum(chess) / sum(len(each.embedding) for each in PIECES))
    assert of_tracks == pytest.approx(1 / 3)


def test_a_track_is_what_its_segments_say_together() -> None:
    def judge(train: Sequence[Piece], asked: Sequence[Piece]) -> list[np.ndarray]:
        said = []
        for each in asked:
            right, wrong = np.zeros(3), np.zeros(3)
            right[GAMES.index(each.game)], wrong[GAMES.index(each.game) - 1] = 0.9, 0.5
            said.append(np.stack([*[wrong] * (len(each.embedding) - 1), right]))
        return said

    of_segments, of_tracks = soundtracks.accuracy([piece(game, 0, count=2) for game in GAMES * 5], judge, seed=0)

    assert (of_segments, of_tracks) == (0.5, 1.0)


@pytest.mark.parametrize("windows", [1, segments.WINDOWS])
def test_the_workers_own_training_learns_games_and_answers_segment_by_segment(windows: int) -> None:
    params = TrainParams(baselines=False, epochs=20, listening=Listening(windows_per_segment=windows))
    taught = heads.teach(PIECES[:24], params)

    said = [heads.answer(taught, each) for each in PIECES[24:]]

    assert list(taught.games) == list(GAMES)
    for each, answers in zip(PIECES[24:], said, strict=True):
        assert answers.shape == (len(each.embedding), 3) and np.allclose(answers.sum(axis=1), 1, atol=1e-5)
        assert {GAMES[place] for place in answers.argmax(axis=1)} == {each.game}


@pytest.mark.parametrize("judge", [soundtracks.by_embedding, soundtracks.by_head])
def test_peers_and_ours_are_asked_the_same(judge: soundtracks.Judge) -> None:
    said = judge(PIECES[:24], PIECES[24:])

    assert [len(each) for each in said] == [len(each.embedding) for each in PIECES[24:]]
    assert all(GAMES[answers[0].argmax()] == each.game for each, answers in zip(PIECES[24:], said, strict=True))


def test_statistics_that_tell_nothing_are_no_help() -> None:
    of_segments, _ = soundtracks.accuracy(PIECES, soundtracks.by_statistics, seed=0)

    assert of_segments < 0.7
