"""The names that options take, written out, since help and completion must not load the registries that hold them.

A test holds each tuple equal to its registry.
"""

MODELS = (
    *("snn5", "vggsnn", "vggsnn-nopool", "resnet19", "spiking-resnet18", "spiking-resnet34"),
    *("sew-resnet18", "sew-resnet34", "sew-resnet50", "sew-resnet101", "sew-resnet152"),
    *("ms-resnet18", "ms-resnet34", "ms-resnet104", "ms-resnet20", "ms-resnet110", "ms-resnet482", "cifar-resnet"),
    *("fc", "gcsnn", "gasnn"),
)
NEURONS = ("lif", "if", "plif")
ENCODINGS = ("bernoulli",)
RESETS = ("hard", "soft")
SURROGATES = ("triangle", "rectangle", "exponential", "arctan", "sigmoid")
LAYER_NORMS = ("bn", "tdbn", "stfn", "stfn-run", "none")

DATASETS = (
    *("digits", "mnist", "fashion-mnist", "cifar10", "cifar100", "imagenet", "imagefolder", "npz"),
    *("events", "hdf5-spikes", "nmnist", "cifar10-dvs", "dvs-gesture", "planetoid"),
)
LOSSES = ("sdt", "tet", "total", "mse", "trt")
REGULARISERS = ("im", "rmp")
OPTIMIZERS = ("adam", "adamw", "sgd", "sam")
PRECISIONS = ("float32", "float64", "bfloat16", "float16")
LR_SCHEDULES = ("cosine", "constant")
AUGMENTATIONS = ("flip", "crop", "roll", "cutout", "autoaugment", "autoaugment-imagenet")
TAKES = ("step", "time-major", "batch-major", "batch-channel-time", "static")
GIVES = ("step", "time-major", "batch-major", "batch-channel-time", "mean", "sum")
STATES = ("modules", "passed")
RECOVERIES = ("reduction", "prefix")
LAYOUTS = (
    *("tet-resnet19", "tet-vggsnn", "tet-vggsnn-nopool", "stbp-resnet19"),
    *("sew-resnet", "spiking-resnet", "ms-resnet", "ms-resnet104"),
    *("sj-sew-resnet", "sj-spiking-resnet", "sj-ms-resnet"),
)

DIRECTION_NORMS = ("filter", "layer", "weight", "none")
ROLES = ("weight", "bias", "norm", "neuron")
TREATMENTS = ("random", "hold", "scale")
HOLD_ALL_BUT_WEIGHTS = {"weight": "random", "bias": "hold", "norm": "hold", "neuron": "hold"}
BN_POLICIES = ("frozen", "recalibrate", "batch")

COSTS = ("45nm-fp32", "45nm-fp16", "45nm-int32", "45nm-int8", "45nm-int8-acc32")
MEMORIES = ("flat", "sram")
CONVENTIONS = ("tet", "strict", "ssa", "sdsa")
ATTACKS = ("g2s-image", "g2s-spike", "fgsm", "bim", "pgd", "gaussian", "salt-and-pepper", "drop")
EXIT_RULES = ("margin", "entropy")

FIGURES = (
    *("fig2", "fig3", "fig4a", "fig4b", "fig5", "fig6", "fig7", "fig8", "table1", "table2", "table3", "table4"),
    *("timesteps", "planes", "surface-table", "axes-table", "sharpness-table", "barrier-table", "checkpoint-table"),
    *("curvature-table", "exits", "classes", "scale-table", "margin-exit-table", "entropy-exit-table", "class-table"),
    *("difference-table", "convention-table", "energy-table", "layer-table", "beside-table", "spike-table"),
    *("networks-table", "history-table", "training-table", "density-table", "isometry-table", "depth-table"),
    *("compression-table", "sensitivity-table", "attack-table", "smoothness-table"),
)
STYLES = ("neurips", "icml", "ieee", "slides")
EXPORTS = ("loss-landscape", "vtk", "csv", "netcdf")
NETWORK_EXPORTS = ("nir",)
