"""Data of others: what a function may give, and what is refused."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from wording import refuses

from tetviz.errors import DataError
from tetviz.training import load_data, to_batches

DATA = """
import numpy as np
import torch
import sys
from torch.utils.data import (
    DataLoader, Dataset, IterableDataset, SubsetRandomSampler, TensorDataset, WeightedRandomSampler
)

x = torch.arange(12 * 16.0).reshape(12, 1, 4, 4) / 100
y = torch.arange(12) % 3

class Triples(Dataset):
    classes = ["a", "b", "c", "d"]
    def __len__(self): return 12
    def __getitem__(self, i): return x[i].numpy(), np.int64(y[i]), {"id": i}

class Stream(IterableDataset):
    def __iter__(self): return ((x[i], int(y[i])) for i in range(12))

class Frames(Dataset):
    def __init__(self, frames): self.frames, self.targets = frames, y.tolist()
    def __len__(self): return 12
    def __getitem__(self, i): return x[i].expand(self.frames, 1, 4, 4), y[i]

class OneHot(Dataset):
    def __len__(self): return 12
    def __getitem__(self, i): return x[i], torch.eye(3)[y[i]]

class Targets(Dataset):
    def __init__(self, target_transform=None, wrong=()):
        self.targets, self.target_transform, self.wrong = y.tolist(), target_transform, wrong
    def __len__(self): return 12
    def __getitem__(self, i):
        label = self.targets[i] + (i in self.wrong)
        return x[i], self.target_transform(label) if self.target_transform else label

class Odd(Targets):
    labels = ["a", "b", "c"]
    def __init__(self, at): self.targets, self.at = y.tolist(), at
    def __getitem__(self, i): return self.at(i) if i == 5 else x[i], self.targets[i]

class Batches:
    def __iter__(self): return iter(torch.randperm(12).view(3, 4).tolist())

def triples(split): return Triples()
def samples(split): return [(x[i], int(y[i])) for i in range(12)]
def part(split): return DataLoader(TensorDataset(x, y), 5, sampler=[7, 3, 1, 2, 8])
def part_batches(split): return DataLoader(TensorDataset(x, y), batch_sampler=[[7, 3, 1], [2, 8]])
def random_part(split): return DataLoader(TensorDataset(x, y), 5, sampler=SubsetRandomSampler(range(6)))
def weighted(split): return DataLoader(TensorDataset(x, y), 5, sampler=WeightedRandomSampler([1.0] * 12, 12))
def random_batches(split): return DataLoader(TensorDataset(x, y), batch_sampler=Batches())
def turned(split): return Targets(lambda label: 2 - label)
def lying(split): return Targets(wrong=[4])
def named(split): return Odd(lambda i: x[i])
def ragged(split): return Odd(lambda i: x[i][:, :3])
def endless(split): return Odd(lambda i: x[i] / 0)
def leaves(split): return Odd(lambda i: sys.exit("no more"))
def pictures(split): return [("x.png", 1)]
def loud(split): print("loading"); return TensorDataset(x, y)
def pairs(split): return TensorDataset(x, y) if split == "test" else TensorDataset(x[:6], y[:6])
def loader(split): return DataLoader(TensorDataset(x, y), 5, shuffle=True)
def shuffled(split): return DataLoader(TensorDataset(x, y), 5, shuffle=True, collate_fn=lambda b: b)
def batches(split): return [(x[:7], y[:7].numpy(), "more"), (x[7:], y[7:].tolist())]
def stream(split): return Stream()
def frames(split, frames): return Frames(frames)
def frame_batches(split): return [(x.expand(5, *x.shape), y)]
def rooted(split, *, root, **_): return TensorDataset(x + len(root), y)
def one_hot(split): return OneHot()
def soft(split): return TensorDataset(x, torch.eye(3)[y] * 0.9 + 0.1 / 3)
def deep(split): return TensorDataset(x[:, None, None], y)
def negative(split): return TensorDataset(x, y - 1)
def nothing(split): return TensorDataset(x[:0], y[:0])
def none(split): return None
def fails(split): raise KeyError("no such split")
def tensors(split): return [x, x]
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "my_data.py").write_text(DATA)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("my_data", None)


@pytest.mark.parametrize("name", ["triples", "pairs", "loader", "batches", "stream", "samples", "named"])
def test_data_of_every_kind(name: str) -> None:
    data = load_data(f"my_data:{name}", split="test", trust=True)
    assert data.labels.tolist() == [n % 3 for n in range(12)]
    assert (data.in_channels, data.image_size, data.sequence) == (1, 4, False)
    assert data.num_classes == (4 if name == "triples" else 3)
    assert data.states_classes == (name == "triples")
    x, label = data[5]
    assert x.dtype == torch.float32
    assert x.flatten()[0].item() == pytest.approx(0.8)
    assert label == 2
    assert [len(labels) for _, labels in to_batches(data, 5)] == [5, 5, 2]


@pytest.mark.parametrize("name", ["part", "part_batches"])
def test_a_loader_of_some_samples_gives_those(name: str) -> None:
    data = load_data(f"my_data:{name}", split="test", trust=True)
    assert [round(float(data[at][0].max() * 100)) // 16 for at in range(5)] == [7, 3, 1, 2, 8]
    assert data.labels.tolist() == [1, 0, 1, 2, 2]


def test_labels_are_those_of_the_samples() -> None:
    data = load_data("my_data:turned", split="test", trust=True)
    assert [data[at][1] for at in range(12)] == data.labels.tolist() == [2 - n % 3 for n in range(12)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lying", "4 2 labels 1"),
        ("ragged", "sample 5 1 3 4 0"),
        ("endless", "5 values"),
        ("leaves", "5 SystemExit"),
    ],
)
def test_a_sample_that_is_unlike_the_others_is_named(name: str, message: str) -> None:
    with refuses(DataError, message):
        data = load_data(f"my_data:{name}", split="test", trust=True)
        list(to_batches(data, 4))


def test_data_may_print(capsys: pytest.CaptureFixture[str]) -> None:
    load_data("my_data:loud", split="test", trust=True)
    assert capsys.readouterr() == ("", "loading\n")


def test_sequences_of_ones_own() -> None:
    data = load_data("my_data:frames", split="test", trust=True, frames=7)
    assert (data.sequence, data.spec.frames) == (True, 7)
    assert next(iter(to_batches(data, 5)))[0].shape == (7, 5, 1, 4, 4)
    batches = load_data("my_data:frame_batches", split="test", trust=True)
    assert (batches.sequence, batches.spec.frames, batches[3][0].shape) == (True, 5, (5, 1, 4, 4))


def test_rows_of_one_1_are_classes() -> None:
    data = load_data("my_data:one_hot", split="test", trust=True)
    assert data.labels.tolist() == [label for _, label in data] == [n % 3 for n in range(12)]


def test_what_the_function_has_parameters_for() -> None:
    assert len(load_data("my_data:pairs", split="train", trust=True)) == 6
    assert load_data("my_data:rooted", split="test", trust=True, root="abc")[0][0].min() == 3
    with refuses(DataError, "4 pixels 8"):
        load_data("my_data:pairs", split="test", trust=True, image_size=8)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shuffled", "DataLoader shuffles"),
        ("random_part", "DataLoader shuffles"),
        ("weighted", "DataLoader shuffles"),
        ("random_batches", "DataLoader shuffles"),
        ("pictures", "numbers ToTensor"),
        ("soft", "float32 12 3"),
        ("deep", "5 axes 1 4"),
        ("negative", "label -1"),
        ("nothing", "the empty"),
        ("none", "something NoneType"),
        ("fails", "my_data:fails split"),
        ("tensors", "batches labels"),
        ("triple", "'triple' 'triples'"),
        ("a b", "module:function"),
    ],
)
def test_data_that_are_refused(name: str, message: str) -> None:
    with refuses(DataError, message) as caught:
        load_data(f"my_data:{name}", split="test", trust=True)
    assert "\n" not in str(caught.value)


def test_data_need_trust() -> None:
    with refuses(DataError, "my_data:pairs --trust"):
        load_data("my_data:pairs", split="test")
    assert "my_data" not in sys.modules


AXES = """
import torch
from torch.nn.functional import one_hot
from torch.utils.data import DataLoader, TensorDataset

x = torch.randint(0, 9, (12, 6, 5), generator=torch.Generator().manual_seed(0)).float()  # 12 samples of 6 steps
y = torch.arange(12) % 3
def vectors(split): return TensorDataset(x, y)
def last(split): return TensorDataset(x.transpose(1, 2), one_hot(y, 3).float())
def loader(split): return DataLoader(TensorDataset(x, one_hot(y, 3)), batch_size=5)
def batches(split): return [(x[:6].transpose(0, 1), y[:6]), (x[6:].transpose(0, 1), y[6:])]
def last_batches(split): return [(x[:6].transpose(1, 2), one_hot(y[:6], 3)), (x[6:].transpose(1, 2), one_hot(y[6:], 3))]
def features(split): return TensorDataset(x[:, 0], y)
"""


@pytest.mark.parametrize(
    ("name", "axes", "sequence"),
    [
        ("vectors", "", True),
        ("vectors", "TF", True),
        ("last", "FT", True),
        ("loader", "", True),
        ("batches", "", True),
        ("last_batches", "FT", True),
        ("features", "", False),
        ("vectors", "CL", False),
    ],
)
def test_samples_of_any_axes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, axes: str, sequence: bool
) -> None:
    (tmp_path / "axes_data.py").write_text(AXES)
    monkeypatch.chdir(tmp_path)
    sys.modules.pop("axes_data", None)
    data = load_data(f"axes_data:{name}", split="test", trust=True, axes=axes)
    x = torch.randint(0, 9, (12, 6, 5), generator=torch.Generator().manual_seed(0)).float()
    expected = {"features": x[:, 0, :, None, None], "CL": x[..., None]}.get(axes if axes == "CL" else name)
    expected = x[..., None, None] if expected is None else expected
    assert torch.equal(torch.stack([sample for sample, _ in data]), expected)
    assert (data.sequence, data.sample_axes) == (sequence, 2 if axes == "CL" else 1)
    assert data.labels.tolist() == [label for _, label in data] == [at % 3 for at in range(12)]
    assert data.spec.axes == axes and load_data(data.spec, split="test", trust=True).spec == data.spec


LENGTHS = """
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

x = torch.rand(6, 4, 5)  # 6 samples of 4 steps
y, lengths = torch.arange(6) % 3, torch.tensor([4, 1, 2, 4, 3, 2])
masks = torch.arange(4) < lengths[:, None]

class Known(Dataset):
    def __init__(self, lengths=lengths): self.lengths = lengths
    def __len__(self): return 6
    def __getitem__(self, i): return x[i], int(y[i])

class Stream(IterableDataset):
    lengths = lengths
    def __iter__(self): return ((x[i], int(y[i])) for i in range(6))

def known(split): return Known()
def listed(split): return Known(lengths.tolist())
def part(split): return Subset(Known(), range(6))
def loader(split): return DataLoader(Known(), 4)
def stream(split): return Stream()
def items(split): return TensorDataset(x, y, lengths)
def masked(split): return TensorDataset(x, y, masks)
def item_batches(split): return [(x[:4].transpose(0, 1), y[:4], lengths[:4]), (x[4:].transpose(0, 1), y[4:], masks[4:])]
def pairs(split): return TensorDataset(x, y)
def holes(split): return TensorDataset(x, y, masks.flip(1))
def empty(split): return Known(lengths - 1)
def long(split): return Known(lengths + 1)
def few(split): return Known(lengths[:5])
def shares(split): return Known(lengths / 4)
def static(split):
    data = Known(); data.__class__ = type("Static", (Known,), {"__getitem__": lambda self, i: (x[i, 0], int(y[i]))})
    return data
def batched(split): return DataLoader(Known(), 4, collate_fn=lambda b: (x[:4].transpose(0, 1), y[:4]))
"""


@pytest.fixture
def of_lengths(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "length_data.py").write_text(LENGTHS)
    yield
    sys.modules.pop("length_data", None)


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        *((name, False) for name in ("known", "listed", "part", "loader", "stream")),
        *((name, True) for name in ("items", "masked", "item_batches")),
    ],
)
def test_lengths_of_samples(of_lengths: None, name: str, stated: bool) -> None:
    data = load_data(f"length_data:{name}", split="test", trust=True, lengths=stated)
    assert data.lengths is not None and data.lengths.tolist() == [4, 1, 2, 4, 3, 2]
    labels_BT = torch.cat([labels for _, labels in to_batches(data, 4)])
    expected = [[y] * n + [-100] * (4 - n) for y, n in zip([0, 1, 2, 0, 1, 2], [4, 1, 2, 4, 3, 2], strict=True)]
    assert labels_BT.tolist() == expected
    assert load_data(data.spec, split="test", trust=True).lengths.tolist() == data.lengths.tolist()
    assert ("lengths" in data.spec.to_dict()) == stated


def test_what_comes_third_is_left_out_where_nobody_says_more(of_lengths: None) -> None:
    data = load_data("length_data:items", split="test", trust=True)
    assert data.lengths is None and next(iter(to_batches(data)))[1].dim() == 1


@pytest.mark.parametrize(
    ("name", "stated", "message"),
    [
        ("holes", True, "mask 1 true end"),
        ("empty", False, "1 0 1 4"),
        ("long", False, "0 5 1 4"),
        ("few", False, "5 6"),
        ("shares", False, "float32"),
        ("static", False, "one frame"),
        ("pairs", True, "--lengths (x, label, length)"),
        ("batched", False, "DataLoader --lengths"),
    ],
)
def test_lengths_that_are_refused(of_lengths: None, name: str, stated: bool, message: str) -> None:
    with refuses(DataError, f"length_data:{name} {message}"):
        load_data(f"length_data:{name}", split="test", trust=True, lengths=stated)


def test_lengths_and_axes_are_those_of_ones_own_data() -> None:
    with refuses(DataError, "--lengths 'digits'"):
        load_data("digits", split="test", lengths=True)
    with refuses(DataError, "--axes 'digits'"):
        load_data("digits", split="test", axes="CHW")
