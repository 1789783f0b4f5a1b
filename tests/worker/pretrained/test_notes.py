"""Our note creation finds the authors' notes, and keeps what it promises of them."""

import ast
from functools import cache
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import librosa
import numpy as np
import pytest
import scipy
from scipy.ndimage import uniform_filter1d

from worker.pretrained import notes
from worker.pretrained.notes import AUTHORS, Note, Posteriors, Thresholds

FRAME_S = 256 / 22_050


@cache
def authors() -> SimpleNamespace:
    """The authors' functions, which only tests run.

    They are taken out of their file: the module as a whole imports packages that nothing here needs.
    """
    file = metadata.distribution("basic-pitch").locate_file("basic_pitch/note_creation.py")
    tree = ast.parse(Path(str(file)).read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    wanted = [node for node in functions if node.name in AUTHORS_FUNCTIONS]
    for node in wanted:
        node.returns = None
        for argument in node.args.args:
            argument.annotation = None
        # Annotations of variables name types that are not imported here.
        node.body = [_without_annotation(line) for line in node.body]
    names = {"np": np, "scipy": scipy, "librosa": librosa, **CONSTANTS}
    exec(compile(ast.fix_missing_locations(ast.Module(wanted, [])), str(file), "exec"), names)
    return SimpleNamespace(**{name: names[name] for name in AUTHORS_FUNCTIONS})


AUTHORS_FUNCTIONS = (
    "output_to_notes_polyphonic", "get_infered_onsets", "constrain_frequency", "model_frames_to_time",
)  # fmt: skip
CONSTANTS = {
    "MIDI_OFFSET": 21, "MAX_FREQ_IDX": 87, "AUDIO_SAMPLE_RATE": 22050, "AUDIO_N_SAMPLES": 43844, "ANNOT_N_FRAMES": 172,
    "FFT_HOP": 256, "Optional": {None: None, list[int]: None}, "List": list,
}  # fmt: skip


def _without_annotation(line: ast.stmt) -> ast.stmt:
    if isinstance(line, ast.For):
        line.body = [_without_annotation(each) for each in line.body]
    if isinstance(line, ast.AnnAssign) and line.value is not None:
        return ast.copy_location(ast.Assign([line.target], line.value), line)
    return line


def theirs(posteriors: Posteriors, thresholds: Thresholds) -> list[Note]:
    """Notes by the authors' functions. Their upper limit excludes the key that it names, ours does not."""
    lowest = float(librosa.midi_to_hz(thresholds.lowest_pitch))
    above = float(librosa.midi_to_hz(thresholds.highest_pitch + 1))
    events = authors().output_to_notes_polyphonic(
        posteriors.note.copy(), posteriors.onset.copy(), thresholds.onset_threshold, thresholds.frame_threshold,
        thresholds.shortest, True, above, lowest,
    )  # fmt: skip
    times = authors().model_frames_to_time(len(posteriors.note))
    found = [
        Note(times[start], times[end], int(pitch), max(round(127 * mean), 1), float(mean))
        for start, end, pitch, mean in events
    ]
    return sorted(found)


def posteriors(seed: int, *, frames: int = 400, smooth: int = 15, steps: int = 0) -> Posteriors:
    """Random posteriors; smoothed in time they have long notes, in steps they have equal values."""
    random = np.random.default_rng(seed)

    def made(width: int, frames_a_value: int) -> np.ndarray:
        values = random.random((frames, width))
        if frames_a_value > 1:
            values = uniform_filter1d(values, frames_a_value, axis=0) * 1.6 - 0.35
        values = np.clip(values, 0, 1)
        return (np.round(values * steps) / steps if steps else values).astype(np.float32)

    return Posteriors(made(88, 3), made(88, smooth), made(264, 5))


def struck(*keys: tuple[int, int, int], frames: int = 300, sure: float = 0.9) -> Posteriors:
    """Posteriors of which each (start, end, key) is one clear note."""
    onset, note = np.zeros((frames, 88), np.float32), np.zeros((frames, 88), np.float32)
    for start, end, key in keys:
        onset[start, key], note[start:end, key] = sure, sure
    return Posteriors(onset, note, np.zeros((frames, 264), np.float32))


def assert_alike(ours: list[Note], expected: list[Note]) -> None:
    assert [note.pitch for note in ours] == [note.pitch for note in expected]
    for place, tolerance in ((0, 1e-6), (1, 1e-6), (3, 1), (4, 2e-6)):
        # Where a mean lies between two velocities, the last bit of a sum decides.
        ours_there, theirs_there = [note[place] for note in ours], [note[place] for note in expected]
        assert ours_there == pytest.approx(theirs_there, abs=tolerance, rel=0)


@pytest.mark.parametrize("smooth", [1, 5, 15, 31])
@pytest.mark.parametrize("steps", [0, 10])
def test_the_notes_are_the_authors(smooth: int, steps: int) -> None:
    for seed in range(3):
        made = posteriors(seed, smooth=smooth, steps=steps)

        ours = notes.create(made)

        assert len(ours) > 20
        assert_alike(ours, theirs(made, AUTHORS))


@pytest.mark.parametrize(
    "thresholds",
    [
        Thresholds(onset_threshold=0.2, frame_threshold=0.2, minimum_note_ms=35),
        Thresholds(onset_threshold=0.8, frame_threshold=0.5, minimum_note_ms=290),
        Thresholds(lowest_pitch=40, highest_pitch=70),
        Thresholds(lowest_pitch=108),
        Thresholds(highest_pitch=21),
    ],
)
def test_other_thresholds_make_the_authors_notes_too(thresholds: Thresholds) -> None:
    made = posteriors(7)

    ours = notes.create(made, thresholds)

    assert ours
    assert_alike(ours, theirs(made, thresholds))
    assert {note.pitch for note in ours} <= set(range(thresholds.lowest_pitch, thresholds.highest_pitch + 1))


def test_silence_has_no_notes() -> None:
    silent = Posteriors(*(np.zeros((500, width), np.float32) for width in (88, 88, 264)))

    assert notes.create(silent) == []
    assert notes.create(Posteriors(*(each[:0] for each in silent))) == []
    assert notes.create(Posteriors(*(each[:2] for each in silent))) == []


def test_two_struck_notes_are_found_where_they_are() -> None:
    found = notes.create(struck((50, 100, 39), (150, 220, 51)))

    times = notes.frame_times(300)
    assert [(note.pitch, note.velocity) for note in found] == [(60, 114), (72, 114)]
    assert [note.onset_s for note in found] == pytest.approx([times[50], times[150]], abs=1e-6)
    assert [note.offset_s for note in found] == pytest.approx([times[100], times[220]], abs=1e-6)


def test_a_note_without_an_onset_is_found_around_its_maximum() -> None:
    swelling = struck(frames=300)
    swelling.note[50:150, 39] = np.sin(np.linspace(0, np.pi, 100)) * 0.8

    (found,) = notes.create(swelling)

    assert found.pitch == 60
    assert notes.frame_times(300)[50] < found.onset_s < found.offset_s < notes.frame_times(300)[150]


def test_a_short_gap_is_bridged_and_a_long_one_is_not() -> None:
    bridged, parted = struck((50, 200, 39)), struck((50, 200, 39))
    bridged.note[120:130, 39] = 0
    parted.note[120:132, 39] = 0
    # The rise after the gap would be an onset of its own; a surer one elsewhere makes it count less.
    for made in (bridged, parted):
        made.onset[:, 39] = 0
        made.onset[50, 39] = 0.9

    assert [note.pitch for note in notes.create(bridged, Thresholds(onset_threshold=0.95))] == [60]
    assert [note.pitch for note in notes.create(parted, Thresholds(onset_threshold=0.95))] == [60, 60]


def test_a_note_must_outlast_the_minimum() -> None:
    lasting = [struck((50, 50 + frames, 39)) for frames in (11, 12)]

    assert [len(notes.create(made)) for made in lasting] == [0, 1]
    assert [Thresholds(minimum_note_ms=frames * FRAME_S * 1000).shortest for frames in (1, 5, 11)] == [1, 5, 11]


def test_what_leaks_into_the_keys_beside_a_note_is_no_note() -> None:
    made = struck((50, 200, 39))
    made.note[50:200, 38] = made.note[50:200, 40] = 0.4

    assert [note.pitch for note in notes.create(made)] == [60]


# The authors' minimum, the service's, and the least that a client may set.
@pytest.mark.parametrize("minimum_note_ms", [127.7, 81, 30, 11])
@pytest.mark.parametrize("smooth", [1, 15])
def test_notes_of_one_pitch_never_overlap_and_all_are_in_bounds(smooth: int, minimum_note_ms: float) -> None:
    thresholds = Thresholds(minimum_note_ms=minimum_note_ms)

    found = notes.create(posteriors(3, frames=2000, smooth=smooth), thresholds)

    ends: dict[int, float] = {}
    for note in found:
        assert 0 <= ends.get(note.pitch, 0) <= note.onset_s < note.offset_s <= 2000 * FRAME_S
        assert 21 <= note.pitch <= 108 and 1 <= note.velocity <= 127 and 0 < note.amplitude <= 1
        ends[note.pitch] = note.offset_s
    # So dense noise has a bounded number of them.
    assert 1000 < len(found) <= 88 * 2000 / thresholds.shortest


@pytest.mark.parametrize("minimum_note_ms", [127.7, 81, 30, 11])
def test_nor_do_they_where_a_recording_ends(minimum_note_ms: float) -> None:
    thresholds = Thresholds(minimum_note_ms=minimum_note_ms)
    ends = [posteriors(seed, frames=30) for seed in range(60)]

    found = [sorted(notes.create(end, thresholds), key=lambda note: (note.pitch, note.onset_s)) for end in ends]

    assert sum(map(len, found)) > 1000
    pairs = [pair for each in found for pair in pairwise(each)]
    assert [pair for pair in pairs if pair[0].pitch == pair[1].pitch and pair[0].offset_s > pair[1].onset_s] == []
    assert all(note.offset_s - note.onset_s > thresholds.shortest * FRAME_S for each in found for note in each)


def test_the_posteriors_are_left_as_they_were() -> None:
    made = posteriors(5)
    before = [each.copy() for each in made]

    notes.create(made, Thresholds(lowest_pitch=50, highest_pitch=60))

    assert all(np.array_equal(each, kept) for each, kept in zip(made, before, strict=True))


def test_what_is_remembered_is_what_was_found() -> None:
    found = notes.create(posteriors(2))

    assert notes.parse(notes.dump(found)) == found
    assert all(type(note) is Note and type(note.pitch) is int for note in notes.parse(notes.dump(found)))


def test_notes_made_with_other_thresholds_have_another_name() -> None:
    chosen = [
        AUTHORS, Thresholds(onset_threshold=0.50000001), Thresholds(frame_threshold=0.31), Thresholds(lowest_pitch=22),
        Thresholds(highest_pitch=107), Thresholds(minimum_note_ms=127.8),
    ]  # fmt: skip

    assert len({notes.name_of(each) for each in chosen}) == len(chosen)
    assert notes.name_of(Thresholds()) == notes.name_of(AUTHORS)


def test_frames_have_the_authors_times() -> None:
    ours = notes.frame_times(10_000)

    assert ours == pytest.approx(authors().model_frames_to_time(10_000), abs=1e-9)
    assert (np.diff(ours) > 0).all()
