"""Citation graphs, whose nodes are classified: Cora, Citeseer, and others in the same .npz layout."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tetviz.errors import DataError
from tetviz.models import Graph, NodeClassifier
from tetviz.results.schema import IntArray
from tetviz.training.data import npy
from tetviz.training.data.arrays import MOST_CLASSES
from tetviz.training.data.dataset import MOST_UNITS, DataSpec, LabelledDataset
from tetviz.training.data.sources import Sources

_MASKS = ("train_mask", "val_mask", "test_mask")
_ARRAYS = ("x_data", "x_indices", "x_indptr", "x_shape", "y", "edges", *_MASKS)
MOST_NODES = 2**20
_CURE = (
    "write it with numpy.savez(FILE, x_data=, x_indices=, x_indptr=, x_shape=, y=, edges=, train_mask=, val_mask=, "
    "test_mask=)"
)


class NodeDataset(LabelledDataset):
    """Some nodes of a graph; a sample is the number of a node, which a network looks up in the graph."""

    together = True
    sample_axes = 1

    def __init__(self, spec: DataSpec, graph: Graph, nodes: IntArray, labels: IntArray, classes: Sequence[str]) -> None:
        self.graph, self.nodes, self.labels = graph, nodes, labels
        self.classes = list(classes)
        self.in_channels, self.image_size = graph.features, 1
        self.spec = replace(spec, image_size=1)
        self.model_options = {"nodes": graph.nodes}
        self.digest = graph.digest

    def check_network(self, on_graph: bool) -> None:
        """Checks that a network takes nodes."""
        if not on_graph:
            raise DataError(
                f"{self.spec.name}: holds the nodes of a graph, which only graph networks take; train one with "
                "--model gcsnn or gasnn"
            )

    def attach(self, model: nn.Module) -> None:
        """Places a network on the graph."""
        super().attach(model)
        assert isinstance(model, NodeClassifier)
        try:
            model.place_on(self.graph)
        except ValueError as error:
            raise DataError(
                f"{self.spec.root}: {error}; measure it on the graph that it was trained on (--data-root)"
            ) from None

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """One node."""
        return torch.tensor([[[float(self.nodes[index])]]]), int(self.labels[index])


def load_planetoid(spec: DataSpec, split: str, download: bool) -> LabelledDataset:
    """A graph in an .npz file, with the nodes to train on and to test on; those of ``val_mask`` choose the epoch.

    ``x_data x_indices x_indptr x_shape`` are the features of nodes as a sparse matrix of rows (CSR), ``y`` the classes
    of all nodes (below 0 where there is none), ``edges`` each undirected edge once, and three masks the public split.
    """
    path = spec.located("give --data-root the .npz file of a graph")
    sources = Sources([path])
    arrays = _read(path)
    graph = _graph(path, arrays)
    labels = _labels(path, arrays, graph.nodes)
    parts = {name: np.flatnonzero(_mask(path, name, arrays[name], labels)) for name in _MASKS}
    for a, b in (("train_mask", "val_mask"), ("train_mask", "test_mask"), ("val_mask", "test_mask")):
        if len(common := np.intersect1d(parts[a], parts[b])):
            raise DataError(f"{path}: node {common[0]} is in {a} and in {b}; give each node one part")
    classes = [str(label) for label in range(int(labels.max()) + 1)]

    def part(name: str) -> NodeDataset:
        nodes = parts[f"{name}_mask"].astype(np.int64)
        dataset = NodeDataset(spec, graph, nodes, labels[nodes], classes)
        dataset.sources = sources
        return dataset

    dataset = part(split)
    dataset.validation = part("val") if split == "train" and len(parts["val_mask"]) else None
    return dataset


def _read(path: Path) -> dict[str, npt.NDArray[Any]]:
    trouble = "not an .npz file of a graph"
    if npy.is_single(path, trouble, _CURE):
        raise DataError(f"{path}: expected an .npz file of a graph, got a single array: {_CURE}")
    found = npy.names_in(path, trouble, _CURE)
    missing = [name for name in _ARRAYS if name not in found]
    if missing:
        raise DataError(
            f"{path}: there is no array {', '.join(missing)} (found: {', '.join(found) or 'none'}): {_CURE}"
        )
    return npy.read_npz(path, _ARRAYS, trouble, _CURE)


def _graph(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> Graph:
    sizes = _whole(path, "x_shape", arrays["x_shape"], (2,), 1, MOST_NODES)
    nodes, features = (int(size) for size in sizes)
    if features > MOST_UNITS:
        raise DataError(f"{path}: x_shape: up to {MOST_UNITS} features, got {features}")
    values = arrays["x_data"]
    if values.ndim != 1 or values.dtype.kind not in "fiub" or not np.isfinite(values).all():
        raise DataError(f"{path}: x_data: expected finite numbers (M,), got {values.dtype} {values.shape}")
    entries = len(values)
    columns = _whole(path, "x_indices", arrays["x_indices"], (entries,), 0, features - 1)
    starts = _whole(path, "x_indptr", arrays["x_indptr"], (nodes + 1,), 0, entries)
    if starts[0] or starts[-1] != entries or (np.diff(starts) < 0).any():
        raise DataError(f"{path}: x_indptr: expected to rise from 0 to {entries}, the number of entries")
    rows = np.repeat(np.arange(nodes), np.diff(starts))
    order = np.lexsort((columns, rows))
    places = np.stack([rows, columns])[:, order]
    if entries > 1 and (np.diff(places) == 0).all(0).any():
        raise DataError(f"{path}: x_indices: a node has a feature twice; add up what belongs together")
    edges = arrays["edges"]
    if edges.ndim != 2 or len(edges) != 2:
        raise DataError(f"{path}: edges: expected two nodes for each edge, (2, E), got {edges.shape}")
    edges = _whole(path, "edges", edges, edges.shape, 0, nodes - 1)
    pairs = np.sort(edges, 0)
    if (pairs[0] == pairs[1]).any():
        raise DataError(f"{path}: edges: node {pairs[0][pairs[0] == pairs[1]][0]} is joined to itself; leave loops out")
    if len(np.unique(pairs.T, axis=0)) != pairs.shape[1]:
        raise DataError(f"{path}: edges: an edge is there twice; give each undirected edge once")
    held = [torch.from_numpy(np.ascontiguousarray(each)) for each in (edges, places)]
    return Graph(nodes, features, held[0], held[1], torch.from_numpy(values[order].astype(np.float32)))


def _whole(
    path: Path, name: str, array: npt.NDArray[Any], shape: tuple[int, ...], low: int, high: int
) -> npt.NDArray[np.int64]:
    if array.dtype.kind not in "iu" or array.shape != shape:
        raise DataError(f"{path}: {name}: expected whole numbers of shape {shape}, got {array.dtype} {array.shape}")
    if array.size and not low <= int(array.min()) <= int(array.max()) <= high:
        raise DataError(f"{path}: {name}: expected {low} to {high}, got {array.min()} to {array.max()}")
    return array.astype(np.int64)


def _labels(path: Path, arrays: dict[str, npt.NDArray[Any]], nodes: int) -> IntArray:
    labels = _whole(path, "y", arrays["y"], (nodes,), -(2**31), MOST_CLASSES - 1)
    if labels.max() < 0:
        raise DataError(f"{path}: y: no node has a class")
    return labels


def _mask(path: Path, name: str, mask: npt.NDArray[Any], labels: IntArray) -> npt.NDArray[np.bool_]:
    if mask.dtype != bool or mask.shape != labels.shape:
        raise DataError(f"{path}: {name}: expected booleans of shape {labels.shape}, got {mask.dtype} {mask.shape}")
    without = np.flatnonzero(mask & (labels < 0))
    if len(without):
        raise DataError(f"{path}: {name}: node {without[0]} has no class (y is {labels[without[0]]}); leave it out")
    return mask
