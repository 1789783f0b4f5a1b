"""A recording is found again whatever it was encoded with; other pieces of the same synthesiser are not it."""

import base64
import functools
import io
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
import soundfile
import soxr

from worker.audio import fingerprint

RATE_HZ = 16_000
SECONDS = 20
PIECES = 60
SCALE = np.array([0, 2, 4, 5, 7, 9, 11])


class Track:
    """A waveform that gives itself at any rate."""

    def __init__(self, waveform: np.ndarray, rate_hz: int = RATE_HZ) -> None:
        self.waveform, self.rate_hz = waveform.astype(np.float32), rate_hz

    def mono(self, rate_hz: int, /) -> np.ndarray:
        return np.asarray(soxr.resample(self.waveform, self.rate_hz, rate_hz), np.float32)


def heard(waveform: np.ndarray, rate_hz: int = RATE_HZ) -> str:
    return str(fingerprint.hear(Track(waveform, rate_hz), None)["hash"])


def likenesses(*fingerprints: str) -> dict[tuple[int, int], float]:
    names = [f"{place:05}" for place in range(len(fingerprints))]
    return {(pair.first, pair.second): pair.likeness for pair in fingerprint.pairs(fingerprints, names=names)}


@functools.cache
def piece(seed: int, *, band: int | None = None) -> np.ndarray:
    """20 s of chords, a melody, a bass, drums and hiss; pieces of one band share tempo, timbres and drums."""
    random, players = np.random.default_rng(seed), np.random.default_rng([7, seed if band is None else band])
    beat_s, drums = 60 / players.uniform(70, 160), players.integers(3)
    partials = players.dirichlet(np.ones(6), size=3)
    sound = np.zeros(SECONDS * RATE_HZ)
    root, degree = 48 + random.integers(12), 0
    for beat in range(int(SECONDS / beat_s)):
        start_s = beat * beat_s
        if beat % 4 == 0:
            chord = root + SCALE[(random.integers(7) + np.array([0, 2, 4])) % 7]
            play(sound, chord, start_s, 4 * beat_s, partials[0], 0.1)
            play(sound, chord[:1] - 12, start_s, 2 * beat_s, partials[1], 0.2)
        for half in range(random.integers(3)):
            degree = np.clip(degree + random.integers(-3, 4), -5, 9)
            pitch = root + 12 + 12 * (degree // 7) + SCALE[degree % 7]
            play(sound, np.array([pitch]), start_s + half * beat_s / 2, beat_s / 2, partials[2], 0.25)
        drum(sound, start_s, beat_s, drums)
    return (sound + random.normal(size=len(sound)) * 0.002).astype(np.float32)


def play(sound: np.ndarray, pitches: np.ndarray, at_s: float, length_s: float, partials: np.ndarray, level: float):
    start = int(at_s * RATE_HZ)
    times = np.arange(min(int(length_s * RATE_HZ), len(sound) - start)) / RATE_HZ
    envelope = np.minimum(1, times / 0.01) * np.exp(-1.5 * times / length_s) * level
    for hz in 440 * 2 ** ((pitches - 69) / 12):
        for number, weight in enumerate(partials, 1):
            sound[start : start + len(times)] += weight * envelope * np.sin(2 * np.pi * hz * number * times)


def drum(sound: np.ndarray, at_s: float, beat_s: float, pattern: int) -> None:
    samples = np.random.default_rng(pattern).normal(size=4000) * np.exp(-np.arange(4000) / 600) * 0.2
    for part in ((0.0,), (0.0, 0.5), (0.0, 0.25, 0.75))[pattern]:
        start = int((at_s + part * beat_s) * RATE_HZ)
        end = min(len(sound), start + 4000)
        sound[start:end] += samples[: end - start]


def encoded(waveform: np.ndarray, rate_hz: int, **kind: object) -> tuple[np.ndarray, int]:
    """Through a codec and back, at a rate that the codec takes."""
    file = io.BytesIO()
    samples = soxr.resample(waveform, RATE_HZ, rate_hz)
    with soundfile.SoundFile(file, "w", rate_hz, 1, **kind) as writer:
        for at in range(0, len(samples), 65_536):
            writer.write(samples[at : at + 65_536])
    file.seek(0)
    return soundfile.read(file, dtype="float32")


def as_mp3(waveform: np.ndarray) -> tuple[np.ndarray, int]:
    # Level 0.8 is 96 kbit/s at 44.1 kHz.
    kind = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT", "compression_level": 0.8}
    return encoded(waveform, 44_100, **kind)


def as_faint_mp3(waveform: np.ndarray) -> tuple[np.ndarray, int]:
    # Level 0.9 is 64 kbit/s at 44.1 kHz.
    kind = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT", "compression_level": 0.9}
    return encoded(waveform * 0.25, 44_100, **kind)


def as_ogg(waveform: np.ndarray) -> tuple[np.ndarray, int]:
    return encoded(waveform, 44_100, format="OGG", subtype="VORBIS", compression_level=0.8)


def as_opus(waveform: np.ndarray) -> tuple[np.ndarray, int]:
    return encoded(waveform, 48_000, format="OGG", subtype="OPUS", compression_level=0.9)


def as_wav(waveform: np.ndarray) -> tuple[np.ndarray, int]:
    return encoded(waveform, 44_100, format="WAV", subtype="PCM_16")


def at_22_khz(waveform: np.ndarray) -> tuple[np.ndarray, int]:
    return soxr.resample(waveform, RATE_HZ, 22_050), 22_050


def half_as_loud(waveform: np.ndarray) -> tuple[np.ndarray, int]:
    return waveform * 0.5, RATE_HZ


def cut_at_the_start(waveform: np.ndarray) -> tuple[np.ndarray, int]:
    return waveform[int(2.7 * RATE_HZ) :], RATE_HZ


def cut_at_the_end(waveform: np.ndarray) -> tuple[np.ndarray, int]:
    return waveform[: -int(2.7 * RATE_HZ)], RATE_HZ


def cut_between_two_words(waveform: np.ndarray) -> tuple[np.ndarray, int]:
    return waveform[17 * fingerprint.HOP + fingerprint.HOP // 2 :], RATE_HZ


def cut_and_mp3(waveform: np.ndarray) -> tuple[np.ndarray, int]:
    samples, rate_hz = as_mp3(waveform)
    return samples[int(3.33 * rate_hz) :], rate_hz


@functools.cache
def others() -> tuple[str, ...]:
    return tuple(heard(piece(seed)) for seed in range(PIECES))


@pytest.mark.parametrize(
    "version",
    [
        as_wav, as_mp3, as_faint_mp3, as_ogg, as_opus, at_22_khz, half_as_loud,
        cut_at_the_start, cut_at_the_end, cut_between_two_words, cut_and_mp3,
    ],
    ids=lambda version: version.__name__,
)  # fmt: skip
@pytest.mark.parametrize("seed", [3, 21, 40])
def test_a_recording_is_found_again(seed: int, version: Callable[[np.ndarray], tuple[np.ndarray, int]]) -> None:
    found = likenesses(*others(), heard(*version(piece(seed))))

    assert list(found) == [(seed, PIECES)]
    assert found[seed, PIECES] > 0.7  # 15 % of the bits, where 22 % would do


def test_different_pieces_are_no_pairs() -> None:
    assert likenesses(*others()) == {}


def test_other_pieces_of_the_same_band_are_no_pairs() -> None:
    assert likenesses(*(heard(piece(seed, band=1)) for seed in range(100, 124))) == {}


def test_different_pieces_are_nowhere_near() -> None:
    tracks = [fingerprint._decode(text) for text in others()[:20]]

    errors = [
        fingerprint._errors(one, other, distance, enough=48)
        for place, one in enumerate(tracks)
        for other in tracks[:place]
        for distance in range(-66, 67)
    ]

    assert min(errors) > fingerprint.MOST_ERRORS + 0.1


@pytest.mark.parametrize(
    "waveform",
    [
        np.zeros(SECONDS * RATE_HZ),
        np.full(SECONDS * RATE_HZ, 0.3),
        np.random.default_rng(0).normal(size=SECONDS * RATE_HZ) * 1e-4,
        np.sin(2 * np.pi * 440 * np.arange(SECONDS * RATE_HZ) / RATE_HZ),
        piece(0)[: int(1.8 * RATE_HZ)],
        np.zeros(0),
    ],
    ids=["silence", "a constant", "the noise of a converter", "a steady tone", "1.8 s", "nothing"],
)
def test_what_says_nothing_is_like_nothing(waveform: np.ndarray) -> None:
    text = heard(waveform)

    assert not np.any(fingerprint._decode(text))
    assert likenesses(text, text, heard(piece(0))) == {}


def test_silence_between_sounds_is_not_compared() -> None:
    hiss = np.random.default_rng(0).normal(size=40 * RATE_HZ) * 1e-5
    one, other = (np.concatenate([piece(seed)[: 5 * RATE_HZ], hiss]) for seed in (1, 2))

    assert np.count_nonzero(fingerprint._decode(heard(one))) < 45
    assert likenesses(heard(one), heard(other)) == {}


def test_what_follows_the_two_minutes_does_not_make_silence_sound() -> None:
    hiss = np.random.default_rng(0).normal(size=130 * RATE_HZ) * 1e-4
    loud = piece(1)

    assert heard(np.concatenate([hiss, loud])) == heard(hiss) == ""


def test_a_fingerprint_is_of_two_minutes_and_less_than_four_kilobytes() -> None:
    noise = np.random.default_rng(0).normal(size=300 * RATE_HZ) * 0.1

    text = heard(noise)

    assert text == heard(noise[: 121 * RATE_HZ])
    assert 4000 < len(text) < 4096


def test_the_order_of_the_tracks_does_not_matter() -> None:
    fingerprints = [*others(), heard(*as_ogg(piece(5))), heard(*cut_at_the_start(piece(5))), heard(*as_mp3(piece(9)))]
    names = [f"{place * 7919 % 100:02}.wav" for place in range(len(fingerprints))]
    order = np.random.default_rng(0).permutation(len(fingerprints))

    found = fingerprint.pairs(fingerprints, names=names)
    again = fingerprint.pairs([fingerprints[at] for at in order], names=[names[at] for at in order])

    assert len(found) == 4
    assert [(order[pair.first], order[pair.second], pair.likeness) for pair in again] == [
        (pair.first, pair.second, pair.likeness) for pair in found
    ]
    assert all(names[pair.first] < names[pair.second] for pair in found)


def random_words(random: np.random.Generator, count: int) -> np.ndarray:
    return random.integers(1, 2**32, count, dtype=np.uint32)


def with_errors(words: np.ndarray, random: np.random.Generator, share: float) -> np.ndarray:
    flipped = np.packbits(random.random((len(words), 32)) < share, axis=1).view(">u4")[:, 0]
    return np.asarray(words ^ flipped.astype(np.uint32))


def text_of(words: np.ndarray) -> str:
    return base64.b64encode(words.astype(">u4").tobytes()).decode()


def test_every_copy_among_thousands_is_found() -> None:
    random = np.random.default_rng(0)
    originals = [random_words(random, 700) for _ in range(2000)]
    copies = [with_errors(words[place % 50 :], random, 0.12) for place, words in enumerate(originals[:100])]

    found = likenesses(*map(text_of, originals + copies))

    assert sorted(found) == [(place, 2000 + place) for place in range(100)]
    assert np.mean(list(found.values())) == pytest.approx(1 - 2 * 0.12, abs=0.01)


@pytest.mark.parametrize(("tracks", "entries"), [(1, 1000), (7, 64), (64, 5000)])
def test_in_blocks_the_pairs_are_the_same(monkeypatch: pytest.MonkeyPatch, tracks: int, entries: int) -> None:
    random = np.random.default_rng(0)
    # Few words, so that many tracks share them and some tracks repeat them.
    several = [random.integers(0, 3000, random.integers(300), dtype=np.uint32) * 2_654_435 for _ in range(100)]
    copies = [with_errors(words[place % 20 :], random, 0.1) for place, words in enumerate(several)]
    texts = [text_of(words) for words in several + copies]
    whole = likenesses(*texts)

    monkeypatch.setattr(fingerprint, "TRACKS_AT_ONCE", tracks, raising=False)
    monkeypatch.setattr(fingerprint, "ENTRIES_AT_ONCE", entries, raising=False)

    assert len(whole) > 50
    assert list(likenesses(*texts).items()) == list(whole.items())


def test_memory_is_that_of_the_words_and_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    texts = [text_of(random_words(random, 760)) for _ in range(2000)]
    monkeypatch.setattr(fingerprint, "TRACKS_AT_ONCE", 200, raising=False)
    monkeypatch.setattr(fingerprint, "ENTRIES_AT_ONCE", 10_000, raising=False)

    tracemalloc.start()
    likenesses(*texts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    # A word has 4 bytes and its entry 8; all votes at once took 40.
    assert peak < 20 * 760 * 2000


def test_who_waits_for_the_pairs_may_end_it() -> None:
    class EndedError(Exception):
        pass

    def end() -> None:
        raise EndedError

    with pytest.raises(EndedError):
        fingerprint.pairs(others()[:2], names=["a", "b"], check=end)


@pytest.mark.parametrize(("share", "is_found"), [(0.2, True), (0.25, False)])
def test_what_differs_by_more_than_22_percent_is_another_recording(share: float, is_found: bool) -> None:
    random = np.random.default_rng(0)
    words = random_words(random, 700)
    copy = with_errors(words, random, share)
    # Whole words in common make them candidates.
    copy[:10] = words[:10]

    assert bool(likenesses(text_of(words), text_of(copy))) == is_found


def test_the_distance_with_the_fewest_errors_counts() -> None:
    random = np.random.default_rng(0)
    one = random_words(random, 700)
    other = np.concatenate([random_words(random, 11), one])
    # Some words stand one place early as well, as when a recording is cut between two words.
    other[40:60:2] = one[30:50:2]

    assert likenesses(text_of(one), text_of(other))[0, 1] > 0.95


@pytest.mark.parametrize(("shared", "is_found"), [(340, False), (360, True)])
def test_half_of_the_shorter_track_must_be_shared(shared: int, is_found: bool) -> None:
    random = np.random.default_rng(0)
    one, other = random_words(random, 760), random_words(random, 700)
    other[-shared:] = one[:shared]

    assert bool(likenesses(text_of(one), text_of(other))) == is_found


def test_a_crowd_of_copies_is_one_chain() -> None:
    text = text_of(random_words(np.random.default_rng(0), 700))

    found = likenesses(*[text] * 40)

    assert {(place, place + 1) for place in range(39)} <= set(found)
    assert set(found.values()) == {1.0}
    assert len(found) <= 40 * fingerprint.NEIGHBOURS


def test_a_loop_is_found_in_its_cut_copy() -> None:
    bar = piece(12)[: 4 * RATE_HZ]
    loop = np.concatenate([np.tile(bar, 5), piece(13)[: 3 * RATE_HZ]])

    assert list(likenesses(heard(loop), heard(*cut_at_the_start(loop)))) == [(0, 1)]


def test_no_tracks_are_no_pairs() -> None:
    assert fingerprint.pairs([], names=[]) == []
    assert likenesses("", "") == {}
