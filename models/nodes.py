"""Spiking networks that classify the nodes of one graph: GC-SNN and GA-SNN."""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tetviz.errors import ModelError
from tetviz.models.layers import DropoutOverTime, Parts, SpikingNetwork, scaled, step_by_step
from tetviz.models.stfn import STFN

HIDDEN = 400  # features of a hidden layer at width 1
_SLOPE = 0.2  # of LeakyReLU for scores below 0
NODE_NORMS = {"stfn": "past", "stfn-run": "run", "none": ""}


@dataclass(frozen=True)
class Graph:
    """The nodes of a graph, joined by edges, and their features.

    Args:
        nodes: their number N.
        features: the number of features F.
        edges: each undirected edge once, without loops (2, E).
        places: node and feature of each entry that is not 0 (2, M).
        values: these entries (M,).
    """

    nodes: int
    features: int
    edges: Tensor
    places: Tensor
    values: Tensor

    @property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        found = hashlib.sha256(f"{self.nodes} {self.features}".encode())
        for tensor in (self.edges, self.places, self.values):
            found.update(tensor.contiguous().numpy().tobytes())
        return found.hexdigest()


class Convolution(nn.Module):
    """Graph convolution (Kipf and Welling 2017): sum_j W h_j / sqrt(d_i d_j) over a node and its neighbours.

    Args:
        inputs: features that go in.
        outputs: features that come out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)

    def neighbours(self, h_NF: Tensor, joined: Tensor) -> Tensor:
        """Sums up features over neighbours.

        Args:
            h_NF: features behind the weights.
            joined: N x N, sparse, the coefficients of neighbours.
        """
        return torch.sparse.mm(joined, h_NF)  # type: ignore[no-any-return]

    def forward(self, x: Tensor, joined: Tensor) -> Tensor:
        """Weights and sums up.

        Args:
            x: spikes x_TNF of every step, or features N x F as a sparse matrix.
            joined: N x N, sparse, the coefficients of neighbours.
        """
        if x.layout is torch.sparse_coo:
            return self.neighbours(torch.sparse.mm(x, self.linear.weight.t()), joined)
        return torch.stack([self.neighbours(self.linear(x_NF), joined) for x_NF in x])


class Attention(Convolution):
    """Graph attention (Velickovic et al. 2018), one head: sum_j a_ij W h_j over a node and its neighbours.

    With h = W x, a_ij is the softmax over j of LeakyReLU(to . h_i + from . h_j).

    Args:
        inputs: features that go in.
        outputs: features that come out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.scores = nn.Linear(outputs, 2, bias=False)

    def neighbours(self, h_NF: Tensor, joined: Tensor) -> Tensor:
        """Sums up features over neighbours, by attention."""
        rows, columns = joined.indices()
        to_N, from_N = self.scores(h_NF).unbind(1)
        score_E = F.leaky_relu(to_N[rows] + from_N[columns], _SLOPE)
        scores = torch.sparse_coo_tensor(
            joined.indices(), score_E, joined.shape, is_coalesced=True, check_invariants=False
        )
        return torch.sparse.mm(torch.sparse.softmax(scores, 1), h_NF)  # type: ignore[no-any-return]


class NodeClassifier(SpikingNetwork):
    """A spiking network on a graph: convolution, STFN, LIF, ``depth`` times; then a linear readout of the spikes.

    It is asked for nodes by their numbers, x_B111, and computes all of them, since each depends on its neighbours. The
    features of nodes are shown at every step. The graph is no part of a checkpoint: :meth:`place_on` gives it.

    Args:
        num_classes: classes K.
        in_channels: features F of a node.
        image_size: of no meaning, since nodes have no extent.
        width: multiplier of the 400 hidden features.
        parts: neuron and normalisation: ``stfn`` (statistics of the steps so far), ``stfn-run`` (of the whole run, as
            in the paper) or ``none``.
        nodes: number of nodes N.
        depth: number of hidden layers.
        dropout: share of features that are dropped in training, in front of every layer.
    """

    convolution: type[Convolution] = Convolution
    known_norms = tuple(NODE_NORMS)

    def __init__(
        self,
        num_classes: int = 7,
        in_channels: int = 1433,
        image_size: int = 1,
        width: float = 1.0,
        parts: Parts | None = None,
        *,
        nodes: int = 2708,
        depth: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        parts = parts or Parts(norm="stfn")
        if nodes < 1 or depth < 1 or not 0 <= dropout < 1:
            raise ValueError(
                f"expected nodes and depth of at least 1 and a dropout in [0, 1), got {nodes}, {depth} and {dropout}"
            )
        hidden, statistics = scaled(HIDDEN, width), NODE_NORMS[parts.norm]
        self.nodes, self.features = nodes, in_channels
        self.feature_dropout, self.spike_dropout = nn.Dropout(dropout), DropoutOverTime(dropout)
        self.convolutions = nn.ModuleList(
            self.convolution(in_channels if index == 0 else hidden, hidden) for index in range(depth)
        )
        self.norms = nn.ModuleList(
            STFN(nodes, hidden, parts.threshold, statistics=statistics) if statistics else nn.Identity()
            for _ in range(depth)
        )
        self.neurons = nn.ModuleList(parts.neuron() for _ in range(depth))
        self.classifier = nn.Linear(hidden, num_classes, bias=False)
        self.digest = ""
        for name in ("joined_2E", "places_2M"):
            self.register_buffer(name, torch.zeros(2, 0, dtype=torch.int64), persistent=False)
        for name in ("coefficients_E", "values_M"):
            self.register_buffer(name, torch.zeros(0), persistent=False)

    def place_on(self, graph: Graph) -> None:
        """Gives it its graph.

        Args:
            graph: of as many nodes and features as it was made for.

        Raises:
            ValueError: it has others.
        """
        expected, found = (self.nodes, self.features), (graph.nodes, graph.features)
        if expected != found:
            raise ValueError(
                f"the network is of {expected[0]} nodes with {expected[1]} features, the graph has {found[0]} with "
                f"{found[1]}"
            )
        device, dtype = self.classifier.weight.device, self.classifier.weight.dtype
        loops = torch.arange(graph.nodes).expand(2, -1)
        both = torch.cat([graph.edges, graph.edges.flip(0), loops], 1)
        degree = torch.bincount(both[0], minlength=graph.nodes).double()
        joined = torch.sparse_coo_tensor(
            both, torch.ones(both.shape[1]), (graph.nodes, graph.nodes), check_invariants=True
        )
        joined = joined.coalesce()
        rows, columns = joined.indices()
        self.joined_2E = joined.indices().to(device)
        self.coefficients_E = ((degree[rows] * degree[columns]) ** -0.5).to(device, dtype)
        self.places_2M, self.values_M = graph.places.to(device), graph.values.to(device, dtype)
        self.digest = graph.digest

    def features_of_nodes(self) -> Tensor:
        """The features of all nodes, N x F."""
        x_NF = self.values_M.new_zeros(self.nodes, self.features)
        return x_NF.index_put_((self.places_2M[0], self.places_2M[1]), self.values_M)

    def every_node(self) -> Tensor:
        """The numbers of all nodes, as a batch N x 1 x 1 x 1."""
        weight = self.classifier.weight
        return torch.arange(self.nodes, device=weight.device).to(weight.dtype)[:, None, None, None]

    def body(self, x_TBCHW: Tensor) -> Tensor:
        """The network on the numbers of nodes, time-major."""
        if not self.digest:
            raise ValueError("the network has no graph yet: give it with place_on(graph)")
        asked_B = x_TBCHW[0].flatten().long()
        size = (self.nodes, self.nodes)
        joined = torch.sparse_coo_tensor(
            self.joined_2E, self.coefficients_E, size, is_coalesced=True, check_invariants=False
        )
        values_M, shape = self.feature_dropout(self.values_M), (self.nodes, self.features)
        features = torch.sparse_coo_tensor(self.places_2M, values_M, shape, is_coalesced=True, check_invariants=False)
        x = features
        for convolution, norm, neuron in zip(self.convolutions, self.norms, self.neurons, strict=True):
            current = convolution(x, joined)
            if current.dim() == 2:  # of features, which are shown at every step
                current = current.expand(len(x_TBCHW), *current.shape)
            x = self.spike_dropout(neuron(norm(current)))
        return step_by_step(self.classifier, x)[:, asked_B]

    def extra_repr(self) -> str:
        """The graph, for print(model)."""
        return f"nodes={self.nodes}, graph={self.digest[:16] or 'none'}"


def refuse_graph(model: nn.Module, why: str) -> None:
    """Refuses what makes no sense of the nodes of a graph.

    Raises:
        ModelError: the network is one on a graph.
    """
    if isinstance(model, NodeClassifier):
        raise ModelError(f"the network is one on a graph: {why}")


class GCSNN(NodeClassifier):
    """GC-SNN (Xu et al. 2021): a spiking network of graph convolutions."""


class GASNN(NodeClassifier):
    """GA-SNN (Xu et al. 2021): a spiking network of graph attention."""

    convolution = Attention
