from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_data import balanced
from wording import refuses

from tetviz.training.data import DataSpec, select_balanced, split_validation

labels_lists = st.lists(st.integers(0, 5), max_size=60)


@settings(deadline=None)
@given(labels=labels_lists, count=st.integers(0, 70))
def test_balanced_choice_is_the_round_robin(labels: list[int], count: int) -> None:
    assert select_balanced(labels, count).tolist() == balanced(labels, count)


@settings(deadline=None)
@given(labels=labels_lists, data=st.data())
def test_a_smaller_balanced_choice_begins_a_larger(labels: list[int], data: st.DataObject) -> None:
    larger = data.draw(st.integers(0, max(0, len(labels) - 1)))
    smaller = data.draw(st.integers(0, larger))
    chosen = select_balanced(labels, larger)
    if smaller:
        assert select_balanced(labels, smaller).tolist() == chosen[:smaller].tolist()
        counts = np.bincount(np.asarray(labels)[chosen], minlength=6)
        short = counts < np.bincount(labels, minlength=6)
        assert not short.any() or counts[short].min() >= counts.max() - 1


def test_balanced_choice_of_all() -> None:
    assert select_balanced([2, 0, 1], None).tolist() == select_balanced([2, 0, 1], 9).tolist() == [0, 1, 2]
    with refuses(ValueError, "negative"):
        select_balanced([0], -1)


@settings(deadline=None)
@given(labels=labels_lists, fraction=st.floats(0, 0.99), seed=st.integers(0, 9))
def test_validation_split_is_a_stratified_partition(labels: list[int], fraction: float, seed: int) -> None:
    train, validation = split_validation(labels, fraction, seed)
    assert sorted([*train, *validation]) == list(range(len(labels)))
    assert list(train) == sorted(train) and list(validation) == sorted(validation)
    for label in set(labels):
        n = labels.count(label)
        chosen = sum(labels[i] == label for i in validation)
        if fraction and n > 1:
            assert 1 <= chosen <= n - 1
            assert abs(chosen - n * fraction) <= 1
        else:
            assert chosen == 0
    again = split_validation(labels, fraction, seed)[1]
    assert again.tolist() == validation.tolist()


def test_validation_split_by_seed() -> None:
    labels = np.arange(100) % 2
    first, second = (split_validation(labels, 0.3, seed)[1].tolist() for seed in (0, 1))
    assert first != second and len(first) == len(second) == 30
    for fraction in (-0.1, 1.0, np.nan):
        with refuses(ValueError, "0 1"):
            split_validation(labels, fraction, 0)
    with pytest.raises(ValueError):
        split_validation(labels, 0.1, -1)


def test_spec_is_plain_and_comes_back(tmp_path: Path) -> None:
    spec = DataSpec("events", str(tmp_path), 48, 10, "count", 3, [*np.array([34, 30])])
    torch.save(spec.to_dict(), tmp_path / "spec.pt")
    assert DataSpec(**torch.load(tmp_path / "spec.pt", weights_only=True)) == spec
    assert hash(spec) and spec.sensor == (34, 30) and spec.root == str(tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"frames": -1}, {"image_size": -1}, {"framing": "events"}, {"sensor": (3,)}, {"sensor": (0, 3)}]
)
def test_spec_refuses(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        DataSpec("events", **wrong)
