"""Which networks are of convolutions, and which stand for the others in a test that takes time."""

import torch
from torch import Tensor

from tetviz.models import MODELS, build
from tetviz.models.layers import SpikingNetwork

# Deeper or wider by their plan alone. What depends on it is tested of all networks in tests/models.
STANDS_FOR = {
    "spiking-resnet34": "spiking-resnet18",
    "sew-resnet34": "sew-resnet18",
    "sew-resnet50": "sew-resnet18",
    "sew-resnet101": "sew-resnet18",
    "sew-resnet152": "sew-resnet18",
    "ms-resnet34": "ms-resnet18",
    "ms-resnet104": "ms-resnet18",
    "ms-resnet20": "cifar-resnet",
    "ms-resnet110": "cifar-resnet",
    "ms-resnet482": "cifar-resnet",
}

OF_CONVOLUTIONS = sorted(MODELS.keys() - {"gcsnn", "gasnn", "fc"})
ONE_OF_EACH = [name for name in OF_CONVOLUTIONS if name not in STANDS_FOR]


def settled_network() -> tuple[SpikingNetwork, list[tuple[Tensor, Tensor]]]:
    """A small network whose running statistics are those of two batches, and these."""
    torch.manual_seed(1)
    model = build("snn5", width=0.0625, in_channels=1, image_size=16, num_classes=3)
    x, y = torch.randn(18, 1, 16, 16), torch.arange(18) % 3
    with torch.no_grad():
        for _ in range(20):
            model(x, 2)
    model.timesteps = 2
    return model.eval(), [(x[:10], y[:10]), (x[10:], y[10:])]
