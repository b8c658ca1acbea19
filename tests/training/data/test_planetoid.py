"""Graphs in .npz files: what is read, and what is refused in a line."""

import numpy as np
import pytest
import torch
from data_sets import refused
from graphs import CLASSES, FEATURES, NODES, dense, network_on, small_graph, write_graph
from wording import refuses

from tetviz.errors import DataError
from tetviz.models import build
from tetviz.training import load_data


def test_a_graph_is_read_as_it_was_written(tmp_path):
    path = write_graph(tmp_path / "small.npz")
    train, test = (load_data("planetoid", split=split, root=str(path)) for split in ("train", "test"))
    assert train.graph.digest == test.graph.digest == small_graph().digest
    for graph in (train.graph, small_graph()):
        x, joined = dense(graph)
        assert x.shape == (NODES, FEATURES)
        assert joined.shape == (NODES, NODES)
    assert [train.nodes.tolist(), train.validation.nodes.tolist(), test.nodes.tolist()] == [
        list(range(first, first + 10)) for first in (0, 10, 20)
    ]
    assert test.validation is None
    assert (train.num_classes, train.in_channels, train.model_options) == (CLASSES, FEATURES, {"nodes": NODES})
    assert [float(test[index][0]) for index in range(3)] == [20, 21, 22]
    assert (test.labels == np.load(path)["y"][20:]).all()


def test_other_features_or_edges_are_another_digest(tmp_path):
    one, other = (
        load_data("planetoid", split="train", root=str(write_graph(tmp_path / f"{s}.npz", s))) for s in (0, 1)
    )
    assert one.digest != other.digest


NOT_SQUARE = np.zeros((3, 4), np.int32)
LOOP, TWICE = np.array([[1], [1]]), np.array([[0, 1], [1, 0]])
FALSE = np.zeros(NODES, bool)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"x_shape": np.array([2**40, 3])}, "x_shape 1048576"),
        ({"x_shape": np.array([30, 0])}, "x_shape"),
        ({"x_shape": np.array([30, 2**40])}, "x_shape"),
        ({"x_shape": np.array([30.0, 12.0])}, "x_shape float64"),
        ({"x_shape": np.array([31, 12])}, "x_indptr (32,)"),
        ({"x_shape": np.array([30, 2])}, "x_indices 0 1"),
        ({"x_data": np.array([np.nan])}, "x_data finite"),
        ({"x_data": np.array(["a"])}, "x_data <U1"),
        ({"x_data": np.ones((2, 2))}, "x_data (2, 2)"),
        ({"x_indices": np.zeros(5, np.int32)}, "x_indices (5,)"),
        ({"x_indptr": np.full(NODES + 1, 3)}, "x_indptr"),
        ({"y": np.full(NODES, 2**30)}, "y 1073741824"),
        ({"y": np.full(NODES, -1)}, "class"),
        ({"y": np.zeros(NODES)}, "y float64"),
        ({"edges": NOT_SQUARE}, "edges (3, 4)"),
        ({"edges": np.array([[0], [NODES]])}, "edges 29 30"),
        ({"edges": np.array([[-1], [2]])}, "edges -1"),
        ({"edges": LOOP}, "node 1"),
        ({"edges": TWICE}, "twice"),
        ({"train_mask": np.ones(3, bool)}, "train_mask (3,)"),
        ({"train_mask": np.ones(NODES, np.int8)}, "train_mask int8"),
        ({"train_mask": ~FALSE}, "node 10 train_mask val_mask"),
        ({"y": np.r_[np.full(5, -1), np.zeros(25, int)]}, "train_mask node 0"),
        ({"train_mask": FALSE}, "train no samples"),
    ],
)
def test_what_makes_no_graph_is_refused(tmp_path, changed, words):
    refused(words, "planetoid", split="train", root=str(write_graph(tmp_path / "small.npz", **changed)))


def test_a_feature_that_is_there_twice_is_refused(tmp_path):
    with np.load(write_graph(tmp_path / "whole.npz")) as kept:
        columns, starts = kept["x_indices"].copy(), kept["x_indptr"]
    columns[starts[0] + 1] = columns[starts[0]]
    refused("twice", "planetoid", split="train", root=str(write_graph(tmp_path / "small.npz", x_indices=columns)))


def test_other_files_are_refused(tmp_path):
    np.savez(tmp_path / "few.npz", y=np.zeros(3))
    refused("x_data edges savez", "planetoid", split="train", root=str(tmp_path / "few.npz"))
    np.save(tmp_path / "one.npy", np.zeros(3))
    refused("single array", "planetoid", split="train", root=str(tmp_path / "one.npy"))
    (tmp_path / "text.npz").write_text("nodes")
    refused("text.npz", "planetoid", split="train", root=str(tmp_path / "text.npz"))


def test_a_network_is_placed_on_the_graph_and_on_no_other(tmp_path):
    path = write_graph(tmp_path / "small.npz")
    data = load_data("planetoid", split="train", root=str(path))
    model = build("gcsnn", num_classes=CLASSES, in_channels=FEATURES, nodes=NODES, width=0.02)
    data.attach(model)
    x = torch.stack([data[index][0] for index in range(4)])
    wanted = network_on(small_graph())
    wanted.load_state_dict(model.state_dict())
    torch.testing.assert_close(model.eval()(x, 3).double(), wanted(x.double(), 3), rtol=0, atol=1e-4)
    with refuses(DataError, "31 30 --data-root"):
        data.attach(build("gcsnn", in_channels=FEATURES, nodes=31))
    with refuses(DataError, "--model gcsnn"):
        data.attach(build("snn5"))
    with refuses(DataError, "--data planetoid"):
        load_data("digits", split="test").attach(model)
