"""The result type of a training history: its files, and what it says of its changes."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import xarray
from hypothesis import given
from hypothesis import strategies as st
from planted_results import planted_history
from wording import refuses

import tetviz
from tetviz.results import TrainingHistory, load, save
from tetviz.results.schema import array_fields, attribute_fields

FORMAT = Path(tetviz.__file__).parent / "docs" / "file-format.md"


@given(st.lists(st.integers(0, 2), min_size=1, max_size=12))
def test_a_change_is_after_the_epoch_that_differs_from_the_next(indices):
    n = len(indices)
    run = planted_history(stages=(f"4:{n}",), loss_index=np.array(indices), losses=("sdt", "tet", "total"))
    assert run.trained_on() == [("sdt", "tet", "total")[index] for index in indices]
    assert run.ends("loss_index") == [k for k, (a, b) in enumerate(pairwise(indices), 1) if a != b]
    assert run.ends("stage") == []


def test_the_file_opens_in_xarray_and_comes_back(tmp_path):
    run = planted_history(switch="tet@9", stages=("2:20", "6:10"), val_accuracy=np.full(30, np.nan))
    path = save(tmp_path / "a.history.h5", run)
    with xarray.open_dataset(path, engine="h5netcdf") as data:
        assert data.attrs["kind"] == "history" and data.test_tet_loss.dims == ("epoch",)
        assert data.test_tet_loss.sel(epoch=3).item() == run.test_tet_loss[2]
        assert np.isnan(data.val_accuracy).all()
    again = load(path, TrainingHistory)
    for name in array_fields(TrainingHistory):
        np.testing.assert_array_equal(getattr(again, name), getattr(run, name))
    for name in attribute_fields(TrainingHistory):
        assert getattr(again, name) == getattr(run, name)
    assert again.to_frame().loc[20, "timesteps"] == 2 and again.progress() == (0, 0)


def test_arrays_that_disagree_are_refused():
    with refuses(ValueError, "TrainingHistory.lr 30"):
        planted_history(lr=np.ones(29))


@pytest.mark.skipif(not FORMAT.exists(), reason="needs the documents of the checkout")
def test_the_format_document_lists_every_variable_and_attribute():
    section = re.split(r"^## ", FORMAT.read_text(encoding="utf-8").split("Kind `history`\n")[1], flags=re.MULTILINE)[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [
        *array_fields(TrainingHistory),
        *attribute_fields(TrainingHistory),
    ]
    for name, schema in array_fields(TrainingHistory).items():
        assert f"| `{name}` | {', '.join(schema['dims'])} | {schema['dtype']} | {schema['units']} |" in section
