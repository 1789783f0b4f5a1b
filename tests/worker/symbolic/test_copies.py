"""Copied passages are found, whole and transposed, and what is one's own is not taken for a copy."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.worker.symbolic import made
from worker.symbolic.copies import Copied, Corpus, Passage
from worker.symbolic.grid import REST, Grid
from worker.symbolic.piece import NOTE, TICKS, Piece

TRAINING = {f"piece {seed}": made.wandering(seed, frames=160) for seed in range(12)}
SONGS = {f"song {seed}": made.song(seed) for seed in range(8)}


def moved(grid: Grid, semitones: int) -> Grid:
    return replace(grid, pitches=np.where(grid.pitches == REST, REST, grid.pitches + semitones).astype(np.int16))


def part(grid: Grid, start: int, end: int) -> Grid:
    frames = slice(start, end)
    return Grid(
        grid.pitches[frames], grid.attacks[frames], grid.position[frames], grid.bar[frames], resolution=grid.resolution
    )


def joined(*grids: Grid) -> Grid:
    made_of = np.concatenate([grid.pitches for grid in grids])
    return replace(made.grid(made_of), attacks=np.concatenate([grid.attacks for grid in grids]))


def onsets_of(grid: Grid) -> int:
    return int(grid.attacks.any(axis=1).sum())


def found(copied: Copied) -> tuple[Passage, Passage]:
    assert copied.together and copied.melody
    return copied.together, copied.melody


@pytest.mark.parametrize("semitones", [0, 3, -11])
def test_a_piece_that_was_copied_whole_is_found_whole(semitones: int) -> None:
    copy = moved(TRAINING["piece 7"], semitones)

    together, melody = found(Corpus.build(TRAINING).longest(copy))

    assert together == Passage(
        onsets=onsets_of(copy),
        notes=int(copy.attacks.sum()),
        quarters=40.0,
        bars=10.0,
        at_quarter=0.0,
        at_bar=1,
        source_key="piece 7",
        source_bar=1,
        transposed_by=semitones,
    )
    assert (melody.notes, melody.transposed_by) == (int(copy.attacks[:, 0].sum()), semitones)


def test_a_passage_is_found_where_it_is_and_where_it_comes_from() -> None:
    # A passage from a note of all voices on, so that it begins alike in both.
    source = joined(TRAINING["piece 3"], made.wandering(90, 64))
    copied = part(moved(source, 2), 160, 224)
    corpus = Corpus.build({**TRAINING, "piece 3": source})

    together, _ = found(corpus.longest(joined(made.wandering(91, 32), copied, made.wandering(92, 32))))

    assert (together.source_key, together.source_bar, together.transposed_by) == ("piece 3", 11, 2)
    assert (together.at_bar, together.at_quarter) == (3, 8.0)
    assert together.onsets >= onsets_of(copied) and 15 < together.quarters < 18


def test_one_other_note_in_the_middle_leaves_the_longer_half() -> None:
    copy = replace(TRAINING["piece 5"], pitches=TRAINING["piece 5"].pitches.copy())
    changed = int(np.flatnonzero(copy.attacks[:, 2])[-1])
    middle = next(at for at in np.flatnonzero(copy.attacks[:, 2]).tolist() if at > 70)
    copy.pitches[middle : middle + 1, 2] += 1

    together, melody = found(Corpus.build(TRAINING).longest(copy))

    assert changed > middle
    assert together.onsets == onsets_of(part(copy, middle + 1, 160)) - int(not copy.attacks[middle + 1].any())
    assert melody.notes == int(copy.attacks[:, 0].sum())


def test_the_melody_alone_is_found_over_other_voices() -> None:
    other = made.wandering(77, frames=160)
    mixed = replace(
        other,
        pitches=np.concatenate([TRAINING["piece 2"].pitches[:, :1], other.pitches[:, 1:]], axis=1),
        attacks=np.concatenate([TRAINING["piece 2"].attacks[:, :1], other.attacks[:, 1:]], axis=1),
    )

    together, melody = Corpus.build(TRAINING).longest(mixed)

    assert melody and (melody.source_key, melody.bars) == ("piece 2", 10.0)
    assert together is None or together.notes < 20


def test_own_music_shares_a_few_notes_only() -> None:
    copied = Corpus.build(TRAINING).longest(made.wandering(99, frames=160))

    assert all(passage is None or passage.notes < 12 for passage in copied)


def test_another_rhythm_is_no_copy() -> None:
    slow = {"slow": made.grid(np.repeat(made.wandering(1).pitches, 2, axis=0))}

    together = Corpus.build(slow).longest(made.wandering(1)).together

    assert together is None or together.onsets < 4


def test_a_chord_held_for_long_is_no_long_passage() -> None:
    held = made.grid([[72, 67, 64, 60]] * 256)

    assert Corpus.build({"held": held}).longest(held) == (None, None)


def test_the_resolution_of_a_grid_makes_no_difference() -> None:
    finer = made.grid(np.repeat(TRAINING["piece 1"].pitches, 3, axis=0), resolution=12, bar=48)

    together, _ = found(Corpus.build(TRAINING).longest(finer))

    assert (together.source_key, together.bars) == ("piece 1", 10.0)


def test_a_pickup_is_bar_0() -> None:
    grid = made.grid(made.wandering(4).pitches, pickup=4)

    together, _ = found(Corpus.build({"own": grid}).longest(grid))

    assert (together.at_bar, together.source_bar) == (0, 0)


def test_an_empty_training_set_holds_nothing() -> None:
    assert Corpus.build({}).longest(made.wandering(0)) == (None, None)


@pytest.mark.parametrize("frames", [0, 1])
def test_hardly_a_note_is_no_passage(frames: int) -> None:
    grid = part(made.wandering(0), 0, frames)

    assert Corpus.build({"own": grid}).longest(grid) == (None, None)


def plain(grid: Grid, start: int, end: int) -> list[object]:
    """What is compared of the onsets from `start` to before `end`: all but the height and the last one's time."""
    frames = np.flatnonzero(grid.attacks.any(axis=1))
    pitches = grid.pitches[frames[start:end]].astype(int)
    lowest = pitches[pitches != REST].min()
    sounds = np.where(pitches == REST, REST, pitches - lowest).tolist()
    return [sounds, grid.attacks[frames[start:end]].tolist(), np.diff(frames[start:end]).tolist()]


def plainly(grid: Grid, stored: list[Grid]) -> int:
    """The most notes of a passage, by trying every one."""
    frames, best = np.flatnonzero(grid.attacks.any(axis=1)), 0
    for start in range(len(frames)):
        for end in range(start + 2, len(frames) + 1):
            sought = plain(grid, start, end)
            for each in stored:
                count = int(each.attacks.any(axis=1).sum())
                starts = range(count - (end - start) + 1)
                if any(plain(each, at, at + end - start) == sought for at in starts):
                    best = max(best, int(grid.attacks[frames[start:end]].sum()))
    return best


FRAMES = st.lists(st.tuples(st.sampled_from([60, 62]), st.sampled_from([REST, 50, 52])), max_size=9)


@settings(deadline=None)
@given(stored=st.lists(FRAMES, min_size=1, max_size=3), asked=FRAMES)
def test_the_longest_passage_is_the_one_that_trying_all_of_them_finds(
    stored: list[list[tuple[int, int]]], asked: list[tuple[int, int]]
) -> None:
    grids = [made.grid(np.array(each, int).reshape(-1, 2)) for each in stored]
    grid = made.grid(np.array(asked, int).reshape(-1, 2))

    together = Corpus.build({str(at): each for at, each in enumerate(grids)}).longest(grid).together

    assert (together.notes if together else 0) == plainly(grid, grids)


def transposed(piece: Piece, semitones: int, *, later: int = 0) -> Piece:
    notes = piece.notes.copy()
    notes["pitch"] += semitones
    notes["onset"] += later
    return replace(piece, notes=notes)


@pytest.mark.parametrize("semitones", [0, 5, -4])
def test_notes_that_were_copied_are_found_whole(semitones: int) -> None:
    piece = transposed(SONGS["song 6"], semitones)

    together, melody = found(Corpus.build(SONGS).longest(piece))

    assert (together.notes, together.source_key, together.transposed_by) == (len(piece.notes), "song 6", semitones)
    assert melody.notes == len(np.unique(piece.notes["onset"]))
    assert together.at_bar == together.source_bar == 1


def test_notes_that_are_played_a_little_unevenly_are_the_same() -> None:
    piece = SONGS["song 2"]
    notes = piece.notes.copy()
    notes["onset"] += np.random.default_rng(0).integers(-TICKS // 60, TICKS // 60, len(notes)) * (notes["onset"] > 0)

    together, _ = found(Corpus.build(SONGS).longest(replace(piece, notes=notes)))

    assert together.source_key == "song 2"


def test_a_passage_of_notes_is_found_where_it_is() -> None:
    piece = transposed(SONGS["song 1"], 1, later=8 * TICKS)

    together, _ = found(Corpus.build(SONGS).longest(piece))

    assert (together.source_bar, together.source_key) == (1, "song 1")
    assert together.at_quarter == pytest.approx(8 + int(SONGS["song 1"].notes["onset"][0]) / TICKS)
    assert together.at_bar == 3


def test_other_notes_are_no_copy() -> None:
    together = Corpus.build(SONGS).longest(made.song(50)).together

    assert together is None or together.notes < 12


def test_drums_are_not_searched() -> None:
    drums = replace(made.changing(), notes=made.changing().notes[made.changing().notes["voice"] == 1])

    assert Corpus.build({"drums": drums}).longest(drums) == (None, None)


def test_a_piece_without_notes_has_no_passage() -> None:
    empty = Piece("", np.zeros(0, NOTE), made.CHOIR)

    assert Corpus.build({"empty": empty, **SONGS}).longest(empty) == (None, None)


def test_the_same_question_has_the_same_answer() -> None:
    one, other = (Corpus.build(TRAINING).longest(made.wandering(98)) for _ in range(2))

    assert one == other
