"""What is known of a track: remembered from before, else by decoding it and asking the networks.

Decoding happens in children of their own, the networks run in threads here, and the main thread keeps the order.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save
from sqlalchemy import Row

from shared.audio_params import EMBEDDING_NETWORKS, Precision
from shared.features import Feature
from worker import extractors, hearing, neighbours
from worker.audio.mel import BANDS
from worker.desk import Desk
from worker.extractors import EAR, MEL, MUSIC
from worker.heard import Heard, Wants, Windows
from worker.listening import Answer
from worker.pretrained import basic_pitch, musicnn
from worker.pretrained import notes as note_creation
from worker.pretrained.notes import Note
from worker.recordings import Track

Json = dict[str, Any]

# Looked up together.
TRACKS_AT_ONCE = 128
WAVE_HZ = 22_050
# Each runs the networks on a track of its own, on one core.
THREADS = musicnn.THREADS
# While it waits for them the main thread looks this often whether it shall leave.
LOOK_S = 0.5


def perceive(
    desk: Desk,
    tracks: Sequence[Track],
    uploads: Mapping[str, Row[Any]],
    wants: Wants,
    progress: Callable[[int], None] | None = None,
) -> Generator[Heard, None, None]:
    """Everything that is wanted of each track, in order; what was new is remembered. Close it when you leave early.

    `progress(tracks_done)` takes the place of the desk's own report, and may raise.
    """
    done, hours = 0, 0.0
    with closing(_Networks()) as networks:
        for start in range(0, len(tracks), TRACKS_AT_ONCE):
            for heard in _Chunk(desk, tracks[start : start + TRACKS_AT_ONCE], uploads, wants, networks).run():
                done, hours = done + 1, hours + (heard.track.duration_s or 0.0) / 3600
                if progress is None:
                    desk.report_tracks(done, len(tracks), hours=hours)
                else:
                    progress(done)
                yield heard
    desk.learn_all()


def means(
    desk: Desk, tracks: Sequence[Track], uploads: Mapping[str, Row[Any]], precision: Precision
) -> Generator[tuple[Track, np.ndarray], None, None]:
    """The mean embedding, 400 numbers, of each track that can be heard; of those known before from SQL alone."""
    names = [extractors.tagger(name, precision) for name in EMBEDDING_NETWORKS]
    wants = Wants(taggers=EMBEDDING_NETWORKS, precision=precision)
    usable = [track for track in tracks if track.fault is None]
    done = 0
    for start in range(0, len(usable), TRACKS_AT_ONCE):
        chunk = usable[start : start + TRACKS_AT_ONCE]
        contents = [track.content for track in chunk]
        known = [desk.known(name, contents) for name in names]
        missing = [track for track in chunk if not all(track.content in each for each in known)]
        with closing(perceive(desk, missing, uploads, wants, lambda _: desk.check())) as heard:
            deque(heard, maxlen=0)
        if missing:
            known = [desk.known(name, contents) for name in names]
        for track in chunk:
            if all(track.content in each for each in known):
                halves = [neighbours.from_text(each[track.content].data["mean"]) for each in known]
                yield track, np.concatenate(halves)
        done += len(chunk)
        desk.report_tracks(done, len(usable), hours=0.0)


class _Networks:
    """Threads that run them; once closed, a track under way is left at its next network, and nobody waits for that."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(THREADS, thread_name_prefix="listener")
        self.is_closed = threading.Event()

    def close(self) -> None:
        self.is_closed.set()
        self.pool.shutdown(wait=False, cancel_futures=True)


class _Chunk:
    """Some tracks under way."""

    def __init__(
        self,
        desk: Desk,
        tracks: Sequence[Track],
        uploads: Mapping[str, Row[Any]],
        wants: Wants,
        networks: _Networks,
    ) -> None:
        self.desk, self.tracks, self.uploads, self.wants, self.networks = desk, tracks, uploads, wants, networks
        self.wanted: dict[int, Json] = {}
        # What the chunk before has found out is looked up with the rest.
        desk.learn_all()
        contents = [track.content for track in tracks if track.fault is None]
        self.known = {name: desk.known(name, contents) for name in [EAR, *wants.extractors()]}

    def run(self) -> Iterator[Heard]:
        missing = [track for track in self.tracks if track.fault is None and self._lacks(track)]
        # The same recording twice is heard once.
        first = {track.content: track for track in reversed(missing)}
        answers = self._answers([track for track in missing if first[track.content] is track])
        fresh: dict[str, _New | Answer] = {}
        left = Counter(track.content for track in missing)
        for track in self.tracks:
            if track.fault is not None:
                yield Heard(track, fault=(track.fault, track.reason or ""))
                continue
            if first.get(track.content) is track:
                fresh[track.content] = next(answers)
                self._remember(track, fresh[track.content])
            left[track.content] -= 1
            new = fresh.get(track.content) if left[track.content] > 0 else fresh.pop(track.content, None)
            yield self._recall(track, new)

    def _lacks(self, track: Track) -> list[str]:
        return [name for name in self.wants.extractors() if track.content not in self.known[name]]

    def _answers(self, missing: Sequence[Track]) -> Iterator["_New | Answer"]:
        """What the networks say of the tracks that are new, in their order, some tracks ahead."""
        under_way: deque[Future[_New | Answer]] = deque()
        with closing(hearing.hear(self.desk, missing, self.uploads, self._request)) as answers:
            for track, answer in answers:
                want = self.wanted.pop(track.number)
                under_way.append(self.networks.pool.submit(self._understand, track, answer, want))
                if len(under_way) > THREADS:
                    yield self._result(under_way.popleft())
            while under_way:
                yield self._result(under_way.popleft())

    def _result(self, future: Future["_New | Answer"]) -> "_New | Answer":
        while not wait([future], LOOK_S).done:
            self.desk.check()
        return future.result()

    def _request(self, track: Track) -> Json:
        lacking = self._lacks(track)
        want: Json = {}
        if MEL in lacking or any(self.wants.tagger(name) in lacking for name in self.wants.taggers):
            want["mel"] = str(self._file(track, "mel"))
        if self.wants.notes is not None and self.wants.note_name() in lacking:
            want["wave"] = {str(WAVE_HZ): str(self._file(track, "wave"))}
        if MUSIC in lacking:
            want["music"] = None
        self.wanted[track.number] = want
        return want

    def _file(self, track: Track, what: str) -> Path:
        return self.desk.scratch / f"{what}-{track.number}.f32"

    def _understand(self, track: Track, answer: Answer, want: Json) -> "_New | Answer":
        """Run the networks on what was decoded: in a thread of the pool."""
        paths = [Path(path) for path in [want.get("mel"), *want.get("wave", {}).values()] if path is not None]
        try:
            return answer if answer.heard is None else self._run_networks(track, answer.heard, want)
        finally:
            # A child that dies late has written them, too.
            for path in paths:
                path.unlink(missing_ok=True)

    def _run_networks(self, track: Track, heard: Json, want: Json) -> "_New":
        new = _New()
        if "mel" in want:
            mel = np.fromfile(want["mel"], "<f4").reshape(-1, BANDS)
            windows = musicnn.windows(mel)
            if self.wants.mel and track.content not in self.known[MEL]:
                new.mel = mel.astype(np.float16)
            for name in self.wants.taggers:
                if track.content not in self.known[self.wants.tagger(name)] and not self.networks.is_closed.is_set():
                    tags, embedding = musicnn.load(name, precision=self.wants.precision).run(windows)
                    new.windows[name] = Windows(tags, embedding)
        if "wave" in want and not self.networks.is_closed.is_set():
            (path,) = want["wave"].values()
            posteriors = basic_pitch.load().run(np.fromfile(path, "<f4"))
            assert self.wants.notes is not None
            new.notes = note_creation.create(posteriors, self.wants.notes)
        if "music" in want:
            new.music = heard["music"]
        return new

    def _remember(self, track: Track, new: "_New | Answer") -> None:
        if isinstance(new, Answer):
            return
        for name, windows in new.windows.items():
            content = save({"tags": windows.tags, "embedding": windows.embedding})
            # So that a question about neighbours is answered from SQL alone.
            mean = neighbours.as_text(windows.embedding.mean(axis=0))
            self._learn(track, self.wants.tagger(name), content, {"windows": len(windows.tags), "mean": mean})
        if new.mel is not None:
            self._learn(track, MEL, save({"mel": new.mel}), {"frames": len(new.mel)})
        if new.notes is not None:
            self._learn(track, self.wants.note_name(), note_creation.dump(new.notes), {"notes": len(new.notes)})
        if new.music is not None:
            self.desk.learn(Feature(track.content, MUSIC, data=new.music))

    def _learn(self, track: Track, extractor: str, content: bytes, data: Json) -> None:
        file = self.desk.put_feature(f"{track.number:06d}-{extractor.replace(':', '-')}", content)
        self.desk.learn(Feature(track.content, extractor, data, file))

    def _recall(self, track: Track, new: "_New | Answer | None") -> Heard:
        """Put together what was known and what is new."""
        if isinstance(new, Answer):
            assert new.fault is not None
            return Heard(track, fault=(new.fault.code or "audio_corrupt", new.fault.message))
        fresh = new or _New()
        windows = {name: fresh.windows.get(name) or self._windows(track, name) for name in self.wants.taggers}
        music, notes = fresh.music, fresh.notes
        if self.wants.music and music is None:
            music = self.known[MUSIC][track.content].data
        if self.wants.notes is not None and notes is None:
            notes = note_creation.parse(self._fetch(self.known[self.wants.note_name()][track.content]))
        mel = fresh.mel
        if self.wants.mel and mel is None:
            mel = load(self._fetch(self.known[MEL][track.content]))["mel"]
        ear = self.known[EAR].get(track.content)
        return Heard(track, {} if ear is None else ear.data, windows, mel, music, notes)

    def _windows(self, track: Track, name: str) -> Windows:
        arrays = load(self._fetch(self.known[self.wants.tagger(name)][track.content]))
        return Windows(arrays["tags"], arrays["embedding"])

    def _fetch(self, row: Row[Any]) -> bytes:
        return self.desk.get(row.key, sha256=row.sha256)


@dataclass
class _New:
    """What was computed just now."""

    windows: dict[str, Windows] = field(default_factory=dict)
    mel: np.ndarray | None = None
    music: Json | None = None
    notes: list[Note] | None = None
