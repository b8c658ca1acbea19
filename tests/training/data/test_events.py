from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_sets import SENSOR, load, recording, some_events
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_data import frame_counts, resize_plane
from wording import refuses

from tetviz.errors import DataError
from tetviz.training.data.events import events_to_frames, resize_frames

Row = tuple[int, int, int, int]
rows = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 4), st.integers(-1000, 10**15), st.integers(0, 1)),
    max_size=40,
)


@settings(deadline=None)
@given(rows=rows, frames=st.integers(1, 20), framing=st.sampled_from(["time", "count"]), signed=st.booleans())
def test_frames_are_the_counts_of_a_plain_loop(rows: list[Row], frames: int, framing: str, signed: bool) -> None:
    events = recording(rows)
    expected = frame_counts(events[["x", "y", "t", "p"]], SENSOR, frames, framing)
    if signed:
        events["p"] = 2 * events["p"] - 1
    counts = events_to_frames(events, SENSOR, frames, framing)
    assert counts.dtype == np.float32 and counts.shape == (frames, 2, *SENSOR)
    assert np.array_equal(counts, expected)
    assert counts.sum() == len(rows)
    if framing == "count" and rows:
        per_frame = counts.sum((1, 2, 3))
        assert per_frame.max() - per_frame.min() <= 1


@settings(deadline=None)
@given(
    rows=rows,
    frames=st.integers(1, 9),
    framing=st.sampled_from(["time", "count"]),
    shift=st.integers(0, 9**9),
)
def test_neither_the_order_nor_the_start_of_the_clock_matters(
    rows: list[Row], frames: int, framing: str, shift: int
) -> None:
    rows = list({row[2]: row for row in rows}.values())
    counts = events_to_frames(recording(sorted(rows, key=lambda row: row[2])), SENSOR, frames, framing)
    moved = recording([(x, y, t + shift, p) for x, y, t, p in rows])
    assert np.array_equal(counts, events_to_frames(moved, SENSOR, frames, framing))


def test_windows_by_hand() -> None:
    events = recording([(0, 0, 100, 0), (0, 0, 124, 0), (0, 0, 125, 0), (0, 0, 199, 0), (0, 0, 200, 0)])
    assert events_to_frames(events, (1, 1), 4)[:, 0, 0, 0].tolist() == [2, 1, 0, 2]
    assert events_to_frames(events, (1, 1), 3, "count")[:, 0, 0, 0].tolist() == [2, 2, 1]
    assert events_to_frames(events[:1], (1, 1), 4)[:, 0, 0, 0].tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("kind", ["u1", "i2", "u4", "f4", "f8", "u8"])
def test_times_of_any_type(kind: str) -> None:
    dtype = [("x", "u1"), ("y", "u1"), ("t", kind), ("p", "?")]
    times = [2, 90, 101, 120] if kind in ("u1", "i2") else [2.0, 9000, 20001, 30000]
    events = recording([(1, 0, t, i % 2) for i, t in enumerate(times)], dtype)
    expected = recording([(1, 0, int(t), i % 2) for i, t in enumerate(times)])
    assert np.array_equal(events_to_frames(events, (2, 2), 3), events_to_frames(expected, (2, 2), 3))


def test_signed_times_of_the_whole_range_of_their_type() -> None:
    events = recording(
        [(0, 0, t, 1) for t in (-32768, -1, 32767)], [("x", "u1"), ("y", "u1"), ("t", "i2"), ("p", "i1")]
    )
    assert events_to_frames(events, (1, 1), 2)[:, 1, 0, 0].tolist() == [2, 1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"x": 7}, "7 sensor 5"),
        ({"y": 5}, "5 outside"),
        ({"y": -1}, "runs -1"),
        ({"p": 2}, "polarities 0 1 -1"),
        ({"p": -1}, "[-1, 0, 1]"),
        ({"t": 2**62}, "too apart"),
    ],
)
def test_wrong_events_are_refused(change: dict[str, Any], said: str) -> None:
    events = some_events()
    for name, value in change.items():
        events[name][3] = value
    with refuses(ValueError, said):
        events_to_frames(events, SENSOR, 4)


def test_wrong_arguments_are_refused() -> None:
    events = some_events()
    for frames, framing in ((0, "time"), (4, "events")):
        with refuses(ValueError, "least 1"):
            events_to_frames(events, SENSOR, frames, framing)
    for wrong in (events[["x", "y", "t"]], events["x"], events.reshape(5, 10)):
        with refuses(ValueError, "fields x"):
            events_to_frames(wrong, SENSOR, 4)
    with refuses(ValueError, "float64"):
        events_to_frames(events.astype([(name, "f8") for name in "xytp"]), SENSOR, 4)
    endless = events.astype([("t", float), ("x", int), ("y", int), ("p", int)])
    endless["t"][4] = np.nan
    with refuses(ValueError, "not finite"):
        events_to_frames(endless, SENSOR, 4, "count")


@pytest.mark.parametrize("size", [3, 16, 34, 48])
def test_polarities_are_resized_each_by_itself(size: int) -> None:
    frames = events_to_frames(some_events(500, sensor=(34, 34)), (34, 34), 3)
    resized = resize_frames(frames, size)
    assert resized.shape == (3, 2, size, size) and resized.dtype == torch.float32
    for t in range(3):
        for p in range(2):
            expected = resize_plane(frames[t, p], (size, size))
            np.testing.assert_allclose(resized[t, p].numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("polarity", [0, 1])
def test_a_polarity_alone_survives_resizing(polarity: int) -> None:
    events = some_events(400, sensor=(128, 128))
    events["p"] = polarity
    x_TCHW = resize_frames(events_to_frames(events, (128, 128), 4), 48)
    assert x_TCHW[:, 1 - polarity].abs().max() == 0
    torch.testing.assert_close(x_TCHW[:, polarity].mean(), torch.tensor(400 / (4 * 128**2)), rtol=0.05, atol=0)


def save_classes(folder: Path, counts: dict[str, int], sensor: Sequence[int] = SENSOR) -> None:
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            np.save(folder / name / f"{i}.npy", some_events(30, seed=i + 100 * len(name), sensor=sensor))


def test_a_folder_with_official_splits(tmp_path: Path) -> None:
    save_classes(tmp_path / "train", {"10": 3, "2": 2, "9": 1})
    save_classes(tmp_path / "test", {"10": 1, "2": 2})
    (tmp_path / "train/2/notes.txt").write_text("not an array")
    train, test = (load("events", split=split, root=str(tmp_path), frames=4) for split in ("train", "test"))
    assert train.classes == test.classes == ["2", "9", "10"] and test.num_classes == 3
    assert train.labels.tolist() == [0, 0, 1, 2, 2, 2] and test.labels.tolist() == [0, 0, 2]
    assert train.sequence and train.in_channels == 2 and train.image_size == 7
    assert train.spec == test.spec and train.spec.sensor == (7, 7) and train.spec.image_size == 7
    x, label = test[2]
    assert label == 2 and x.shape == (4, 2, 7, 7) and x.dtype == torch.float32 and x.sum() == 30


def test_a_folder_without_splits_is_split_nine_to_one_by_the_seed(tmp_path: Path) -> None:
    save_classes(tmp_path, {"cat": 20, "dog": 10, "emu": 1})

    def files(split: str, seed: int) -> Any:
        return load("events", split=split, root=str(tmp_path), frames=2, split_seed=seed)

    train, test = files("train", 0), files("test", 0)
    assert np.bincount(train.labels).tolist() == [18, 9, 1] and np.bincount(test.labels).tolist() == [2, 1]
    assert not set(train.paths) & set(test.paths) and len(set(train.paths) | set(test.paths)) == 31
    assert files("test", 0).paths == test.paths
    assert any(files("test", seed).paths != test.paths for seed in range(1, 6))
    assert load(test.spec, split="test").spec == test.spec == type(test.spec)(**test.spec.to_dict())


def test_an_empty_recording_gives_zeros(tmp_path: Path) -> None:
    save_classes(tmp_path, {"a": 1})
    np.save(tmp_path / "a" / "0.npy", recording([]))
    data = load("events", split="train", root=str(tmp_path), frames=3, sensor=(5, 5))
    assert data[0][0].shape == (3, 2, 5, 5) and data[0][0].abs().sum() == 0


def test_a_sensor_that_is_not_square(tmp_path: Path) -> None:
    save_classes(tmp_path, {"a": 2})
    settings: dict[str, Any] = {"split": "train", "root": str(tmp_path), "frames": 3, "sensor": (5, 7)}
    with refuses(DataError, "5 7 --image-size"):
        load("events", **settings)
    assert load("events", image_size=6, **settings)[0][0].shape == (3, 2, 6, 6)


def damage(path: Path, kind: str) -> None:
    match kind:
        case "text":
            path.write_text("x,y,t,p\n")
        case "empty":
            path.write_bytes(b"")
        case "pickle":
            np.save(path, np.array([{"x": 1}], dtype=object))
        case "plain":
            np.save(path, np.zeros((5, 4)))
        case "fields":
            np.save(path, some_events().astype([("x", int), ("y", int), ("t", int), ("q", int)]))
        case "far":
            np.save(path, recording([(60000, 0, 0, 0)]))


@pytest.mark.parametrize("kind", ["text", "empty", "pickle", "plain", "fields", "far"])
def test_a_damaged_recording_is_named(tmp_path: Path, kind: str) -> None:
    save_classes(tmp_path, {"a": 2})
    damage(tmp_path / "a" / "1.npy", kind)
    with refuses(DataError, "a/1.npy") as caught:
        load("events", split="train", root=str(tmp_path), frames=2)
    assert "\n" not in str(caught.value)


def test_a_recording_cut_short_is_named(tmp_path: Path) -> None:
    save_classes(tmp_path, {"a": 2})
    path = tmp_path / "a" / "1.npy"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"a/1\.npy: not a recording of events \(.+\): the guide"):
        load("events", split="train", root=str(tmp_path), frames=2)


def test_events_outside_the_given_sensor_are_named(tmp_path: Path) -> None:
    save_classes(tmp_path, {"a": 1})
    data = load("events", split="train", root=str(tmp_path), frames=2, sensor=(3, 3))
    with refuses(DataError, "a/0.npy 3"):
        data[0]


def test_missing_folders_are_named(tmp_path: Path) -> None:
    def refused(said: str, root: Path | str = tmp_path, **settings: Any) -> None:
        with refuses(DataError, said):
            load("events", split="train", root=str(root), **{"frames": 2} | settings)

    refused("told where", root="")
    refused("does exist", root=tmp_path / "none")
    refused("folder class")
    (tmp_path / "train/a").mkdir(parents=True)
    refused("samples class .npz")
    np.save(tmp_path / "train/a/0.npy", some_events())
    refused("test folder")
    save_classes(tmp_path / "test", {"b": 1})
    refused("1 'b' training")
    (tmp_path / "test/b").rename(tmp_path / "test/a")
    refused("--frames", frames=0)
