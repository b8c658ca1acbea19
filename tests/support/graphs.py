"""A small graph, and networks on it."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from tetviz.models import Graph, NodeClassifier, build

NODES, FEATURES, CLASSES = 30, 12, 3


def small_graph(seed: int = 0) -> Graph:
    """Thirty nodes, of which the last has no neighbour and no feature."""
    generator = np.random.default_rng(seed)
    pairs = np.triu(generator.random((NODES, NODES)) < 0.15, 1)
    pairs[:, -1] = False
    features = generator.random((NODES, FEATURES)) < 0.3
    features[-1] = False
    places = np.stack(np.nonzero(features))
    return Graph(
        NODES,
        FEATURES,
        torch.from_numpy(np.stack(np.nonzero(pairs))),
        torch.from_numpy(places),
        torch.ones(places.shape[1]),
    )


def network_on(graph: Graph, name: str = "gcsnn", seed: int = 0, **settings: Any) -> NodeClassifier:
    """A network on a graph, in eval mode and float64."""
    torch.manual_seed(seed)
    settings = {"num_classes": CLASSES, "width": 0.02, **settings}
    model = build(name, in_channels=graph.features, nodes=graph.nodes, **settings).double().eval()
    assert isinstance(model, NodeClassifier)
    model.place_on(graph)
    return model


def dense(graph: Graph) -> tuple[np.ndarray, np.ndarray]:
    """Features and adjacency with loops, as matrices."""
    x = np.zeros((graph.nodes, graph.features))
    x[tuple(graph.places.numpy())] = graph.values.numpy()
    joined = np.eye(graph.nodes)
    i, j = graph.edges.numpy()
    joined[i, j] = joined[j, i] = 1
    return x, joined


def write_graph(path: Path, seed: int = 0, **changed: Any) -> Path:
    """The small graph as an .npz file in the layout of Planetoid, with other arrays where asked for."""
    graph = small_graph(seed)
    x, _ = dense(graph)
    label = np.random.default_rng(seed).integers(0, CLASSES, NODES)
    label[:CLASSES] = range(CLASSES)
    part = np.arange(NODES) // 10
    rows, columns = np.nonzero(x)
    arrays = {
        "x_data": np.ones(len(rows), np.float32),
        "x_indices": columns.astype(np.int32),
        "x_indptr": np.searchsorted(rows, np.arange(NODES + 1)).astype(np.int32),
        "x_shape": np.array([NODES, FEATURES]),
        "y": label.astype(np.int8),
        "edges": graph.edges.numpy().astype(np.int32),
        "train_mask": part == 0,
        "val_mask": part == 1,
        "test_mask": part == 2,
    }
    np.savez(path, **{**arrays, **changed})
    return path
