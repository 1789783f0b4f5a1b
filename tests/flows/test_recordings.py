"""Recordings over HTTP, as a client sends them: uploaded, judged, tagged, learned from, compared, explained, erased."""

import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import soundfile

from tests.flows.service import Service
from tests.worker import recorded

LIMIT_S = 240.0
BANDS = 6

Json = dict[str, Any]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    started = Service(tmp_path_factory.mktemp("home"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Twelve songs of six bands in two genres that nobody could mistake."""
    folder = tmp_path_factory.mktemp("songs")
    named = {}
    for place in range(12):
        suffix = ("wav", "flac", "ogg", "mp3")[place % 4]
        name = f"band{place // 2}/song {place}.{suffix}"
        hz = 110.0 if (place // 2) % 2 else 880.0
        named[name] = recorded.write(folder / f"{place}.{suffix}", hz, seconds=7.0, seed=place)
    return named


@pytest.fixture(scope="module")
def dataset(service: Service, songs: dict[str, bytes]) -> Json:
    rows = [(name, "low" if (place // 2) % 2 else "high", f"band{place // 2}") for place, name in enumerate(songs)]
    files = {
        **songs,
        "broken.mp3": b"ID3 and nothing",
        "manifest.csv": recorded.manifest([*rows, ("broken.mp3", "low", "x")]),
    }
    return upload(service, "catalogue", files, target="genre", group="artist")


def upload(service: Service, name: str, files: dict[str, bytes], **columns: Any) -> Json:
    made = service.call("POST", "/v1/datasets", {"name": name, "format": "audio", "columns": columns})
    for file, content in files.items():
        service.put(f"/v1/datasets/{made['id']}/files/{quote(file)}", content)
    job = service.call("POST", f"/v1/datasets/{made['id']}/commit")
    assert service.finish(job["id"])["state"] == "succeeded"
    return service.call("GET", f"/v1/datasets/{made['id']}")


def run(service: Service, **body: Any) -> Json:
    job = service.finish(service.call("POST", "/v1/jobs", body)["id"])
    assert job["state"] == "succeeded", job["error"]
    return job


def test_a_dataset_says_what_was_heard_and_what_is_wrong(service: Service, dataset: Json) -> None:
    page = service.call("GET", f"/v1/datasets/{dataset['id']}/tracks?limit=5&cursor=10")

    assert dataset["profile"]["audio"]["tracks"] == 12
    assert dataset["profile"]["audio"]["faults"][0]["file"] == "broken.mp3"
    assert (page["total"], page["next_cursor"]) == (13, None)
    assert [each["fault"] is None for each in page["data"]] == [True, True, False]
    assert page["data"][0]["loudness"]["integrated_lufs"] < 0


def test_a_catalogue_is_analysed_and_its_files_are_fetched(service: Service, dataset: Json) -> None:
    job = run(service, action="score", kind="analysis", dataset=dataset["id"],
              params={"over_time": True, "similar": {"k": 2}, "columns": ["artist"]})  # fmt: skip

    rows = service.call("GET", f"/v1/jobs/{job['id']}/predictions")["data"]
    assert job["model"] == "etude.tagger-mtt"
    assert len(rows) == 12
    assert set(rows[0]) == {"key", "top_tags", "tags", "rhythm", "tonality", "loudness", "spectrum", "character",
                            "embedding", "similar", "columns"}  # fmt: skip
    assert len(rows[0]["tags"]) == 50 and len(rows[0]["embedding"]) == 400
    by_key = {row["key"]: row for row in rows}
    assert all(by_key[row["similar"]["tracks"][0]]["columns"] for row in rows)
    errors = service.call("GET", f"/v1/jobs/{job['id']}/predictions/errors")["data"]
    assert [(error["key"], error["code"]) for error in errors] == [("broken.mp3", "audio_corrupt")]
    listed = service.call("GET", f"/v1/jobs/{job['id']}/files?limit=200")["data"]
    assert len(listed) == job["result"]["files"] == 24
    content = service.get(f"/v1/jobs/{job['id']}/files/{listed[0]['number']}")
    assert content.startswith(b"start_s,end_s,guitar,")
    with zipfile.ZipFile(io.BytesIO(service.get(f"/v1/jobs/{job['id']}/files", Accept="application/zip"))) as archive:
        assert archive.read(listed[0]["name"]) == content
    csv = service.get(f"/v1/jobs/{job['id']}/predictions", Accept="text/csv").decode()
    assert "tag.guitar" in csv.splitlines()[0] and "rhythm.bpm" in csv.splitlines()[0]


def test_the_same_question_again_is_answered_from_memory_and_alike(service: Service, dataset: Json) -> None:
    wanted = {"action": "score", "kind": "analysis", "dataset": dataset["id"], "params": {"include": ["tags"]}}

    first, second = (run(service, **wanted) for _ in range(2))

    pages = [service.call("GET", f"/v1/jobs/{job['id']}/predictions") for job in (first, second)]
    assert pages[0] == pages[1]
    said = service.call("GET", f"/v1/jobs/{second['id']}/diff?with={first['id']}")
    assert (said["same"], said["changed"], said["only_here"], said["data"]) == (12, 0, 0, [])


def test_recordings_that_were_scored_are_left_out(service: Service, dataset: Json) -> None:
    params = {"include": ["tags"], "skip_scored": True}
    wanted = {"action": "score", "kind": "analysis", "dataset": dataset["id"], "params": params}

    first, second = (run(service, **wanted) for _ in range(2))

    assert (first["result"]["rows"], first["result"]["errors"], first["result"]["skipped"]) == (13, 1, 0)
    assert (second["result"]["rows"], second["result"]["errors"], second["result"]["skipped"]) == (1, 1, 12)


def test_a_tagger_of_ones_own_labels(service: Service, dataset: Json) -> None:
    trained = run(
        service, action="train", kind="classification", dataset=dataset["id"], model="pitch", params={"seed": 1}
    )
    scored = run(service, action="score", model="pitch", dataset=dataset["id"], params={"explain": {"tracks": 1}})

    metrics = trained["result"]["metrics"]
    assert metrics["validation"]["accuracy"]["value"] == 1.0
    assert "segments" in metrics
    version = service.call("GET", "/v1/models/pitch/versions/1")
    assert version["lineage"]["dataset"]["format"] == "audio"
    rows = service.call("GET", f"/v1/jobs/{scored['id']}/predictions")["data"]
    low = {row["key"]: row["prediction"] for row in rows}
    assert all(said == ("low" if int(key[4]) % 2 else "high") for key, said in low.items())
    files = service.call("GET", f"/v1/jobs/{scored['id']}/files")["data"]
    assert sorted(each["name"].rpartition(".")[2] for each in files) == ["json", "wav"]
    reason = json.loads(service.get(f"/v1/jobs/{scored['id']}/files/0"))
    assert reason["label"] in ("low", "high")
    assert reason["best"]["end_s"] - reason["best"]["start_s"] <= 3.0
    assert service.get(f"/v1/jobs/{scored['id']}/files/1")[:4] == b"RIFF"
    similar = service.call("GET", f"/v1/models/pitch/versions/1/similar?track={quote(rows[0]['key'], safe='')}&k=3")
    assert len(similar["data"]) == 3
    assert {row["columns"]["genre"] for row in similar["data"]} == {"high"}


def test_a_reason_of_an_excerpt_is_cut_out_of_the_excerpt(service: Service, tmp_path: Path) -> None:
    content = recorded.write(tmp_path / "long.wav", 220.0, seconds=24.0)
    listed = recorded.manifest([("long.wav", 12, 22)], header="file,start,end")
    excerpt = upload(service, "excerpt", {"long.wav": content, "manifest.csv": listed})

    job = run(service, action="score", kind="analysis", dataset=excerpt["id"],
              params={"include": ["tags"], "explain": {"labels": ["guitar", "no vocal"], "tracks": 1}})  # fmt: skip

    whole, rate_hz = soundfile.read(io.BytesIO(content))
    files = {
        each["name"]: each["number"] for each in service.call("GET", f"/v1/jobs/{job['id']}/files?limit=200")["data"]
    }
    assert {name.partition(".reason.")[2] for name in files} == {
        "guitar.json", "guitar.wav", "no_vocal.json", "no_vocal.wav"
    }  # fmt: skip
    for name, number in files.items():
        if name.endswith(".json"):
            best = json.loads(service.get(f"/v1/jobs/{job['id']}/files/{number}"))["best"]
            clip = service.get(f"/v1/jobs/{job['id']}/files/{files[name.replace('.json', '.wav')]}")
            samples, _ = soundfile.read(io.BytesIO(clip))
            first = round((12 + best["start_s"]) * rate_hz)
            assert len(samples) >= 2.9 * rate_hz and 0 <= best["start_s"] <= 10 - 2.9
            near = whole[first - 2 : first + len(samples) + 2]
            assert min(np.abs(near[at : at + len(samples)] - samples).max() for at in range(5)) < 1e-3


def test_columns_of_several_datasets_are_repeated_whatever_their_types(
    service: Service, songs: dict[str, bytes], dataset: Json
) -> None:
    name, content = next(iter(songs.items()))
    number, word = (
        upload(service, f"mood-{mood}", {name: content, "list.csv": f"file,mood\n{name},{mood}\n".encode()})
        for mood in (7, "calm")
    )
    wanted: Json = {"action": "score", "kind": "analysis", "params": {"include": ["tags"], "columns": ["mood"]}}

    job = run(service, **wanted, dataset=[number["id"], word["id"]])
    lacking = service.call("POST", "/v1/jobs", {**wanted, "dataset": [number["id"], dataset["id"]]})
    refused = service.finish(lacking["id"])

    rows = service.call("GET", f"/v1/jobs/{job['id']}/predictions")["data"]
    assert [row["columns"]["mood"] for row in rows] == ["7", "calm"]
    assert refused["error"]["code"] == "columns_missing" and refused["error"]["errors"][0]["column"] == "mood"


def test_a_transcription_is_a_midi_file_a_table_and_jams(service: Service, dataset: Json) -> None:
    job = run(service, action="score", model="etude.transcriber", dataset=dataset["id"])

    listed = service.call("GET", f"/v1/jobs/{job['id']}/files?limit=200")["data"]
    assert len(listed) == 36
    contents = {
        each["name"].split(".", 1)[1]: service.get(f"/v1/jobs/{job['id']}/files/{each['number']}")
        for each in listed[:3]
    }
    assert contents["notes.mid"][:4] == b"MThd"
    assert contents["notes.csv"].startswith(b"start_time_s,")
    assert json.loads(contents["notes.jams"])["annotations"][0]["namespace"] == "note_midi"


def test_the_services_own_models_are_everybodys_and_nobodys(service: Service) -> None:
    names = [model["name"] for model in service.call("GET", "/v1/models")["data"]]
    card = service.call("GET", "/v1/models/etude.tagger-mtt/versions/1")

    assert [name for name in names if name.startswith("etude.")] == sorted(
        ["etude.tagger-mtt", "etude.tagger-msd", "etude.tagger-mtt-vgg", "etude.tagger-msd-vgg", "etude.transcriber"],
        reverse=True,
    )
    assert card["metrics"]["published"]["roc_auc"]["value"] == pytest.approx(0.9067, abs=1e-4)
    assert card["lineage"]["card"]["licence"] == "ISC"
    assert service.refused("DELETE", "/v1/models/etude.tagger-mtt")["code"] == "model_builtin"
    assert service.refused("GET", "/v1/models/etude.tagger-mtt/versions/1/download")["code"] == "model_builtin"
    assert service.refused("PUT", "/v1/models/etude.tagger-mtt/aliases/x", {"version": 1})["code"] == "model_builtin"
    assert service.refused("GET", "/v1/models/etude.nothing")["code"] == "not_found"
    wanted = {"action": "train", "kind": "classification", "dataset": "catalogue", "model": "etude.mine"}
    assert service.refused("POST", "/v1/jobs", wanted)["code"] == "name_reserved"


def test_formats_are_not_mixed_up(service: Service, dataset: Json, tmp_path: Path) -> None:
    table = service.upload(
        "numbers", "a,b,target\n" + "".join(f"{i},{i % 7},{i % 2}\n" for i in range(40)), target="target"
    )
    run(service, action="train", kind="classification", dataset=table, model="table-model", params={"epochs": 1})

    def code(**body: Any) -> str:
        return str(service.refused("POST", "/v1/jobs", body)["code"])

    assert code(action="score", model="table-model", dataset=dataset["id"]) == "format_mismatch"
    assert code(action="score", kind="analysis", dataset=table) == "format_mismatch"
    assert (
        code(action="train", kind="classification", dataset=table, params={"preset": "embedding"}) == "invalid_request"
    )
    assert code(action="train", kind="analysis", dataset=dataset["id"]) == "invalid_request"


def test_erasing_takes_what_was_computed_along(service: Service, songs: dict[str, bytes]) -> None:
    content = next(iter(songs.values()))
    erased = upload(service, "twins", {"one.wav": content[:-200], "two.wav": content[:-100]})
    run(service, action="score", kind="analysis", dataset=erased["id"], params={"include": ["tags"]})
    before = service.count_files("features")

    service.call("DELETE", f"/v1/datasets/{erased['id']}")

    until = time.monotonic() + 30
    while service.count_files("features") != before - 2 and time.monotonic() < until:
        time.sleep(0.1)
    assert service.count_files("features") == before - 2
