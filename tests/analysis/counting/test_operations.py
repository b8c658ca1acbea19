"""count_operations against enumerated synapses, one run in four layouts, and runs that must add up."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from counting_networks import Functional, OneLayer, Tiny, dyadic
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from wording import heard

import reference
from tetviz.analysis import compute_operations, count_operations
from tetviz.models import IF, LIF, build
from tetviz.results.operations import OperationCounts
from tetviz.results.schema import array_fields
from tetviz.summaries import estimate_energy
from tetviz.training import mask_labels, measure

COUNTS = [name for name, schema in array_fields(OperationCounts).items() if schema["dims"] == ("layer", "timestep")]
OVER_SAMPLES = [name for name in COUNTS if name not in ("never_fired", "always_fired")]
PAIRS = ["dense_mac", "inbounds_mac", "mac", "ac", "unit_ac"]


def table(counts: Any) -> dict[str, dict[str, Any]]:
    """Every count and property of every layer, by the layer's name."""
    rows = {}
    for i, name in enumerate(list(counts.names)):
        rows[name] = {column: getattr(counts, column)[i].tolist() for column in [*COUNTS, "neurons", "weights"]}
        rows[name] |= {"input": list(counts.inputs)[i], "static": counts.static[i], "foldable": counts.foldable[i]}
    assert len(rows) == len(counts.layer)
    return rows


def recorded(model: nn.Module, x: torch.Tensor, timesteps: int, types: Any) -> dict[str, list[tuple[Any, Any]]]:
    """Input and output of every call of the layers of some types, in a run of the network as it is."""
    seen: dict[str, list[tuple[Any, Any]]] = {}
    handles = [
        module.register_forward_hook(
            lambda module, args, y, name=name: seen.setdefault(name, []).append((args[0].double(), y.double()))
        )
        for name, module in model.named_modules()
        if isinstance(module, types)
    ]
    with torch.no_grad():
        model(x, timesteps)
    for handle in handles:
        handle.remove()
    return seen


# --- geometries ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Geometry:
    """A convolution of a C x H x W image; of a C x W signal where ``signal``."""

    size: tuple[int, int]
    channels: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] | str = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    mode: str = "zeros"
    transposed: bool = False
    output_padding: tuple[int, int] = (0, 0)
    signal: bool = False

    def layer(self) -> nn.Module:
        last = slice(1, None) if self.signal else slice(None)
        padding: Any = self.padding if isinstance(self.padding, str) else self.padding[last]
        settings: dict[str, Any] = {
            "kernel_size": self.kernel[last],
            "stride": self.stride[last],
            "padding": padding,
            "dilation": self.dilation[last],
            "groups": self.groups,
        }
        if self.transposed:
            kind: Any = nn.ConvTranspose1d if self.signal else nn.ConvTranspose2d
            return kind(*self.channels, output_padding=self.output_padding[last], **settings)
        return (nn.Conv1d if self.signal else nn.Conv2d)(*self.channels, padding_mode=self.mode, **settings)

    def synapses(self) -> reference.Synapses:
        image = (self.channels[0], *self.size)
        if self.transposed:
            kernel = (self.channels[0], self.channels[1] // self.groups, *self.kernel)
            settings = (self.padding, self.output_padding, self.dilation, self.groups)
            return reference.transposed_synapses(image, kernel, self.stride, *settings)
        kernel = (self.channels[1], self.channels[0] // self.groups, *self.kernel)
        return reference.conv_synapses(image, kernel, self.stride, self.padding, self.dilation, self.groups, self.mode)


NAMED = {  # those of energy.md, section 4.3
    "k3 p0": Geometry((9, 9), (4, 8), (3, 3)),
    "k3 p1": Geometry((9, 9), (4, 8), (3, 3), padding=(1, 1)),
    "k3 s2 p1": Geometry((9, 9), (4, 8), (3, 3), (2, 2), (1, 1)),
    "k7 s2 p3": Geometry((9, 9), (4, 8), (7, 7), (2, 2), (3, 3)),
    "k3 dilated": Geometry((9, 9), (4, 8), (3, 3), (1, 1), (2, 2), (2, 2)),
    "k3x5": Geometry((9, 9), (4, 8), (3, 5), (1, 1), (1, 2)),
    "gaps": Geometry((9, 9), (4, 8), (2, 2), (3, 3)),
    "depthwise": Geometry((9, 9), (4, 8), (3, 3), padding=(1, 1), groups=4),
    "same": Geometry((9, 9), (4, 8), (3, 3), padding="same"),
    "same, even kernel": Geometry((9, 8), (4, 8), (4, 2), padding="same"),
    "circular": Geometry((9, 9), (4, 8), (3, 3), padding=(1, 1), mode="circular"),
    "reflect": Geometry((9, 9), (4, 8), (3, 3), padding=(1, 1), mode="reflect"),
    "1x1": Geometry((9, 9), (4, 8), (1, 1)),
    "transposed": Geometry((5, 6), (4, 8), (3, 3), (2, 2), (1, 1), transposed=True, output_padding=(1, 0)),
}


def drawn(seed: int) -> Geometry:
    """A random geometry: one of four is 1-d, one of five transposed."""
    rng = np.random.default_rng(seed)

    def two(low: int, high: int) -> Any:
        return tuple(int(v) for v in rng.integers(low, high + 1, 2))

    signal, transposed = seed % 4 == 3, seed % 5 == 4
    size, kernel, stride, dilation, padding = two(5, 8), two(1, 3), two(1, 3), two(1, 2), two(0, 2)
    output_padding = tuple(min(int(rng.integers(0, 2)), s - 1) for s in stride)
    mode = str(rng.choice(["zeros", "zeros", "circular", "reflect", "replicate"]))
    if signal:
        size, kernel, stride, dilation = (1, size[1] + 4), (1, kernel[1]), (1, stride[1]), (1, dilation[1])
        padding, output_padding = (0, padding[1]), (0, output_padding[1])
    if transposed:
        mode, padding = "zeros", tuple(min(p, d * (k - 1)) for p, d, k in zip(padding, dilation, kernel, strict=True))
    elif stride == (1, 1) or seed % 7 == 6:
        stride, padding = (1, 1), "same"
    channels = (4, int(rng.choice([4, 8])))
    groups = int(rng.choice([1, 1, 2, 4]))
    return Geometry(
        size, channels, kernel, stride, padding, dilation, groups, mode, transposed,
        output_padding if transposed else (0, 0), signal,
    )  # fmt: skip


GEOMETRIES = {**NAMED, **{f"drawn {seed}": drawn(seed) for seed in range(40 - len(NAMED))}}
every_geometry = pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)


def holed(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    """Normal values, a quarter of them 0."""
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.normal(size=shape) * (rng.random(shape) < 0.75), dtype=torch.float32)


def check_pairs(counts: Any, synapses: reference.Synapses, entering_TN: Any, spikes: bool, weight: Any = None) -> None:
    """Compares the rows of ``layer`` with the enumeration, for every step."""
    i = list(counts.names).index("layer")
    for t, x_N in enumerate(entering_TN):
        expected = reference.count_pairs(synapses, x_N, weight)
        assert counts.dense_mac[i, t] == expected["dense"] or weight is not None
        assert counts.inbounds_mac[i, t] == expected["inbounds"] or weight is not None
        assert counts.ac[i, t] == (expected["nonzero"] if spikes else 0)
        assert counts.mac[i, t] == (0 if spikes else expected["nonzero"])
        assert 0 < expected["nonzero"] < expected["inbounds"] <= expected["dense"]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("spikes", [True, False], ids=["binary", "analog"])
@every_geometry
def test_pairs_are_those_that_enumeration_finds(geometry: Geometry, spikes: bool) -> None:
    x = holed((2, 2, geometry.channels[0], *geometry.size))
    counts = count_operations(OneLayer(geometry.layer(), spikes, 2 if geometry.signal else 3), x, 2)
    entering = (x > 0).double() if spikes else x
    check_pairs(counts, geometry.synapses(), entering.numpy(), spikes)
    assert list(counts.inputs)[list(counts.names).index("layer")] == ("binary" if spikes else "data")
    assert list(counts.warnings) == list(counts.not_counted) == []


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@every_geometry
def test_dense_macs_are_half_the_flops_that_torch_counts(geometry: Geometry) -> None:
    model = OneLayer(geometry.layer(), True, 2 if geometry.signal else 3)
    x = holed((2, 2, geometry.channels[0], *geometry.size))
    with FlopCounterMode(display=False) as flops, torch.no_grad():
        model(x, 2)
    assert 2 * count_operations(model, x, 2).dense_mac.sum() == flops.get_total_flops()


@pytest.mark.parametrize("spikes", [True, False], ids=["binary", "analog"])
@pytest.mark.parametrize("name", ["k3 s2 p1", "depthwise", "gaps", "circular", "transposed"])
def test_synapses_of_weight_0_are_left_out_on_request(name: str, spikes: bool) -> None:
    geometry = NAMED[name]
    layer: Any = geometry.layer()
    with torch.no_grad():
        layer.weight[torch.rand(layer.weight.shape, generator=torch.Generator().manual_seed(3)) < 0.5] = 0
    model, x = OneLayer(layer, spikes), holed((2, 2, 4, *geometry.size))
    entering = ((x > 0).double() if spikes else x).numpy()
    pruned = count_operations(model, x, 2, skip_zero_weights=True)
    check_pairs(pruned, geometry.synapses(), entering, spikes, layer.weight.detach().numpy())
    check_pairs(count_operations(model, x, 2), geometry.synapses(), entering, spikes)
    assert pruned.skip_zero_weights == 1


@pytest.mark.parametrize("spikes", [True, False], ids=["binary", "analog"])
@pytest.mark.parametrize("zeros", [False, True], ids=["full", "pruned"])
def test_pairs_of_a_linear_layer(spikes: bool, zeros: bool) -> None:
    layer = nn.Linear(18, 7)
    with torch.no_grad():
        layer.weight[::2, ::3] = 0
    x = holed((3, 2, 2, 3, 3))
    counts = count_operations(OneLayer(layer, spikes, 1), x, 3, skip_zero_weights=zeros)
    entering = ((x > 0).double() if spikes else x).flatten(2).numpy()
    weight = layer.weight.detach().numpy() if zeros else None
    check_linear = reference.linear_synapses(18, 7)
    i = list(counts.names).index("layer")
    for t in range(3):
        expected = reference.count_pairs(check_linear, entering[t], weight)
        assert counts.ac[i, t] + counts.mac[i, t] == expected["nonzero"]
        assert (counts.mac if spikes else counts.ac)[i, t] == 0
        assert zeros or counts.inbounds_mac[i, t] == counts.dense_mac[i, t] == expected["dense"] == 2 * 18 * 7


@pytest.mark.parametrize("side", [2, 4, 6, 8, 16, 32])
def test_padding_taps_of_a_3x3_convolution_follow_the_closed_form(side: int) -> None:
    # dense / in-bounds = 9 H^2 / (3 H - 2)^2: 2.25 at H = 2, 1.043 at 32
    counts = count_operations(OneLayer(nn.Conv2d(2, 3, 3, padding=1), True), torch.ones(1, 2, side, side), 2)
    assert (counts.dense_mac * (3 * side - 2) ** 2 == counts.inbounds_mac * 9 * side**2).all()
    assert counts.inbounds_mac.sum(0).tolist() == counts.ac.sum(0).tolist() == [2 * 3 * (3 * side - 2) ** 2] * 2


# --- the tiny network of energy.md, section 4.1 -------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny() -> Any:
    model, x = Tiny("time", lambda axis: LIF()), dyadic((2, 3, 8, 8), 1)
    return model, x, count_operations(model, x, 4)


def test_every_layer_of_the_tiny_network_equals_the_hand_count(tiny: Any) -> None:
    model, x, counts = tiny
    convs = {
        "conv1": reference.conv_synapses((3, 8, 8), (4, 3, 3, 3), (1, 1), (1, 1), (1, 1), 1, "zeros"),
        "conv2": reference.conv_synapses((4, 8, 8), (8, 4, 3, 3), (2, 2), (1, 1), (1, 1), 1, "zeros"),
        "conv3": reference.conv_synapses((8, 2, 2), (8, 4, 3, 3), (1, 1), (1, 1), (1, 1), 2, "zeros"),
        "fc": reference.linear_synapses(32, 10),
    }
    seen, rows = recorded(model, x, 4, (nn.Conv2d, nn.Linear)), table(counts)
    assert convs.keys() == seen.keys()
    for name, synapses in convs.items():
        [(entering, _)] = seen[name]
        for t, x_N in enumerate(entering.unflatten(0, (4, 2)).numpy()):
            hand = reference.count_pairs(synapses, x_N)
            spikes = name in ("conv2", "fc")
            expected = {
                "dense_mac": hand["dense"],
                "inbounds_mac": hand["inbounds"],
                "mac": 0 if spikes else hand["nonzero"],
                "ac": hand["nonzero"] if spikes else 0,
                "unit_ac": reference.count_pairs(synapses, 4 * x_N)["units"] if name == "conv3" else 0,
            }
            assert {column: rows[name][column][t] for column in expected} == expected, (name, t)
            assert hand["nonzero"] > 0


def test_the_tiny_network_has_the_published_totals(tiny: Any) -> None:
    # those that do not depend on the input, of one sample and four steps
    _, _, counts = tiny
    rows = table(counts)

    def per_sample(column: str) -> dict[str, int]:
        return {name: sum(row[column]) // 2 for name, row in rows.items() if sum(row[column])}

    assert per_sample("dense_mac") == {"conv1": 27648, "conv2": 18432, "conv3": 4608, "fc": 1280}
    assert per_sample("inbounds_mac") == {"conv1": 23232, "conv2": 15488, "conv3": 2048, "fc": 1280}
    assert per_sample("norm_mac") == {"bn1": 4 * 256, "bn2": 4 * 128, "bn3": 4 * 32}
    assert sum(per_sample("bias_add").values()) == 1704  # once normalisations are folded
    assert (per_sample("bias_add")["conv1"], per_sample("bias_add")["fc"]) == (4 * 256, 4 * 10)
    for column in ("neuron_mul", "neuron_add", "neuron_compare"):
        assert sum(per_sample(column).values()) == 1664
    assert sum(per_sample("residual_add").values()) == 128


def test_the_tiny_network_is_classified_by_what_made_its_tensors(tiny: Any) -> None:
    _, _, counts = tiny
    rows = table(counts)
    assert {name: row["input"] for name, row in rows.items() if row["weights"] and row["input"]} == {
        "conv1": "data",
        "conv2": "binary",
        "conv3": "pooled",
        "fc": "binary",
    }
    assert [name for name, row in rows.items() if row["static"] and row["input"]] == ["conv1"]
    assert rows["conv3"]["foldable"] == 1
    assert {name: row["weights"] for name, row in rows.items() if row["input"]} == {
        "conv1": 108, "conv2": 288, "conv3": 288, "fc": 320,
    }  # fmt: skip
    assert {name: row["neurons"] for name, row in rows.items() if row["neurons"]} == {
        "lif1": 256, "lif2": 128, "lif3": 32,
    }  # fmt: skip
    assert list(counts.warnings) == list(counts.not_counted) == []
    order = [name for name in list(counts.names) if name]
    assert [n for n in order if n in dict(Tiny().named_children())] == [n for n, _ in Tiny().named_children()]


def test_side_columns_of_the_tiny_network(tiny: Any) -> None:
    model, x, counts = tiny
    rows, seen = table(counts), recorded(model, x, 4, (LIF, nn.AvgPool2d))
    for name in ("lif1", "lif2", "lif3"):
        [(_, spikes)] = seen[name]
        fired = spikes.flatten(1).sum(1).tolist()
        assert rows[name]["spikes"] == rows[name]["neuron_reset"] == fired
        assert 0 < sum(fired) < spikes.numel()
    [(entering, _)] = seen["pool"]
    assert rows["pool"]["pool_add"] == (entering.unflatten(0, (4, 2)) != 0).flatten(1).sum(1).tolist()
    assert sum(sum(row["pool_add"]) for row in rows.values()) == sum(rows["pool"]["pool_add"])
    readout = sum(sum(row["readout_add"]) for row in rows.values())
    assert 3 * 2 * 10 <= readout <= 4 * 2 * 10


def test_a_neuron_without_leak_multiplies_nothing() -> None:
    counts = count_operations(Tiny("time", lambda axis: IF()), dyadic((2, 3, 8, 8), 1), 3)
    assert counts.neuron_mul.sum() == 0
    assert counts.neuron_add.sum() == 3 * 2 * 416


def test_spike_statistics_are_those_of_the_recorded_spikes(tiny: Any) -> None:
    model, x, counts = tiny
    rows = table(counts)
    extremes = set()
    for name, [(_, spikes)] in recorded(model, x, 4, LIF).items():
        fired_TBN = spikes.flatten(2).numpy() > 0
        for t in range(4):
            so_far = fired_TBN[: t + 1]
            never = int((~so_far.any(axis=(0, 1))).sum())
            always = int(so_far.all(axis=(0, 1)).sum())
            assert (rows[name]["never_fired"][t], rows[name]["always_fired"][t]) == (never, always)
            extremes |= {("never", never > 0), ("always", always > 0)}
        assert rows[name]["neurons"] == fired_TBN.shape[2]
        assert rows[name]["neuron_compare"] == [fired_TBN[0].size] * 4
    assert {("never", True), ("always", True)} <= extremes  # or the test would say nothing


# --- layouts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sequence", [False, True], ids=["static", "sequence"])
@pytest.mark.parametrize(("timesteps", "samples"), [(4, 2), (2, 4), (1, 3), (3, 1), (3, 3), (1, 1)])
def test_the_layout_of_a_run_changes_no_count(timesteps: int, samples: int, sequence: bool) -> None:
    x = dyadic((*([timesteps] if sequence else []), samples, 3, 8, 8), 2)
    with torch.no_grad():
        outputs = [Tiny(layout)(x, timesteps) for layout in ("time", "batch", "merged", "loop")]
    assert all(torch.equal(output, outputs[0]) for output in outputs)
    rows = {
        layout: table(count_operations(Tiny(layout), x, timesteps)) for layout in ("time", "batch", "merged", "loop")
    }
    assert sum(rows["time"]["conv2"]["ac"]) > 0
    for layout in ("batch", "merged", "loop"):
        assert rows[layout].keys() == rows["time"].keys()
        for name, row in rows["time"].items():
            assert rows[layout][name] == row, (layout, name)


@pytest.mark.parametrize("layout", ["time", "batch", "merged", "loop"])
@pytest.mark.parametrize("plant", ["silent ends", "silent start", "all the same", "two of four the same"])
def test_the_layout_is_told_from_samples_that_tell_little(layout: str, plant: str) -> None:
    x = dyadic((4, 3, 8, 8), 2)
    if plant == "silent ends":
        x[0] = x[-1] = -1.0
    elif plant == "silent start":
        x[:2] = -1.0
    else:
        x[1:] = x[:1] if plant == "all the same" else torch.stack([x[1], x[0], x[1]])
    alone = [table(count_operations(Tiny(layout), sample, 3)) for sample in x.split(1)]
    whole = table(count_operations(Tiny(layout), x, 3))
    for name, row in whole.items():
        for column in OVER_SAMPLES:
            assert np.sum([part[name][column] for part in alone if name in part], axis=0).tolist() == row[column], name
    assert {name for part in alone for name in part} == whole.keys()


def test_a_network_that_runs_for_one_number_of_steps_only_is_counted() -> None:
    class Fixed(Tiny):
        def forward(self, x: torch.Tensor, timesteps: int) -> torch.Tensor:
            if timesteps != 4:
                raise ValueError(f"this network takes 4 timesteps, got {timesteps}")
            return super().forward(x, timesteps)

    x = dyadic((2, 3, 8, 8), 2)
    for layout in ("time", "batch"):
        assert table(count_operations(Fixed(layout), x, 4)) == table(count_operations(Tiny(layout), x, 4))


@pytest.mark.parametrize("layout", ["time", "batch", "merged", "loop"])
def test_later_batches_have_the_layout_of_the_first(layout: str) -> None:
    x, labels = dyadic((7, 3, 8, 8), 2), torch.zeros(7, dtype=torch.int64)
    x[:2] = -1.0  # the first batch is silent
    batches = [(x[:2], labels[:2]), (x[2:6], labels[2:6]), (x[6:], labels[6:])]
    counts = compute_operations(Tiny(layout), batches, 3)
    assert table(counts) == table(count_operations(Tiny("time"), x, 3))
    assert list(counts.warnings) == list(counts.not_counted) == []


def test_neurons_of_tetviz_and_plain_ones_count_the_same() -> None:
    x = dyadic((2, 3, 8, 8), 2)
    ours = table(count_operations(Tiny("time", lambda axis: LIF()), x, 4))
    plain = table(count_operations(Tiny(), x, 4))
    for name, row in ours.items():
        for column in [*PAIRS, "bias_add", "norm_mac", "residual_add", "pool_add", "spikes", "neurons", "input"]:
            assert plain[name][column] == row[column], (name, column)


# --- runs that add up ---------------------------------------------------------------------------------------


SIDES = {"snn5": 16, "vggsnn": 16, "resnet19": 8}


@functools.cache
def tetviz_network(name: str) -> nn.Module:
    """A narrow network with statistics of its own, so that it spikes."""
    torch.manual_seed(2)
    side = SIDES[name]
    model = build(name, width=0.1, in_channels=2, image_size=side, num_classes=5)
    with torch.no_grad():
        for _ in range(8):
            model(torch.randn(4, 2, side, side), 2)
    return model.eval()


@pytest.mark.parametrize("sequence", [False, True], ids=["static", "sequence"])
@pytest.mark.parametrize("name", ["snn5", "vggsnn", "resnet19"])
def test_a_long_run_holds_every_shorter_one(name: str, sequence: bool) -> None:
    model, side = tetviz_network(name), SIDES[name]
    x = torch.randn(*([8] if sequence else []), 2, 2, side, side, generator=torch.Generator().manual_seed(1))
    long = count_operations(model, x, 8)
    assert long.ac.shape == (len(list(long.names)), 8)
    assert (long.ac.sum(0) > 0).all()
    for t in range(1, 9):
        short = count_operations(model, x, t)
        assert list(short.names) == list(long.names)
        assert list(short.inputs) == list(long.inputs)
        for column in COUNTS:
            np.testing.assert_array_equal(getattr(short, column), getattr(long, column)[:, :t], err_msg=column)


@pytest.mark.parametrize("name", ["snn5", "vggsnn", "resnet19"])
def test_counts_of_the_networks_equal_those_of_their_layers_inputs(name: str) -> None:
    # independent of the fan-out maps: the number of non-zero taps of every output, by a convolution of the mask
    model, x, timesteps = tetviz_network(name), torch.randn(2, 2, SIDES[name], SIDES[name]), 3
    rows = table(count_operations(model, x, timesteps))
    layers = dict(model.named_modules())
    seen = recorded(model, x, timesteps, (nn.Conv2d, nn.Linear))
    assert seen.keys() == {n for n, row in rows.items() if row["input"]}
    for layer, calls in seen.items():
        module: Any = layers[layer]
        entering = torch.cat([x for x, _ in calls])
        mask, ones = (entering != 0).double(), torch.ones_like(module.weight, dtype=torch.float64)
        if isinstance(module, nn.Linear):
            taps = F.linear(mask, ones)
        else:
            taps = F.conv2d(mask, ones, None, module.stride, module.padding, module.dilation, module.groups)
        expected = taps.unflatten(0, (timesteps, 2)).flatten(1).sum(1).tolist()
        spikes = rows[layer]["input"] == "binary"
        assert rows[layer]["ac" if spikes else "mac"] == expected
        assert sum(rows[layer]["mac" if spikes else "ac"]) == 0
    assert {row["input"] for row in rows.values()} == {"", "data", "binary", "pooled"}


@pytest.mark.parametrize("layout", ["time", "loop"])
def test_a_batch_is_the_sum_of_its_samples(layout: str) -> None:
    x = dyadic((4, 3, 8, 8), 5)
    whole = table(count_operations(Tiny(layout), x, 3))
    for parts in (x.split(1), x.split([1, 3])):
        rows = [table(count_operations(Tiny(layout), part, 3)) for part in parts]
        for name, row in whole.items():
            for column in OVER_SAMPLES:
                assert np.sum([part[name][column] for part in rows], axis=0).tolist() == row[column], (name, column)
            for column in ("never_fired", "always_fired"):
                assert (np.min([part[name][column] for part in rows], axis=0) >= row[column]).all()


def test_the_order_of_the_samples_is_of_no_account() -> None:
    x = dyadic((4, 3, 8, 8), 5)
    assert table(count_operations(Tiny(), x, 3)) == table(count_operations(Tiny(), x.flip(0), 3))


def test_the_result_says_what_it_was_measured_on() -> None:
    model, x, labels = tetviz_network("snn5"), torch.randn(6, 2, 16, 16), torch.arange(6) % 5
    counts, profile = compute_operations(model, (x, labels), 4), measure(model, (x, labels), 4)
    assert counts.timestep.tolist() == [1, 2, 3, 4]
    assert counts.sample.tolist() == list(range(6))
    assert table(counts) == table(count_operations(model, x, 4))
    for name in ("accuracy", "step_accuracy", "sdt_loss", "tet_loss"):
        np.testing.assert_allclose(getattr(counts, name), getattr(profile, name), rtol=1e-12)
        assert np.isnan(getattr(count_operations(model, x, 2), name)).all()
    assert all(isinstance(getattr(counts, name), tuple) for name in ("names", "modules", "inputs"))
    assert counts.modules[0] == "Conv2d"


def test_batches_add_up() -> None:
    model, x = tetviz_network("snn5"), torch.randn(5, 2, 16, 16)
    labels = torch.zeros(5, dtype=torch.int64)
    whole = table(compute_operations(model, [(x, labels)], 3))
    parts = table(compute_operations(model, [(x[:2], labels[:2]), (x[2:], labels[2:])], 3))
    assert parts == whole  # never_fired and always_fired too: they are over all samples of all batches


@pytest.mark.parametrize("layout", ["time", "batch", "loop", "streamed"])
def test_a_sample_counts_up_to_its_own_end(layout: str) -> None:
    streamed = layout == "streamed"
    model = tetviz_network("snn5") if streamed else Tiny(layout)
    x_TB = torch.randn(4, 5, 2, 16, 16) if streamed else dyadic((4, 5, 3, 8, 8), 2)
    lengths_B = torch.tensor([2, 4, 1, 2, 3])
    x_TB[torch.arange(4)[:, None] >= lengths_B] = 8.0
    labels_BT = mask_labels(torch.zeros(5, dtype=torch.int64), lengths_B, 4)
    batches = [(x_TB[:, :2], labels_BT[:2]), (x_TB[:, 2:], labels_BT[2:])]
    counts = compute_operations(model, batches, 4)
    alone = [count_operations(model, x_TB[:n, i : i + 1], int(n)) for i, n in enumerate(lengths_B)]
    for column in OVER_SAMPLES:
        for row, name in enumerate(counts.names):
            expected = np.zeros(4, np.int64)
            for each in alone:
                if name in each.names:
                    steps = getattr(each, column)[each.names.index(name)]
                    expected[: len(steps)] += steps
            np.testing.assert_array_equal(getattr(counts, column)[row], expected, err_msg=f"{name} {column}")
    assert counts.not_counted == () and counts.length is not None
    assert counts.length.tolist() == lengths_B.tolist() and counts.step_runs.tolist() == [5, 4, 2, 1]
    np.testing.assert_array_equal(counts.accuracy, measure(model, batches, 4).accuracy)
    report, own = estimate_energy(counts), [estimate_energy(each).total_pj[-1] for each in alone]
    assert report.total_pj[-1] == pytest.approx(np.mean(own))
    heard("; ".join(report.notes), "1 to 4 of 4 steps own end")


def test_lengths_of_the_whole_run_count_the_same() -> None:
    model, x_TB, labels_B = Tiny("time"), dyadic((4, 5, 3, 8, 8), 2), torch.zeros(5, dtype=torch.int64)
    counts = compute_operations(model, [(x_TB, mask_labels(labels_B, torch.full((5,), 3), 4))], 3)
    assert table(counts) == table(compute_operations(model, [(x_TB, labels_B)], 3)) and counts.length is None


@pytest.mark.parametrize(
    ("name", "settings", "dense", "inbounds", "pooled"),
    [
        ("resnet19", {"num_classes": 100}, 2_216_518_656, 2_038_974_208, 131_072),
        ("vggsnn", {"in_channels": 2, "image_size": 48}, 1_361_654_784, 1_238_275_584, None),
    ],
)
def test_dense_and_inbounds_macs_of_the_papers_networks(
    name: str, settings: Any, dense: int, inbounds: int, pooled: int | None
) -> None:
    model = build(name, **settings).eval()
    side, channels = (32, 3) if name == "resnet19" else (48, 2)
    counts = count_operations(model, torch.randn(1, channels, side, side), 1)
    assert (counts.dense_mac.sum(), counts.inbounds_mac.sum()) == (dense, inbounds)
    behind_pools = counts.dense_mac[[kind == "pooled" for kind in list(counts.inputs)]].sum()
    assert behind_pools == pooled if pooled else round(behind_pools / dense, 3) == 0.312


def test_functional_layers_are_seen() -> None:
    model, x = Functional(), dyadic((2, 3, 6, 6), 4)
    counts = count_operations(model, x, 2)
    taps = (3 * 6 - 2) ** 2
    assert counts.inbounds_mac.sum(0).tolist() == [2 * (4 * 3 * taps + 2 * 4 * 4 * taps + 40)] * 2
    s = (F.conv2d(x, model.kernel, padding=1) > 0).double()
    expected = 0
    for _ in range(2):
        expected += int(F.conv2d(s, torch.ones(4, 4, 3, 3).double(), padding=1).sum())
        s = (F.conv2d(s, model.again.double(), padding=1) > 0).double()
    expected += int(s.amax((2, 3)).sum()) * 10
    assert counts.ac.sum(0).tolist() == [expected] * 2
    assert (
        counts.mac.sum(0).tolist()
        == [int((F.conv2d((x != 0).double(), torch.ones(4, 3, 3, 3).double(), padding=1)).sum())] * 2
    )
    assert list(counts.not_counted) == []
    assert counts.spikes.sum() == 0
    heard(counts.warnings[0], "spikes returns")
