"""Published weights against independent implementations of the published networks, and files that are not theirs."""

import argparse
import importlib

import published_layouts as plain
import pytest
import torch
from click.testing import CliRunner
from torch import nn
from wording import heard, refuses

from tetviz.cli import main
from tetviz.errors import CheckpointError
from tetviz.models import build
from tetviz.training import Checkpoint
from tetviz.training.data.torchvision import import_torchvision
from tetviz.training.layouts import LAYOUTS
from tetviz.training.published import convert, detect_layout, read_published

# layout: model, network, channels and side of an image, options, keys and tensors, lift
CASES = {
    "tet-resnet19": ("resnet19", lambda: plain.TETResNet19(), (3, 8), {}, (415, 124), 0),
    "tet-resnet19, CIFAR-100": ("resnet19", lambda: plain.TETResNet19(100, 0.25), (3, 8), {}, (415, 124), 0.3),
    "tet-resnet19, wide stem": ("resnet19", lambda: plain.TETResNet19(10, 0.25, 128), (3, 8), {}, (404, 118), 0.3),
    "tet-vggsnn": ("vggsnn", lambda: plain.TETVGGSNN(side=16), (2, 16), {}, (58, 58), 0),
    "tet-vggsnn-nopool": ("vggsnn-nopool", lambda: plain.TETVGGSNN(side=32, pool=False), (2, 32), {}, (58, 58), 0),
    "stbp-resnet19": ("resnet19", lambda: plain.STBPResNet19(), (3, 8), {}, (230, 124), 0),
    "sew-resnet": ("sew-resnet18", lambda: plain.FangResNet(18, "ADD"), (3, 32), {}, (122, 122), 0),
    "sew-resnet, AND": (
        *("sew-resnet34", lambda: plain.FangResNet(34, "AND", width=0.25), (3, 32), {"connect": "AND"}),
        *((218, 218), 0.9),
    ),
    "sew-resnet, IAND": (
        *("sew-resnet50", lambda: plain.FangResNet(50, "IAND", width=0.25), (3, 32), {"connect": "IAND"}),
        *((320, 320), 0),
    ),
    "sew-resnet, 101": (
        *("sew-resnet101", lambda: plain.FangResNet(101, "ADD", width=0.0625), (3, 32), {"connect": "ADD"}),
        *((626, 626), 0),
    ),
    "spiking-resnet": ("spiking-resnet18", lambda: plain.FangResNet(18), (3, 32), {}, (122, 122), 0),
    "spiking-resnet, 34": ("spiking-resnet34", lambda: plain.FangResNet(34, width=0.25), (3, 32), {}, (218, 218), 0),
    "ms-resnet": ("ms-resnet18", lambda: plain.MSResNet(18), (3, 32), {}, (128, 128), 0),
    "ms-resnet, 34": ("ms-resnet34", lambda: plain.MSResNet(34, width=0.25), (3, 32), {}, (224, 224), 0),
    "ms-resnet104": ("ms-resnet104", lambda: plain.MSResNet(104, width=0.25), (3, 64), {}, (649, 649), 0),
}


@pytest.mark.parametrize("case", CASES)
def test_outputs_are_those_of_the_published_network(case):
    model, make, (channels, side), options, (keys, tensors), lift = CASES[case]
    network = plain.randomise(make(), lift=lift)
    published = convert(network.state_dict(), model, options=options)
    assert (published.layout, published.spec.name) == (case.partition(",")[0], model)
    assert (len(network.state_dict()), published.keys, len(published.state)) == (keys, keys, tensors)
    imported = build(published.spec).double().eval()
    imported.load_state_dict(published.state)
    x_BCHW = torch.randn(3, channels, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, logits_TBK = network(x_BCHW, 3), imported(x_BCHW, 3)
    got = logits_TBK if expected.dim() == 3 else logits_TBK.mean(0)
    assert expected.shape == got.shape
    assert (got - expected).abs().max() < 1e-9
    # The network is alive: other steps and other samples give other outputs.
    assert (logits_TBK[1:] - logits_TBK[:-1]).abs().amax((1, 2)).max() > 1e-3
    assert (logits_TBK[:, 1:] - logits_TBK[:, :-1]).abs().max() > 1e-3


def test_event_frames_too():
    network = plain.randomise(plain.TETVGGSNN(side=16, width=0.25))
    published = convert(network.state_dict())
    imported = build(published.spec).double().eval()
    imported.load_state_dict(published.state)
    x_TBCHW = torch.rand(3, 2, 2, 16, 16, dtype=torch.float64)
    with torch.no_grad():
        assert (network(x_TBCHW) - imported(x_TBCHW)).abs().max() < 1e-9


@pytest.fixture(scope="module")
def resnet19():
    return plain.randomise(plain.TETResNet19(width=0.0625)).state_dict()


def test_shapes_tell_width_channels_classes_and_image(resnet19):
    spec = convert(resnet19).spec
    assert (spec.width, spec.in_channels, spec.num_classes, spec.image_size) == (0.0625, 3, 10, 32)
    assert (spec.neuron, spec.leak, spec.threshold, spec.norm, dict(spec.options)) == ("lif", 0.5, 1.0, "bn", {})
    vgg = convert(plain.TETVGGSNN(classes=7, channels=1, side=48, width=0.125).state_dict()).spec
    assert (vgg.width, vgg.in_channels, vgg.num_classes, vgg.image_size) == (0.125, 1, 7, 48)
    sew = convert(plain.FangResNet(18, "ADD", classes=3, width=0.0625).state_dict(), options={"connect": "AND"}).spec
    assert (sew.neuron, sew.detach_reset, sew.num_classes, sew.options["connect"]) == ("if", True, 3, "AND")
    ms = convert(plain.MSResNet(18, width=0.0625).state_dict(), threshold=1.0).spec
    assert (ms.leak, ms.threshold, ms.image_size, ms.num_classes) == (0.25, 1.0, 224, 1000)


def test_marks_tell_layouts_apart():
    for case, (_, make, _, _, _, _) in CASES.items():
        with torch.device("meta"):
            keys = make().state_dict()
        assert detect_layout(keys) == case.partition(",")[0]
        assert [name for name, layout in LAYOUTS.items() if layout.mark in keys] == [case.partition(",")[0]]


@pytest.mark.parametrize("wrapper", [None, "model", "state_dict", "model_state_dict", "net"])
@pytest.mark.parametrize("prefix", ["", "module.", "module.module."])
def test_wrappers_and_prefixes_come_off(resnet19, wrapper, prefix):
    bare = convert(resnet19).state
    content = {prefix + name: tensor for name, tensor in resnet19.items()}
    content = {wrapper: content, "epoch": 3, "args": argparse.Namespace(lr=0.1)} if wrapper else content
    assert all(torch.equal(tensor, bare[name]) for name, tensor in convert(content).state.items())


def test_what_is_left_out_and_filled_in_is_said(resnet19):
    bare = convert(resnet19)
    content = {f"net.{name}": tensor for name, tensor in resnet19.items() if "num_batches" not in name}
    published = convert({"state_dict": content | {"loss_fn.weight": torch.ones(10)}, "epoch": 3})
    assert all(torch.equal(t, bare.state[n]) for n, t in published.state.items() if "num_batches" not in n)
    assert published.state.keys() == bare.state.keys()
    came_off, filled, left = published.notes
    assert came_off == "net came off the names of the tensors"
    assert filled.startswith("not in the file, set to 0: ") and filled.endswith(" in all (counters of batch norm)")
    assert left == "left out, beside the network: loss_fn.weight"
    assert bare.notes == ()


@pytest.fixture(scope="module")
def zoo():
    import_torchvision()  # which SpikingJelly's models import
    return pytest.importorskip("spikingjelly.activation_based.model")


ZOO = {
    "sj-sew-resnet": ("sew_resnet", "sew_resnet18", "sew-resnet18", {"cnf": "ADD"}),
    "sj-sew-resnet, AND": ("sew_resnet", "sew_resnet34", "sew-resnet34", {"cnf": "AND"}),
    "sj-sew-resnet, IAND": ("sew_resnet", "sew_resnet18", "sew-resnet18", {"cnf": "IAND"}),
    "sj-spiking-resnet": ("spiking_resnet", "spiking_resnet18", "spiking-resnet18", {}),
    "sj-ms-resnet": ("ms_resnet", "ms_resnet18", "ms-resnet18", {"T": 3}),
}


@pytest.mark.parametrize("case", ZOO)
def test_the_networks_of_spikingjelly(zoo, case):
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    functional = pytest.importorskip("spikingjelly.activation_based.functional")
    module, function, model, arguments = ZOO[case]
    build_zoo = getattr(importlib.import_module(f"{zoo.__name__}.{module}"), function)
    arguments |= {} if "ms" in module else {"spiking_neuron": neuron.IFNode}
    network = plain.randomise(build_zoo(num_classes=10, **arguments), lift=0.9 if "AND" in case else 0)
    functional.set_step_mode(network, "m")
    options = {"connect": arguments["cnf"]} if "cnf" in arguments else {}
    published = convert(network.state_dict(), model, options=options)
    assert published.layout == case.partition(",")[0]
    imported = build(published.spec).double().eval()
    imported.load_state_dict(published.state)
    x_BCHW = torch.randn(2, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, logits_TBK = network(x_BCHW.repeat(3, 1, 1, 1, 1)), imported(x_BCHW, 3)
    got = logits_TBK if expected.dim() == 3 else logits_TBK.mean(0)
    assert (got - expected).abs().max() < 1e-9
    assert (logits_TBK[:, 1:] - logits_TBK[:, :-1]).abs().max() > 1e-3


def test_keys_of_two_networks_of_spikingjelly_need_the_name(zoo):
    network = importlib.import_module(f"{zoo.__name__}.sew_resnet").sew_resnet50(
        cnf="IAND", num_classes=10, spiking_neuron=nn.Identity
    )
    with pytest.raises(
        CheckpointError, match=r"several layouts, .*\(sj-sew-resnet\) and .*\(sj-spiking-resnet\); name"
    ):
        convert(network.state_dict())
    assert convert(network.state_dict(), "sew-resnet50").layout == "sj-sew-resnet"
    with pytest.raises(CheckpointError, match="joins the branches of sew-resnet50 with IAND in another way"):
        convert(network.state_dict(), "sew-resnet50", options={"connect": "IAND"})


def test_names_of_a_tensor_may_all_be_there_or_the_first_alone(resnet19):
    alone = {name: t for name, t in resnet19.items() if "_s." not in name and ".seqbn." not in name}
    assert len(alone) == 124
    assert convert(alone).keys == 124
    some = {name: t for name, t in resnet19.items() if name != "layer1.0.conv2_s.bn.seqbn.module.bias"}
    with refuses(CheckpointError, "layer1.0.conv2_s.bn.seqbn.module.bias"):
        convert(some)


def test_precision_is_the_files_and_float32_at_least(resnet19):
    assert convert(resnet19).state["fc2.weight"].dtype == torch.float64
    half = {name: t.half() if t.is_floating_point() else t for name, t in resnet19.items()}
    state = convert(half).state
    assert state["fc2.weight"].dtype == torch.float32
    assert torch.equal(state["fc2.weight"], half["fc2.weight"].float())
    assert state["stem.norm.num_batches_tracked"].dtype == torch.int64


def changed(state, **tensors):
    return {**state, **{name.replace("__", "."): tensor for name, tensor in tensors.items()}}


def without(state, *names):
    return {name: tensor for name, tensor in state.items() if name not in names}


WRONG = {
    "an alias that disagrees": (
        lambda s: changed(s, layer2__1__conv1_s__layer__module__weight=s["layer2.1.conv1.weight"] + 1e-12),
        "layer2.1.conv1.weight layer2.1.conv1_s.layer.module.weight",
    ),
    "a missing key": (lambda s: without(s, "fc2.bias", "fc2_s.layer.module.bias"), "lacks fc2.bias fc2_s"),
    "many": (lambda s: without(s, *list(s)[5:25]), "lacks 17 20"),
    "an unknown key": (lambda s: changed(s, ghost__weight=torch.ones(1)), "unknown ghost.weight"),
    "a wrong shape": (
        lambda s: changed(s, fc2__bias=torch.zeros(7), fc2_s__layer__module__bias=torch.zeros(7)),
        "fc2.bias 7 10",
    ),
    "a wrong number of axes": (
        lambda s: changed(s, conv1__weight=torch.zeros(4), conv1_s__layer__module__weight=torch.zeros(4)),
        "conv1.weight 4 expected 3",
    ),
    "values that are not finite": (lambda s: changed(s, fc1__bias=s["fc1.bias"] / 0), "fc1.bias values"),
    "an empty tensor": (lambda s: changed(s, fc1__bias=torch.zeros(0)), "fc1.bias empty"),
    "a sparse tensor": (lambda s: changed(s, fc1__bias=s["fc1.bias"].to_sparse()), "fc1.bias dense"),
    "complex numbers": (lambda s: changed(s, fc1__bias=s["fc1.bias"] + 1j), "fc1.bias real"),
    "integers": (
        lambda s: changed(s, fc2__bias=torch.ones(10).long(), fc2_s__layer__module__bias=torch.ones(10).long()),
        "fc2.bias torch.int64 torch.float32",
    ),
    "a prefix on some": (
        lambda s: {f"net.{n}" if "fc" in n else n: t for n, t in s.items()},
        "lacks fc1.bias",
    ),
    "an empty dictionary": (lambda s: {}, "a dictionary of nothing"),
    "a list": (lambda s: list(s.values()), "of type list"),
    "numbers": (lambda s: {"a": 1, "b": 2}, "state_dict 'a', 'b'"),
    "keys that are no names": (lambda s: dict(enumerate(s.values())), "not all printable strings"),
    "a key of two lines": (lambda s: changed(s, **{"a\nb": torch.ones(1)}), "not all printable strings"),
    "variances below zero": (
        lambda s: changed(s, **{name: -tensor for name, tensor in s.items() if name.endswith("running_var")}),
        "bn1.bn.running_var",
    ),
    "two dictionaries": (lambda s: {"model": s, "net": {**s}}, "several (model, net)"),
    "a tetviz checkpoint": (lambda s: {"format": "tetviz-checkpoint", "state": s}, "tetviz checkpoint already"),
    "another network": (
        lambda s: {"layer1.0.conv1.weight": torch.ones(2), "fc.bias": torch.ones(2)},
        "2 layer1.0.conv1.weight fc.bias --factory",
    ),
    "two layouts": (
        lambda s: changed(s, features__10__fwd__module__0__weight=torch.ones(2)),
        "tet-resnet19",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(resnet19, case):
    change, message = WRONG[case]
    with refuses(CheckpointError, message) as raised:
        convert(change(resnet19))
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 600


def test_a_wrong_shape_far_behind_is_named_and_no_other():
    state = plain.MSResNet(18, width=0.0625).state_dict()
    name = "conv5_x.1.residual_function.4.weight"
    with refuses(CheckpointError, "0625 conv5_x.1.residual_function.4.weight 5 3"):
        convert({**state, name: torch.ones(5, 5, 3, 3)})


def test_the_network_that_was_asked_for_or_none(resnet19):
    with refuses(CheckpointError, "resnet19 tet-resnet19"):
        convert(resnet19, "vggsnn")
    small = plain.FangResNet(18, "ADD", width=0.0625).state_dict()
    with refuses(CheckpointError, "sew-resnet18 sew-resnet34"):
        convert(small, "sew-resnet34")
    with refuses(CheckpointError, "lacks unknown"):
        convert(small, layout="tet-resnet19")
    with refuses(CheckpointError, "fc2.weight 10 16 100"):
        convert(resnet19, num_classes=100)
    with pytest.raises(CheckpointError, match=r"width 1: conv1\.weight is \(4, .* and 100 more, 103 in all$"):
        convert(resnet19, width=1)
    with refuses(CheckpointError, "blocks.0.lif1.w"):
        convert(resnet19, neuron="plif")
    with refuses(CheckpointError, "other tensors"):
        convert(resnet19, options={"stem": 128})
    with refuses(ValueError, "'tet-resnet19'"):
        convert(resnet19, layout="tet-resnet-19")
    with refuses(ValueError, "'lif'"):
        convert(small, leak=0.5)
    assert convert(small, leak=0.5, neuron="lif").spec.leak == 0.5


def saved(content, path, **how):
    torch.save(content, path, **how)
    return path


def test_files_old_and_new_with_the_settings_of_a_training_script(resnet19, tmp_path):
    content = {"model": resnet19, "epoch": 319, "args": argparse.Namespace(lr=0.1)}
    for zipped in (True, False):
        path = saved(content, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
        published = read_published(path)
        assert torch.equal(published.state["fc2.weight"], resnet19["fc2.weight"])
    content = {"weights of mine": resnet19, "model": 3}
    assert read_published(saved(content, tmp_path / "w.pth"), key="weights of mine").keys == 415


def test_a_file_with_code_is_refused_and_not_run(resnet19, tmp_path):
    marker = tmp_path / "ran"

    class Hostile:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    for content in ({"model": resnet19, "args": Hostile()}, {**resnet19, "fc2.bias": Hostile()}, Hostile()):
        for zipped in (True, False):
            path = saved(content, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
            with refuses(CheckpointError, "io.open"):
                read_published(path)
    whole_network = saved(torch.nn.Linear(1, 1), tmp_path / "w.pth")
    with refuses(CheckpointError, "torch.nn.modules.linear.Linear"):
        read_published(whole_network)
    assert not marker.exists()


def test_a_file_cut_short_is_named(resnet19, tmp_path):
    for zipped in (True, False):
        path = saved(resnet19, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
        whole = path.read_bytes()
        for cut in (0, 1, 15, 200, len(whole) // 2, len(whole) - 10):
            path.write_bytes(whole[:cut])
            with refuses(CheckpointError, "w.pth"):
                read_published(path)
    path.write_text("<!DOCTYPE html><title>Sign in</title>")
    with refuses(CheckpointError, "damaged"):
        read_published(path)


def run(*arguments):
    result = CliRunner().invoke(main, ["import", *map(str, arguments)])
    return result.exit_code, result.output


def test_the_command_writes_a_checkpoint_that_measures(tmp_path):
    network = plain.TETResNet19(width=0.0625)
    network.conv1.weight = torch.nn.Parameter(torch.zeros(4, 1, 3, 3))
    state = plain.randomise(network).float().state_dict()
    weights = saved({f"module.{name}": tensor for name, tensor in state.items()}, tmp_path / "w.pth")
    target = tmp_path / "net.pt"
    arguments = (weights, "--model", "resnet19", "--timesteps", 3, "--data", "digits", "--image-size", 8, "-o", target)
    code, output = run(*arguments)
    assert code == 0, output
    heard(output, "tet-resnet19")
    heard(output, "124 tensors 415 291")
    heard(output, "0.5 V_th 1")
    checkpoint = Checkpoint.load(target)
    assert (checkpoint.timesteps, checkpoint.data["name"], checkpoint.spec.image_size) == (3, "digits", 8)
    assert checkpoint.training["layout"] == "tet-resnet19"
    x_BCHW = torch.rand(2, 1, 8, 8)
    with torch.no_grad():
        expected = network(x_BCHW, 3)
        assert (checkpoint.model()(x_BCHW) - expected).abs().max() < 1e-5
    code, output = run(*arguments)
    assert code == 1
    assert "exists already" in output
    assert run(*arguments, "--force", "--threshold", 0.8)[0] == 0
    assert Checkpoint.load(target).spec.threshold == 0.8


def test_the_command_explains_what_it_refuses(resnet19, tmp_path):
    weights, target = saved(resnet19, tmp_path / "w.pth"), tmp_path / "net.pt"
    always = (weights, "--timesteps", 4, "-o", target)
    for extra, code, message in (
        (("--model", "vggsnn"), 1, "holds resnet19, layout tet-resnet19, not vggsnn"),
        (("--data", "digits"), 1, "the network takes 3 channels"),
        (("--takes", "static", "--gives", "mean"), 2, "--takes: it is about the network of a --factory"),
        (("--factory", "nets:build", "--leak", "0.5"), 2, "--leak: --factory builds the network"),
        (("--factory", "nets:build", "--model-option", "stem=128"), 2, "--model-option: --factory builds"),
        (("--model-option", "stem"), 2, "expected NAME=VALUE"),
        (("--model-option", "colour=1"), 2, "does not take the option colour"),
        (("--layout", "sew-resnet"), 1, "lacks bn1.bias"),
    ):
        got, output = run(*always, *extra)
        assert got == code, output
        assert message in " ".join(output.split())
    assert not target.exists()
    code, output = run(*always)
    assert code == 0
    assert "no data set" in output
