"""The names that options take, without the torch that what they name is made of.

A test holds each equal to the registry of the same things.
"""

MODELS = (
    *("snn5", "vggsnn", "vggsnn-nopool", "resnet19", "spiking-resnet18", "spiking-resnet34"),
    *("sew-resnet18", "sew-resnet34", "sew-resnet50", "sew-resnet101", "sew-resnet152"),
    *("ms-resnet18", "ms-resnet34", "ms-resnet104", "ms-resnet20", "ms-resnet110", "ms-resnet482", "cifar-resnet"),
)
NEURONS = ("lif", "if", "plif")
RESETS = ("hard", "soft")
LAYER_NORMS = ("bn", "tdbn")
SURROGATES = ("triangle", "rectangle", "exponential", "arctan", "sigmoid")

TAKES = ("step", "time-major", "batch-major", "static")
GIVES = ("step", "time-major", "batch-major", "mean", "sum")
STATES = ("modules", "passed")
RECOVERIES = ("reduction", "prefix")
LAYOUTS = (
    *("tet-resnet19", "tet-vggsnn", "tet-vggsnn-nopool", "stbp-resnet19"),
    *("sew-resnet", "spiking-resnet", "ms-resnet", "ms-resnet104"),
)

DATASETS = (
    *("digits", "mnist", "fashion-mnist", "cifar10", "cifar100", "imagenet", "imagefolder", "npz"),
    *("events", "nmnist", "cifar10-dvs", "dvs-gesture"),
)
AUGMENTATIONS = ("flip", "crop", "roll")
LOSSES = ("sdt", "tet", "total")
OPTIMIZERS = ("adam", "adamw", "sgd")
LR_SCHEDULES = ("cosine", "constant")
PRECISIONS = ("float32", "float64", "bfloat16", "float16")

DIRECTION_NORMS = ("filter", "layer", "weight", "none")
BN_POLICIES = ("frozen", "recalibrate", "batch")
