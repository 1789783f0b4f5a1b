"""The ear: a file that crashes, hangs, eats or lies ends as a clear fault, and the next one is heard as ever."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

from shared import confinement
from shared.confinement import Bounds, Terms
from shared.containment import tier
from shared.containment.landlock import Reach
from shared.containment.tiers import LANDLOCK, NETWORK_NAMESPACE, SECCOMP
from tests.shared.containment import escaping
from tests.worker.audio import sounds
from worker.audio import ear, mel
from worker.audio.limits import AudioLimits, TrackBounds

ROOT = Path(__file__).parents[3]
MiB = 1024 * 1024
WAIT_AT_MOST_S = 120
LIMITS = AudioLimits()
BOUNDS = TrackBounds(wall_s=60.0)
RANDOM = np.random.default_rng(0)

Json = dict[str, Any]


def ask(path: Path, want: Json, *, id: int = 0, name: str | None = None, **excerpt: float) -> Json:
    span = {"start_s": excerpt.get("start_s"), "end_s": excerpt.get("end_s")}
    return {"id": id, "path": str(path), "name": name or path.name, "want": want, **span}


def hear_all(
    requests: Sequence[Json],
    *,
    limits: AudioLimits = LIMITS,
    bounds: TrackBounds = BOUNDS,
    parallel: int = 2,
    environment: Json | None = None,
    layers: Sequence[str] | None = None,
) -> tuple[dict[int, Json], str]:
    """The answers of one ear to requests, by id, and its complaints; it ends when all are answered."""
    layers = tuple(tier.measured().layers if layers is None else layers)
    own = Terms(Bounds(address_bytes=8 * 1024**3), layers, Reach(), forks=True).written()
    terms = {"parallel": parallel, "limits": asdict(limits), "bounds": asdict(bounds), "layers": layers}
    ended = subprocess.run(
        confinement.command("tests.worker.audio.odd_ear", own),
        input=own.decode() + "".join(json.dumps(line) + "\n" for line in [terms, *requests]),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WAIT_AT_MOST_S,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", **(environment or {})},
    )
    assert ended.returncode == 0, ended.stderr
    ready, *answers = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ready == {"ready": True}
    assert len(answers) == len(requests)
    return {answer["id"]: answer for answer in answers}, ended.stderr


def hear(request: Json, **rest: Any) -> Json:
    return hear_all([request], **rest)[0][request["id"]]


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sounds.make(tmp_path_factory.mktemp("songs") / "song.flac")


def test_all_that_is_wanted_of_a_recording_comes_in_one_answer(tmp_path: Path, song: Path) -> None:
    want = {
        "quality": True,
        "wave": {"16000": str(tmp_path / "a.f32"), "44100": str(tmp_path / "b.f32")},
        "mel": str(tmp_path / "a.mel"),
        "clip": {"path": str(tmp_path / "a.wav"), "start_s": 1.0, "end_s": 2.5},
        "odd": {"do": "chatter"},
    }

    heard = hear(ask(song, want, id=7))["heard"]

    assert {name: heard[name] for name in ("format", "rate_hz", "channels", "duration_s", "truncated")} == {
        "format": "flac", "rate_hz": 44_100, "channels": 2, "duration_s": 4.0, "truncated": False,
    }  # fmt: skip
    assert heard["quality"]["duration_s"] == 4.0 and heard["quality"]["flags"] == []
    assert heard["wave"] == {"16000": 64_000, "44100": 176_400}
    assert heard["mel"] == {"frames": 251} and heard["odd"] == {}
    samples = soundfile.read(song, dtype="float32")[0]
    mono = np.fromfile(tmp_path / "b.f32", "<f4")
    np.testing.assert_allclose(mono, samples.mean(axis=1), atol=1e-6)
    spectrogram = np.fromfile(tmp_path / "a.mel", "<f4").reshape(-1, 96)
    # An ear has one thread, and how many BLAS has may change a last bit.
    with threadpool_limits(1, user_api="blas"):
        expected = mel.log_mel(np.fromfile(tmp_path / "a.f32", "<f4"))
    np.testing.assert_array_equal(spectrogram, expected)
    assert np.array_equal(soundfile.read(tmp_path / "a.wav", dtype="float32")[0], samples[44_100:110_250])
    assert heard["clip"] == {"frames": 66_150, "channels": 2, "bytes": (tmp_path / "a.wav").stat().st_size}


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_a_clip_is_of_three_seconds_at_most_and_in_two_channels(tmp_path: Path, channels: int) -> None:
    song = sounds.make(tmp_path / "a.wav", channels=channels, seconds=5.0)
    clip = {"path": str(tmp_path / "clip.wav"), "start_s": 1.5, "end_s": 99.0}

    heard = hear(ask(song, {"clip": clip}, start_s=1.0))["heard"]

    assert heard["clip"]["frames"] == 3 * 44_100
    information = soundfile.info(clip["path"])
    assert (information.channels, information.subtype) == (channels if channels < 3 else 1, "PCM_16")
    samples = soundfile.read(song, dtype="float32", always_2d=True)[0][66_150 : 66_150 + 132_300]
    expected = samples if channels < 3 else samples.mean(axis=1, keepdims=True)
    clipped = soundfile.read(clip["path"], dtype="float32", always_2d=True)[0]
    np.testing.assert_allclose(clipped, expected, atol=2**-15)


def test_a_clip_behind_the_end_is_an_empty_one(tmp_path: Path, song: Path) -> None:
    clip = {"path": str(tmp_path / "clip.wav"), "start_s": 50.0, "end_s": 52.0}

    heard = hear(ask(song, {"clip": clip}))["heard"]

    assert heard["clip"] == {"frames": 0, "channels": 2, "bytes": 44}
    assert soundfile.info(clip["path"]).frames == 0


def test_an_excerpt_is_all_that_is_heard(tmp_path: Path, song: Path) -> None:
    want = {"quality": True, "wave": {"44100": str(tmp_path / "a.f32")}}

    heard = hear(ask(song, want, start_s=0.5, end_s=3.75))["heard"]

    assert heard["duration_s"] == heard["quality"]["duration_s"] == 3.25
    samples = soundfile.read(song, dtype="float32")[0][22_050:165_375]
    np.testing.assert_allclose(np.fromfile(tmp_path / "a.f32", "<f4"), samples.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("suffix", ["ogg", "opus"])
def test_the_speakers_of_ogg_have_the_weights_of_their_places(tmp_path: Path, suffix: str) -> None:
    tone = 0.1 * np.sin(2 * np.pi * 1000 * np.arange(2 * 48_000) / 48_000)
    requests = []
    # Front left, centre, front right, rear left, rear right and the subwoofer, where nothing is so high.
    for channel in range(5):
        samples = np.zeros((len(tone), 6), np.float32)
        samples[:, channel] = tone
        path = sounds.write(tmp_path / f"{channel}.{suffix}", samples, rate_hz=48_000)
        requests.append(ask(path, {"loudness": True}, id=channel))

    answers, _ = hear_all(requests)

    heard = [answers[channel]["heard"]["loudness"]["integrated_lufs"] for channel in range(5)]
    assert heard == pytest.approx([-23, -23, -23, -21.5, -21.5], abs=0.3)


def test_a_cut_file_is_flagged(tmp_path: Path) -> None:
    whole = sounds.make(tmp_path / "a.mp3", seconds=8.0).read_bytes()
    (tmp_path / "b.mp3").write_bytes(whole[: len(whole) // 2])

    heard = hear(ask(tmp_path / "b.mp3", {"quality": True}))["heard"]

    assert heard["truncated"]
    assert heard["quality"]["flags"] == ["truncated"]


def test_a_recording_is_decoded_once_for_all_who_hear_it(tmp_path: Path) -> None:
    song = sounds.make(tmp_path / "a.wav", seconds=20.0)
    want = {
        "quality": True,
        "wave": {"22050": str(tmp_path / "a.f32"), "44100": str(tmp_path / "b.f32")},
        "mel": str(tmp_path / "a.mel"),
        "odd": {"do": "count", "rate_hz": 22_050},
    }

    heard = hear(ask(song, want))["heard"]

    assert heard["odd"]["bytes"] == pytest.approx(song.stat().st_size, rel=0.1)


def test_what_several_hear_cannot_be_changed_by_one(tmp_path: Path, song: Path) -> None:
    want = {"wave": {"16000": str(tmp_path / "a.f32")}, "odd": {"do": "write"}}

    assert hear(ask(song, want))["heard"]["odd"] == {"changed": False}


def test_every_listener_of_the_register_is_there(song: Path, tmp_path: Path) -> None:
    arguments = {"mel": str(tmp_path / "a.mel")}

    heard = hear(ask(song, {name: arguments.get(name) for name in [*ear.STREAMS, *ear.LISTENERS]}))["heard"]

    assert {*ear.STREAMS, *ear.LISTENERS} <= heard.keys()


def test_a_child_has_its_limits_and_no_pipe_of_another(song: Path) -> None:
    bounds = TrackBounds(address_bytes=512 * MiB, cpu_s=50, file_bytes=MiB, open_files=20)

    told = hear(ask(song, {"odd": {"do": "tell"}}), bounds=bounds)["heard"]["odd"]

    assert told["limits"]["CPU"] == [50, 55]
    assert told["limits"]["FSIZE"] == [MiB] * 2
    assert told["limits"]["NOFILE"] == [20] * 2
    assert told["limits"]["CORE"] == [0, 0]
    assert told["limits"]["AS"][0] - 512 * MiB == pytest.approx(told["mapped"], abs=32 * MiB)
    assert told["no_new_privs"]
    # Three of its own, the answer, and the folder that the listing reads.
    assert set(told["open_files"]) <= {"0", "1", "2", "3", "4"} and told["input"] == "null"


@pytest.mark.hostile("H44")
@pytest.mark.parametrize(
    ("do", "bounds", "code"),
    [
        ({"do": "crash"}, {}, "decoder_crashed"),
        ({"do": "leave"}, {}, "decoder_crashed"),
        ({"do": "close_and_leave"}, {}, "decoder_crashed"),
        ({"do": "fail"}, {}, "decoder_crashed"),
        ({"do": "babble"}, {}, "decoder_crashed"),
        ({"do": "lie", "line": "[]\n"}, {}, "decoder_crashed"),
        ({"do": "lie", "line": '{"id": 99}\n'}, {}, "decoder_crashed"),
        ({"do": "lie", "line": '{"heard": {"a": 1e999}}\n'}, {}, "decoder_crashed"),
        ({"do": "lie", "line": '{"heard": NaN}\n'}, {}, "decoder_crashed"),
        ({"do": "lie", "line": '{"heard": {}, "fault": {}}\n'}, {}, "decoder_crashed"),
        ({"do": "lie", "line": '{"heard": {}}\n{"heard": {}}\n'}, {}, "decoder_crashed"),
        ({"do": "nest"}, {}, "decoder_crashed"),
        ({"do": "flood"}, {}, "decoder_crashed"),
        ({"do": "complain"}, {}, "decoder_crashed"),
        ({"do": "allocate"}, {"address_bytes": 256 * MiB}, "decoder_memory"),
        ({"do": "allocate_aside"}, {}, "decoder_memory"),
        ({"do": "kill"}, {}, "decoder_memory"),
        ({"do": "spin"}, {"cpu_s": 1}, "decoder_timeout"),
        ({"do": "spin"}, {"wall_s": 1.0}, "decoder_timeout"),
        ({"do": "wait"}, {"wall_s": 1.0}, "decoder_timeout"),
        ({"do": "close"}, {"wall_s": 1.0}, "decoder_timeout"),
    ],
)
def test_a_child_that_misbehaves_fails_its_track_and_no_other(
    song: Path, do: Json, bounds: dict[str, Any], code: str
) -> None:
    requests = [ask(song, {}, id=1), ask(song, {"odd": do}, id=2), ask(song, {}, id=3), ask(song, {}, id=4)]

    answers, _ = hear_all(requests, bounds=replace(BOUNDS, **bounds))

    assert answers[2]["fault"]["code"] == code
    assert answers[2]["fault"]["detail"].startswith("The recording")
    assert all(answers[id]["heard"]["duration_s"] == 4.0 for id in (1, 3, 4))


def test_a_child_that_writes_too_much_is_stopped(tmp_path: Path, song: Path) -> None:
    fill = {"do": "fill", "path": str(tmp_path / "file")}

    answer = hear(ask(song, {"odd": fill}), bounds=replace(BOUNDS, file_bytes=MiB))

    assert answer["fault"]["code"] == "decoder_crashed"
    assert (tmp_path / "file").stat().st_size <= MiB


def test_the_words_of_a_child_that_failed_are_for_whoever_runs_the_service(song: Path) -> None:
    answers, complaints = hear_all([ask(song, {"odd": {"do": "fail"}}, id=5)])

    assert "a fault of ours" not in json.dumps(answers)
    assert json.loads(complaints)["track"] == 5
    assert "ZeroDivisionError: a fault of ours" in json.loads(complaints)["complaints"]


def test_a_fork_that_was_taken_over_gets_out_by_no_way(tmp_path: Path, song: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    for name in ("secret", "log", "victim"):
        (outside / name).write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as near:
        told = {"inside": str(inside), "outside": str(outside), "port": near.getsockname()[1]}
        odd = {"do": "escape", "path": str(inside / "any"), **told}

        tried = hear(ask(song, {"odd": odd}))["heard"]["odd"]

        near.setblocking(False)
        if NETWORK_NAMESPACE in tier.measured().layers:
            with pytest.raises(BlockingIOError):
                near.accept()
    held = tier.measured().layers
    assert tried.keys() == escaping.ACTS.keys()
    assert {tried[name] for name in ("write_inside", "signal_itself")} == {"through"}
    if SECCOMP in held:
        refused = ("connect", "send_datagram", "run", "fork", "bomb", "signal_parent", "trace_parent", "make_namespace")
        assert "through" not in {tried[name] for name in refused}
    if LANDLOCK in held:
        refused = ("read", "list_folder", "write", "overwrite", "delete", "link", "read_parent")
        assert "through" not in {tried[name] for name in refused}


def hostile(folder: Path) -> list[tuple[str, bytes, str | None]]:
    """Names, contents and the codes of their faults; None for what is heard all the same."""
    flac, mp3, ogg = (sounds.make(folder / f"good.{suffix}").read_bytes() for suffix in ("flac", "mp3", "ogg"))
    samples = sounds.sound(channels=1)
    samples[70_000] = np.nan
    nan = sounds.write(folder / "good.wav", samples, subtype="FLOAT").read_bytes()
    return [
        ("frames.flac", sounds.claim_flac_frames(flac, 2**36 - 1), None),
        ("frames.mp3", sounds.claim_mp3_frames(mp3, 2**31 - 1), None),
        ("half.mp3", mp3[: len(mp3) // 2], None),
        ("half.flac", flac[: len(flac) // 2], None),
        ("half.ogg", ogg[: len(ogg) * 3 // 4], None),
        ("half.wav", sounds.wav(bytes(20_000), claimed=200_000), None),
        ("page.ogg", ogg[:5000], "audio_corrupt"),
        ("first.flac", flac[:100], "audio_corrupt"),
        ("channels.wav", sounds.wav(channels=1024), "audio_parameters"),
        ("none.wav", sounds.wav(channels=0), "audio_parameters"),
        ("bits.wav", sounds.wav(bits=0), "audio_parameters"),
        ("rate.wav", sounds.wav(rate_hz=2**31 - 1), "audio_parameters"),
        ("slow.wav", sounds.wav(rate_hz=1), "audio_parameters"),
        ("still.wav", sounds.wav(rate_hz=0), "audio_parameters"),
        ("ima.wav", sounds.wav(tag=0x11, bits=4, width=65_535, extra=b"\2\0\xff\xff"), "audio_codec_refused"),
        ("ms.wav", sounds.wav(tag=0x02, bits=4, width=65_535), "audio_codec_refused"),
        ("rf64.wav", sounds.wav(magic=b"RF64"), "audio_codec_refused"),
        ("au.wav", b".snd\0\0\0\x18\xff\xff\xff\xff" + bytes(100), "audio_codec_refused"),
        ("mat.wav", b"MATLAB 5.0 MAT-file" + bytes(200), "audio_codec_refused"),
        ("image.wav", b"\x89PNG\r\n\x1a\n" + bytes(100), "unsupported_format"),
        ("list.mp3", b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/a.ts\n", "unsupported_format"),
        ("empty.mp3", b"", "audio_empty"),
        ("tag.mp3", sounds.id3(2000, claimed=2**28 - 1), "audio_corrupt"),
        ("random.mp3", RANDOM.bytes(50_000), "audio_corrupt"),
        ("random.flac", flac[:42] + RANDOM.bytes(50_000), "audio_corrupt"),
        ("random.ogg", ogg[:58] + RANDOM.bytes(50_000), "audio_corrupt"),
        ("nan.wav", nan, "audio_not_finite"),
    ]


@pytest.mark.hostile("H39", "H41", "H42", "H43")
def test_every_hostile_file_has_its_fault_and_none_ends_the_ear(tmp_path: Path, song: Path) -> None:
    files = hostile(tmp_path)
    requests = [ask(song, {"quality": True}, id=-1)]
    for id, (name, content, _) in enumerate(files):
        (tmp_path / name).write_bytes(content)
        requests.append(ask(tmp_path / name, {"quality": True}, id=id))

    # So little that none of the lengths which are claimed could be allocated.
    answers, complaints = hear_all(
        [*requests, {**requests[0], "id": 99}], bounds=replace(BOUNDS, address_bytes=128 * MiB)
    )

    assert {files[id][0]: answers[id].get("fault", {}).get("code") for id in range(len(files))} == {
        name: code for name, _, code in files
    }
    heard = {files[id][0]: answers[id]["heard"] for id in range(len(files)) if "heard" in answers[id]}
    assert [name for name, what in heard.items() if not what["truncated"]] == ["frames.mp3"]
    assert all(what["duration_s"] < 4.1 for what in heard.values())
    assert answers[-1]["heard"] == answers[99]["heard"]
    assert complaints == ""


@pytest.mark.hostile("H40")
def test_an_hour_of_silence_in_a_megabyte_is_too_long_and_takes_no_memory(tmp_path: Path) -> None:
    path = sounds.hour_of_silence(tmp_path / "hour.flac")
    assert path.stat().st_size < 2 * MiB

    requests = [ask(path, {"quality": True}, id=1), ask(path, {"quality": True}, id=2, end_s=60.0)]
    answers, _ = hear_all(requests, bounds=replace(BOUNDS, address_bytes=64 * MiB))

    assert answers[1]["fault"]["code"] == "audio_too_long"
    assert answers[2]["heard"]["quality"]["flags"] == ["silent"]


def test_the_ear_imports_no_network_library_and_no_database() -> None:
    script = (
        "import json, sys, worker.audio.ear; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )

    said = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert {"numpy", "soundfile", "soxr"} <= set(json.loads(said.stdout))
    assert not {"tensorflow", "keras", "sqlalchemy", "celery", "redis", "obstore"} & set(json.loads(said.stdout))
