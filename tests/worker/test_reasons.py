"""Integrated gradients, against functions whose attributions are known."""

import numpy as np
import pytest
import tensorflow as tf

from worker import reasons
from worker.audio.mel import BANDS, WINDOW_FRAMES
from worker.reasons import GRAIN_FRAMES, Reason, Segment

WINDOWS = np.abs(np.random.default_rng(3).normal(size=(2, WINDOW_FRAMES, BANDS))).astype(np.float32)


def test_a_linear_function_gives_each_frame_its_own_part() -> None:
    weights = np.random.default_rng(4).normal(size=WINDOWS.shape).astype(np.float32)

    found = reasons.explain(lambda mel: tf.reduce_sum(mel * weights, axis=(1, 2, 3)) + 5.0, WINDOWS)

    np.testing.assert_allclose(found.by_frame, (WINDOWS * weights).sum(axis=2), atol=1e-3)
    assert found.baseline == 5.0
    assert found.completeness_error < 1e-3
    assert found.steps == reasons.STEPS[0]


def test_the_parts_of_a_smooth_function_make_the_whole() -> None:
    found = reasons.explain(lambda mel: tf.reduce_mean(mel**3, axis=(1, 2, 3)), WINDOWS)

    np.testing.assert_allclose(found.by_frame, (WINDOWS.astype(float) ** 3).sum(axis=2) / WINDOWS.size, rtol=1e-3)
    assert found.by_frame.sum() == pytest.approx(found.value - found.baseline, rel=1e-4)


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_points_are_taken_a_few_at_a_time_and_their_sum_is_the_same(count: int) -> None:
    windows, seen = np.resize(WINDOWS, (count, WINDOW_FRAMES, BANDS)), []

    def judge(mel: tf.Tensor) -> tf.Tensor:
        seen.append(len(mel))
        return tf.reduce_sum(mel**3, axis=(1, 2, 3))

    found = reasons.explain(judge, windows)

    *points, value, baseline = seen
    assert sum(points) == reasons.STEPS[0] and value == baseline == 1
    assert max(points) == max(1, reasons.WINDOWS_AT_ONCE // count)
    np.testing.assert_allclose(found.by_frame, (windows.astype(float) ** 3).sum(axis=2), rtol=1e-3, atol=1e-3)


def test_a_jump_takes_more_points_and_its_error_is_told() -> None:
    steep = reasons.explain(lambda mel: tf.sigmoid(400 * (tf.reduce_mean(mel, axis=(1, 2, 3)) - 0.3)), WINDOWS)

    assert steep.steps == reasons.STEPS[-1]
    assert steep.completeness_error == pytest.approx(
        abs(steep.by_frame.sum() - steep.value + steep.baseline) / (steep.value - steep.baseline)
    )


def test_the_answer_names_the_stretch_that_added_most() -> None:
    by_frame = np.zeros((2, WINDOW_FRAMES))
    by_frame[1, 20:60] = 1.0
    reason = Reason(by_frame, value=40.0, baseline=0.0, steps=16)

    said = reasons.tell("rock", 0.9, [(Segment(4, 2, 0.9), reason)], frames=9 * WINDOW_FRAMES)

    assert said["best"]["added"] == pytest.approx(40.0)
    assert said["best"]["start_s"] <= (5 * WINDOW_FRAMES + 20) / 62.5
    assert said["best"]["end_s"] >= (5 * WINDOW_FRAMES + 60) / 62.5
    assert said["best"]["end_s"] - said["best"]["start_s"] <= reasons.CLIP_S
    assert sum(each["added"] for each in said["seconds"]) == pytest.approx(40.0)
    assert len(said["seconds"]) == -(-2 * WINDOW_FRAMES // GRAIN_FRAMES)
    assert said["completeness_error"] == 0.0


@pytest.mark.parametrize("frames", [1, 2, 31, 32, 50, 63, 100, 186, 187])
def test_the_reasons_of_a_short_track_lie_within_it(frames: int) -> None:
    by_frame = np.random.default_rng(frames).normal(size=(1, WINDOW_FRAMES))
    reason = Reason(by_frame, value=float(by_frame.sum()), baseline=0.0, steps=16)
    # A centred frame each 256 samples, and one around the end.
    duration_s = max(frames - 1, 1) * 256 / 16_000

    said = reasons.tell("rock", 0.9, [(Segment(0, 1, 0.9), reason)], frames=frames)

    spans = [(each["start_s"], each["end_s"]) for each in [*said["seconds"], *said["segments"], said["best"]]]
    assert all(0 <= start_s < end_s <= round(duration_s, 3) for start_s, end_s in spans)
    assert sum(each["added"] for each in said["seconds"]) == pytest.approx(by_frame.sum(), abs=1e-5)
    assert [each["start_s"] for each in said["seconds"][1:]] == [each["end_s"] for each in said["seconds"][:-1]]


def test_what_a_short_track_adds_is_told_where_it_is_however_often_it_was_heard() -> None:
    by_frame = np.zeros((1, WINDOW_FRAMES))
    by_frame[0, [40, 90, 140]] = 1.0
    reason = Reason(by_frame, value=3.0, baseline=0.0, steps=16)

    said = reasons.tell("rock", 0.9, [(Segment(0, 1, 0.9), reason)], frames=50)

    assert [each["added"] for each in said["seconds"]] == [0.0, 3.0]
    assert said["best"] == {"start_s": 0.0, "end_s": 0.784, "added": 3.0}


def test_the_loudest_segments_are_looked_into_in_the_order_of_time() -> None:
    segments = [Segment(place, 1, score) for place, score in enumerate([0.1, 0.9, 0.3, 0.8, 0.2, 0.7, 0.6, 0.5])]

    assert [each.first for each in reasons.choose(segments)] == [1, 2, 3, 5, 6, 7]


def test_a_track_shorter_than_a_window_is_looked_into_as_it_was_heard() -> None:
    mel = WINDOWS[0, :50]

    assert reasons.windows_of(mel, Segment(0, 1, 0.5)).shape == (1, WINDOW_FRAMES, BANDS)
