"""Attention blocks of published spiking transformers, as step functions of their own. Calls no tetviz.

Each block takes currents T x B x N x D, and keeps the spikes that its products multiplied in ``seen``.
"""

import torch
from counting_networks import PlainLIF, make_dyadic
from torch import Tensor, nn


class Block(nn.Module):
    """Layers and neurons that all families have, heads of ``width`` features."""

    def __init__(self, features: int = 8, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(features, features) for _ in range(3))
        self.fire_q, self.fire_k, self.fire_v, self.fire_out, self.fire_mask = (PlainLIF() for _ in range(5))
        self.proj = nn.Linear(features, features)
        self.seen: dict[str, Tensor] = {}
        make_dyadic(self)

    def spikes(self, s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Q, K and V, T x B x heads x N x width."""
        fired = [self.fire_q(4 * self.q(s)), self.fire_k(4 * self.k(s)), self.fire_v(4 * self.v(s))]
        q, k, v = (x.reshape(*x.shape[:-1], self.heads, -1).transpose(-2, -3) for x in fired)
        self.seen = {"q": q, "k": k, "v": v}
        return q, k, v

    def joined(self, y: Tensor) -> Tensor:
        """Heads side by side, T x B x N x D."""
        return y.transpose(-2, -3).flatten(-2)


class Spikformer(Block):
    """SSA of Zhou et al. 2023: neurons of Q K^T V times a scale."""

    def forward(self, s: Tensor) -> Tensor:
        q, k, v = self.spikes(s)
        y = ((q @ k.transpose(-1, -2)) @ v) * 0.25
        out: Tensor = self.proj(self.fire_out(self.joined(y)))
        return out


class QKFormerTokens(Block):
    """QK token attention of Zhou et al. 2024: neurons of the sum of Q over channels, as a mask of K."""

    def forward(self, s: Tensor) -> Tensor:
        q, k, _ = self.spikes(s)
        self.seen["mask"] = mask = self.fire_mask(q.sum(-1, keepdim=True))
        out: Tensor = self.proj(self.joined(mask * k))
        return out


class SpikeDriven1(Block):
    """SDSA of Yao et al. 2023: neurons of the sum of K * V over tokens, as a mask of Q."""

    def forward(self, s: Tensor) -> Tensor:
        q, k, v = self.spikes(s)
        self.seen["mask"] = mask = self.fire_mask((k * v).sum(-2, keepdim=True))
        out: Tensor = self.proj(self.joined(q * mask))
        return out


class SpikeDriven2(Block):
    """SDSA of Yao et al. 2024 (Meta-SpikeFormer): neurons of Q (K^T V) times a scale."""

    def forward(self, s: Tensor) -> Tensor:
        q, k, v = self.spikes(s)
        kv = k.transpose(-1, -2) @ v
        y = (q @ kv) * 0.25
        out: Tensor = self.proj(self.fire_out(self.joined(y)))
        return out


class TokenNetwork(nn.Module):
    """An attention block on the tokens of images of 2 x 4 x 4, rows of 8, and a readout."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.fire, self.block, self.head = PlainLIF(), block, make_dyadic(nn.Linear(8, 3))

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        x = x[:timesteps] if x.dim() == 5 else x.expand(timesteps, *x.shape)
        s = self.fire(3 * x.reshape(*x.shape[:2], -1, 8))
        logits: Tensor = self.head(self.block(s).mean(2))
        return logits


BLOCKS = {"ssa": Spikformer, "qk": QKFormerTokens, "sdsa1": SpikeDriven1, "sdsa2": SpikeDriven2}


def marks(x: Tensor) -> Tensor:
    """1 where a tensor is not 0."""
    return (x != 0).double()


def hand_pairs(name: str, seen: dict[str, Tensor]) -> tuple[list[int], list[int]]:
    """Pairs that spikes make, of each step: those that are added up, and those that are only masks.

    Where both factors are spikes both have to be there; what else a spike meets is added whatever its value.
    """
    q, k, v = (marks(seen[part]) for part in "qkv")
    added, masked = torch.zeros(len(q)), torch.zeros(len(q))
    if name == "ssa":
        # Each spike of V is added to each of the queries.
        added = torch.einsum("tbhnd,tbhmd->t", q, k) + q.shape[3] * v.sum((1, 2, 3, 4))
    elif name == "qk":
        masked = (marks(seen["mask"]) * k).sum((1, 2, 3, 4))
    elif name == "sdsa1":
        added, masked = (k * v).sum((1, 2, 3, 4)), (q * marks(seen["mask"])).sum((1, 2, 3, 4))
    else:
        added = torch.einsum("tbhnd,tbhne->t", k, v) + v.shape[4] * q.sum((1, 2, 3, 4))
    return added.int().tolist(), masked.int().tolist()
