"""Run by torchrun: a batch normalisation over all processes against the whole batch in one, forward and backward."""

import copy
import sys

import torch
import torch.distributed as dist

from tetviz.models import TdBN
from tetviz.models.synchronised import synchronised


def differences(sizes: list[int]) -> list[float]:
    """The largest differences between a share of the whole batch and the same by one process."""
    torch.manual_seed(0)
    alone = torch.nn.Sequential(TdBN(3, alpha=0.7, threshold=1.3)).double()
    together = synchronised(copy.deepcopy(alone))
    whole = torch.randn(sum(sizes), 3, 2, 2, dtype=torch.float64) * 5 + 100
    towards = torch.randn_like(whole)
    rank = dist.get_rank()
    x, own = whole.clone().requires_grad_(), whole.split(sizes)[rank].clone().requires_grad_()
    y, own_y = alone(x), together(own)
    (y * towards).sum().backward()
    (own_y * towards.split(sizes)[rank]).sum().backward()
    gradients = [parameter.grad.clone() for parameter in together.parameters()]
    for gradient in gradients:
        dist.all_reduce(gradient)
    pairs = [(y.split(sizes)[rank], own_y), (x.grad.split(sizes)[rank], own.grad)]
    pairs += list(zip([parameter.grad for parameter in alone.parameters()], gradients, strict=True))
    pairs += list(zip(alone.state_dict().values(), together.state_dict().values(), strict=True))
    alone.eval(), together.eval()
    pairs += [(alone(whole), together(whole))]
    assert list(alone.state_dict()) == list(together.state_dict())
    return [float((a - b).detach().abs().max()) if a.numel() else 0.0 for a, b in pairs]


if __name__ == "__main__":
    dist.init_process_group("gloo")
    found = [max(differences(sizes)) for sizes in ([4, 4], [5, 2], [3, 0])]
    print(f"{max(found):.3g}", flush=True) if dist.get_rank() == 0 else None
    dist.destroy_process_group()
    sys.exit(0)
