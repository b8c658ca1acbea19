"""How the published networks name their weights: a table for each layout, tetviz's names to theirs.

A row is a module of tetviz and every name that its module has in the published code. ``*`` counts the residual blocks
from 0 through all stages; there ``{s}`` is the published stage and ``{b}`` the block in it. The published code keeps
some modules under several names, so that its ``state_dict()`` holds one tensor under as many keys.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tetviz.models.residual import DEPTHS

Names = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class PublishedNetwork:
    """A network that a layout is known of.

    Attributes:
        model: its name in :data:`tetviz.models.MODELS`.
        blocks: residual blocks in every stage.
        options: options that change the names.
    """

    model: str
    blocks: tuple[int, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """The names of the weights in one published code, and what else its networks are made of.

    Attributes:
        source: whose code.
        mark: a key that no other layout has; where two codes name theirs alike, the network has to be named.
        networks: the networks that have this layout.
        table: module of tetviz -> its published names, the first of them canonical.
        constants: the published neurons and normalisation, fields of :class:`tetviz.models.ModelSpec`.
        options: options of the architecture, likewise.
        image_size: side of the published input.
        first_stage: what the published code calls the first stage.
        normalise: data set -> what its code does to the images, as :class:`tetviz.training.DataSpec` takes it, where
            that is not what tetviz does.
        other: networks and values of ``connect`` that the code computes otherwise than tetviz, though their keys fit.
    """

    source: str
    mark: str
    networks: tuple[PublishedNetwork, ...]
    table: Names
    constants: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    image_size: int = 32
    first_stage: int = 1
    normalise: Mapping[str, str] = field(default_factory=dict)
    other: tuple[tuple[str, str], ...] = ()

    def published(self, network: PublishedNetwork, key: str) -> tuple[str, ...]:
        """The published keys of a tensor."""
        module, _, tensor = key.rpartition(".")
        numbered = re.fullmatch(r"blocks\.(\d+)\.(.+)", module)
        if numbered is None:
            return tuple(f"{name}.{tensor}" for name in self.table[module])
        stage, block = self.first_stage, int(numbered[1])
        for count in network.blocks:
            if block < count:
                break
            stage, block = stage + 1, block - count
        names = self.table[f"blocks.*.{numbered[2]}"]
        return tuple(f"{name.format(s=stage, b=block)}.{tensor}" for name in names)


def _vggsnn(indices: tuple[int, ...], published: tuple[int, ...]) -> Names:
    rows: dict[str, tuple[str, ...]] = {"classifier": ("classifier.module",)}
    for index, name in zip(indices, published, strict=True):
        rows[f"features.{index}.conv"] = (f"features.{name}.fwd.module.0",)
        rows[f"features.{index}.norm"] = (f"features.{name}.fwd.module.1",)
    return rows


def _resnets(name: str, block: str) -> tuple[PublishedNetwork, ...]:
    return tuple(PublishedNetwork(f"{name}{depth}", counts) for depth, counts in DEPTHS[block].items())


def _jelly_blocks(*places: str) -> Names:
    # SpikingJelly names convolutions and norms of a block by their number.
    rows: dict[str, tuple[str, ...]] = {}
    for number, place in enumerate(places, 1):
        rows[f"blocks.*.{place}.conv"] = (f"layer{{s}}.{{b}}.conv{number}",)
        rows[f"blocks.*.{place}.norm"] = (f"layer{{s}}.{{b}}.bn{number}",)
    return rows


_TET = {"neuron": "lif", "leak": 0.5, "threshold": 1.0, "surrogate": "triangle", "norm": "bn"}
_STBP = {"neuron": "lif", "leak": 0.25, "threshold": 0.2, "surrogate": "rectangle", "norm": "tdbn"}
_FANG = {"neuron": "if", "leak": 1.0, "threshold": 1.0, "surrogate": "arctan", "detach_reset": True, "norm": "bn"}
_MS = {"neuron": "lif", "leak": 0.25, "threshold": 0.5, "surrogate": "rectangle", "detach_reset": True, "norm": "bn"}

# What the published loaders do. Those of ImageNet are the same everywhere.
_TET_NORMALISE = {
    "cifar10": "0.4914,0.4822,0.4465:0.2023,0.1994,0.2010",
    "cifar100": "0.5071,0.4867,0.4408:0.2675,0.2565,0.2761",
    "mnist": "none",
}
_STBP_NORMALISE = {"cifar10": "0.4914,0.4822,0.4465:0.247,0.243,0.261"}

_RESNET19 = (PublishedNetwork("resnet19", (3, 3, 2)), PublishedNetwork("resnet19", (3, 3, 2), {"stem": 128}))

_MS_BLOCKS: Names = {
    "blocks.*.conv1.conv": ("conv{s}_x.{b}.residual_function.1",),
    "blocks.*.conv1.norm": ("conv{s}_x.{b}.residual_function.2.bn",),
    "blocks.*.conv2.conv": ("conv{s}_x.{b}.residual_function.4",),
    "blocks.*.conv2.norm": ("conv{s}_x.{b}.residual_function.5.bn",),
    "fc": ("fc",),
}

LAYOUTS: dict[str, Layout] = {
    "tet-resnet19": Layout(
        source="brain-intelligence-lab/temporal_efficient_training",
        mark="layer2.0.downsample.layer.module.weight",
        networks=_RESNET19,
        constants=_TET,
        normalise=_TET_NORMALISE,
        table={
            "stem.conv": ("conv1", "conv1_s.layer.module"),
            "stem.norm": ("bn1.bn", "bn1.seqbn.module", "conv1_s.bn.bn", "conv1_s.bn.seqbn.module"),
            "blocks.*.conv1.conv": ("layer{s}.{b}.conv1", "layer{s}.{b}.conv1_s.layer.module"),
            "blocks.*.conv1.norm": (
                "layer{s}.{b}.bn1.bn",
                "layer{s}.{b}.bn1.seqbn.module",
                "layer{s}.{b}.conv1_s.bn.bn",
                "layer{s}.{b}.conv1_s.bn.seqbn.module",
            ),
            "blocks.*.conv2.conv": ("layer{s}.{b}.conv2", "layer{s}.{b}.conv2_s.layer.module"),
            "blocks.*.conv2.norm": (
                "layer{s}.{b}.bn2.bn",
                "layer{s}.{b}.bn2.seqbn.module",
                "layer{s}.{b}.conv2_s.bn.bn",
                "layer{s}.{b}.conv2_s.bn.seqbn.module",
            ),
            "blocks.*.shortcut.conv": ("layer{s}.{b}.downsample.layer.module",),
            "blocks.*.shortcut.norm": ("layer{s}.{b}.downsample.bn.bn", "layer{s}.{b}.downsample.bn.seqbn.module"),
            "fc1": ("fc1", "fc1_s.layer.module"),
            "fc2": ("fc2", "fc2_s.layer.module"),
        },
    ),
    "tet-vggsnn": Layout(
        source="brain-intelligence-lab/temporal_efficient_training",
        mark="features.10.fwd.module.0.weight",
        networks=(PublishedNetwork("vggsnn"),),
        constants=_TET,
        normalise=_TET_NORMALISE,
        image_size=48,
        table=_vggsnn((0, 2, 5, 7, 10, 12, 15, 17), (0, 1, 3, 4, 6, 7, 9, 10)),
    ),
    "tet-vggsnn-nopool": Layout(
        source="brain-intelligence-lab/temporal_efficient_training",
        mark="features.2.fwd.module.0.weight",
        networks=(PublishedNetwork("vggsnn-nopool"),),
        constants=_TET,
        normalise=_TET_NORMALISE,
        image_size=48,
        table=_vggsnn((0, 2, 4, 6, 8, 10, 12, 14), (0, 1, 2, 3, 4, 5, 6, 7)),
    ),
    "stbp-resnet19": Layout(
        source="thiswinex/STBP-simple",
        mark="layer2.0.downsample.layer.weight",
        networks=_RESNET19,
        constants=_STBP,
        normalise=_STBP_NORMALISE,
        options={"spiking_readout": True},
        table={
            "stem.conv": ("conv1", "conv1_s.layer"),
            "stem.norm": ("bn1", "conv1_s.bn"),
            "blocks.*.conv1.conv": ("layer{s}.{b}.conv1", "layer{s}.{b}.conv1_s.layer"),
            "blocks.*.conv1.norm": ("layer{s}.{b}.bn1", "layer{s}.{b}.conv1_s.bn"),
            "blocks.*.conv2.conv": ("layer{s}.{b}.conv2", "layer{s}.{b}.conv2_s.layer"),
            "blocks.*.conv2.norm": ("layer{s}.{b}.bn2", "layer{s}.{b}.conv2_s.bn"),
            "blocks.*.shortcut.conv": ("layer{s}.{b}.downsample.layer",),
            "blocks.*.shortcut.norm": ("layer{s}.{b}.downsample.bn",),
            "fc1": ("fc1", "fc1_s.layer"),
            "fc2": ("fc2", "fc2_s.layer"),
        },
    ),
    "sew-resnet": Layout(
        source="fangwei123456/Spike-Element-Wise-ResNet",
        mark="layer2.0.downsample.0.module.0.weight",
        networks=_resnets("sew-resnet", "sew"),
        constants=_FANG,
        options={"connect": "ADD"},
        image_size=224,
        table={
            "stem.0.conv": ("conv1",),
            "stem.0.norm": ("bn1",),
            "blocks.*.branch.0.conv": ("layer{s}.{b}.conv1.module.0",),
            "blocks.*.branch.0.norm": ("layer{s}.{b}.conv1.module.1",),
            "blocks.*.branch.2.conv": ("layer{s}.{b}.conv2.module.0",),
            "blocks.*.branch.2.norm": ("layer{s}.{b}.conv2.module.1",),
            "blocks.*.branch.4.conv": ("layer{s}.{b}.conv3.module.0",),
            "blocks.*.branch.4.norm": ("layer{s}.{b}.conv3.module.1",),
            "blocks.*.shortcut.0.conv": ("layer{s}.{b}.downsample.0.module.0",),
            "blocks.*.shortcut.0.norm": ("layer{s}.{b}.downsample.0.module.1",),
            "fc": ("fc",),
        },
    ),
    "spiking-resnet": Layout(
        source="fangwei123456/Spike-Element-Wise-ResNet",
        mark="layer2.0.downsample.module.0.weight",
        networks=_resnets("spiking-resnet", "plain"),
        constants=_FANG,
        image_size=224,
        table={
            "stem.0.conv": ("conv1",),
            "stem.0.norm": ("bn1",),
            "blocks.*.conv1.conv": ("layer{s}.{b}.conv1.module.0",),
            "blocks.*.conv1.norm": ("layer{s}.{b}.conv1.module.1",),
            "blocks.*.conv2.conv": ("layer{s}.{b}.conv2.module.0",),
            "blocks.*.conv2.norm": ("layer{s}.{b}.conv2.module.1",),
            "blocks.*.shortcut.conv": ("layer{s}.{b}.downsample.module.0",),
            "blocks.*.shortcut.norm": ("layer{s}.{b}.downsample.module.1",),
            "fc": ("fc",),
        },
    ),
    "ms-resnet": Layout(
        source="Ariande1/MS-ResNet",
        mark="conv2_x.0.shortcut.0.weight",
        networks=_resnets("ms-resnet", "ms")[:2],
        constants=_MS,
        image_size=224,
        first_stage=2,
        table={
            **_MS_BLOCKS,
            "stem.conv": ("conv1.0",),
            "stem.norm": ("conv1.1.bn",),
            "blocks.*.shortcut.conv": ("conv{s}_x.{b}.shortcut.0",),
            "blocks.*.shortcut.norm": ("conv{s}_x.{b}.shortcut.1.bn",),
        },
    ),
    "ms-resnet104": Layout(
        source="Ariande1/MS-ResNet",
        mark="conv2_x.0.shortcut.2.bn.weight",
        networks=_resnets("ms-resnet", "ms")[2:],
        constants=_MS,
        image_size=224,
        first_stage=2,
        table={
            **_MS_BLOCKS,
            "stem.0.module": ("conv1.0",),
            "stem.1.module": ("conv1.1",),
            "stem.2.conv": ("conv1.2",),
            "stem.2.norm": ("conv1.3.bn",),
            "blocks.*.shortcut.1.conv": ("conv{s}_x.{b}.shortcut.1",),
            "blocks.*.shortcut.1.norm": ("conv{s}_x.{b}.shortcut.2.bn",),
        },
    ),
    "sj-sew-resnet": Layout(
        source="SpikingJelly, activation_based.model.sew_resnet",
        mark="layer2.0.downsample.0.weight",
        networks=_resnets("sew-resnet", "sew"),
        constants=_FANG,
        options={"connect": "ADD"},
        image_size=224,
        # SpikingJelly 2.0 has branch * (1 - shortcut) there, and shortcut * (1 - branch) in 18 and 34.
        other=tuple((f"sew-resnet{depth}", "IAND") for depth in (50, 101, 152)),
        table={
            "stem.0.conv": ("conv1",),
            "stem.0.norm": ("bn1",),
            **_jelly_blocks("branch.0", "branch.2", "branch.4"),
            "blocks.*.shortcut.0.conv": ("layer{s}.{b}.downsample.0",),
            "blocks.*.shortcut.0.norm": ("layer{s}.{b}.downsample.1",),
            "fc": ("fc",),
        },
    ),
    "sj-spiking-resnet": Layout(
        source="SpikingJelly, activation_based.model.spiking_resnet",
        mark="layer2.0.downsample.0.weight",
        networks=_resnets("spiking-resnet", "plain"),
        constants=_FANG,
        image_size=224,
        table={
            "stem.0.conv": ("conv1",),
            "stem.0.norm": ("bn1",),
            **_jelly_blocks("conv1", "conv2"),
            "blocks.*.shortcut.conv": ("layer{s}.{b}.downsample.0",),
            "blocks.*.shortcut.norm": ("layer{s}.{b}.downsample.1",),
            "fc": ("fc",),
        },
    ),
    "sj-ms-resnet": Layout(
        source="SpikingJelly, activation_based.model.ms_resnet",
        mark="stem.0.weight",
        networks=_resnets("ms-resnet", "ms")[:2],
        constants=_MS,
        image_size=224,
        table={
            "stem.conv": ("stem.0",),
            "stem.norm": ("stem.1",),
            **_jelly_blocks("conv1", "conv2"),
            "blocks.*.shortcut.conv": ("layer{s}.{b}.downsample.0",),
            "blocks.*.shortcut.norm": ("layer{s}.{b}.downsample.1",),
            "fc": ("head",),
        },
    ),
}
