"""Which networks are of convolutions, and which stand for the others in a test that takes time."""

from tetviz.models import MODELS

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
