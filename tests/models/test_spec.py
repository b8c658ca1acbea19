"""ModelSpec, the registry and build: round trips and refusals."""

import io
import json
import re
from dataclasses import FrozenInstanceError, fields
from typing import Any

import click
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import OF_CONVOLUTIONS, ONE_OF_EACH
from wording import refuses

from tetviz.commands.train import train
from tetviz.models import LIF, MODELS, NEURONS, RESETS, SURROGATES, ModelSpec, TdBN, build

NAMES = OF_CONVOLUTIONS
SMALL: dict[str, Any] = {"image_size": 16, "width": 0.05}

SPECS = st.builds(
    ModelSpec,
    name=st.sampled_from(NAMES),
    num_classes=st.integers(1, 5),
    in_channels=st.integers(1, 4),
    image_size=st.integers(16, 20),
    width=st.sampled_from([0.02, 0.05]),
    leak=st.floats(0, 1),
    threshold=st.floats(0.1, 2),
    surrogate=st.sampled_from(sorted(SURROGATES)),
    gamma=st.floats(0.1, 3),
    detach_reset=st.booleans(),
    detach_carry=st.booleans(),
    norm=st.sampled_from(["bn", "tdbn"]),
    reset=st.sampled_from(RESETS),
)


@given(spec=SPECS)
@settings(deadline=None, max_examples=20)
def test_plain_values_build_the_same_spec(spec: ModelSpec) -> None:
    values = spec.to_dict()
    assert set(values) == {f.name for f in fields(ModelSpec)}
    assert ModelSpec(**values) == spec
    assert ModelSpec(**json.loads(json.dumps(values))) == spec
    file = io.BytesIO()
    torch.save(values, file)
    file.seek(0)
    assert ModelSpec(**torch.load(file, weights_only=True)) == spec


@given(spec=SPECS)
@settings(deadline=None, max_examples=10)
def test_a_spec_builds_what_it_says(spec: ModelSpec) -> None:
    model = build(spec)
    neurons = [m for m in model.modules() if isinstance(m, LIF)]
    assert neurons
    assert {(n.leak, n.threshold, n.surrogate, n.gamma, n.detach_reset, n.detach_carry) for n in neurons} == {
        (spec.leak, spec.threshold, spec.surrogate, spec.gamma, spec.detach_reset, spec.detach_carry)
    }
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(isinstance(m, TdBN) == (spec.norm == "tdbn") for m in norms)
    assert {m.threshold for m in norms if isinstance(m, TdBN)} <= {spec.threshold}
    x = torch.zeros(2, spec.in_channels, spec.image_size, spec.image_size)
    assert model.eval()(x, 2).shape == (2, 2, spec.num_classes)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_state_moves_between_two_builds(name: str) -> None:
    spec = ModelSpec(name, **SMALL)
    first, second = build(spec).eval(), build(ModelSpec(**spec.to_dict())).eval()
    x = torch.randn(2, 3, 16, 16)
    second.load_state_dict(first.state_dict())
    with torch.no_grad():
        assert torch.equal(first(x, 3), second(x, 3))


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_the_seed_decides_the_weights(name: str) -> None:
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        states.append(torch.cat([p.flatten() for p in build(name, **SMALL).parameters()]))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_a_name_with_settings_is_a_spec() -> None:
    torch.manual_seed(0)
    by_name = build("resnet19", num_classes=7, stem=128, norm="tdbn", image_size=8, width=0.05)
    torch.manual_seed(0)
    spec = ModelSpec("resnet19", num_classes=7, norm="tdbn", image_size=8, width=0.05, options={"stem": 128})
    by_spec = build(spec)
    for (key, a), (other, b) in zip(by_name.state_dict().items(), by_spec.state_dict().items(), strict=True):
        assert key == other
        assert torch.equal(a, b)


def test_options_do_not_alias_the_spec() -> None:
    spec = ModelSpec("resnet19", options={"stem": 128})
    spec.to_dict()["options"]["stem"] = 64
    assert spec.options == {"stem": 128}


def test_a_spec_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        ModelSpec("snn5").width = 2.0  # type: ignore[misc]


def test_defaults_are_the_constants_of_the_paper() -> None:
    spec = ModelSpec("snn5")
    assert (spec.leak, spec.threshold, spec.surrogate, spec.gamma) == (0.5, 1.0, "triangle", 1.0)
    assert (spec.detach_reset, spec.norm, spec.width) == (False, "bn", 1.0)


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "right"), [("vgg-snn", "vggsnn"), ("resnet-19", "resnet19"), ("SNN5", "snn5"), ("snn", "snn5")]
)
def test_an_unknown_model_names_the_nearest_and_all(wrong: str, right: str) -> None:
    with refuses(ValueError, f"{wrong} {right}") as error:
        build(wrong)
    assert all(name in str(error.value) for name in MODELS)


def test_an_unknown_model_like_none_lists_all_in_a_sentence() -> None:
    with refuses(ValueError, "'zzzz' snn5"):
        build("zzzz")


@pytest.mark.parametrize(
    ("settings_", "text"),
    [
        ({"norm": "layernorm"}, "'layernorm'"),
        ({"surrogate": "step"}, "'step'"),
        ({"gamma": 0}, "gamma 0"),
        ({"width": 0}, "width positive"),
        ({"width": -1}, "width positive"),
        ({"width": 1e300}, "width 10,000"),
        ({"width": float("nan")}, "width"),
        ({"num_classes": 0}, "num_classes 1"),
        ({"in_channels": 0}, "in_channels 1"),
        ({"colour": "red"}, "colour"),
        ({"image_size": 0}, "image_size least"),
        ({"image_size": -8}, "image_size least"),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_setting_is_refused_by_name(name: str, settings_: dict[str, Any], text: str) -> None:
    with refuses(ValueError, text):
        build(name, **{**SMALL, **settings_})


@pytest.mark.parametrize("stem", [0, 32, 100])
def test_resnet19_has_two_stems(stem: int) -> None:
    with refuses(ValueError, f"{stem} 64"):
        build("resnet19", stem=stem)


def test_an_option_of_another_architecture_is_refused() -> None:
    with refuses(ValueError, "snn5"):
        build("snn5", stem=64)


def test_settings_beside_a_spec_are_refused() -> None:
    # ignoring them would build another network than the call says
    with pytest.raises((ValueError, TypeError), match=r"settings|num_classes"):
        build(ModelSpec("snn5", **SMALL), num_classes=100)


def test_a_setting_of_a_wrong_type_is_not_blamed_on_the_options() -> None:
    with pytest.raises((ValueError, TypeError)) as error:
        build("snn5", image_size="32")
    assert "does not take one of the options" not in str(error.value)


def test_wrong_settings_fail_whether_the_model_is_named_or_specified() -> None:
    with refuses(ValueError, "unknown model"):
        build(ModelSpec("nonsense"))
    with refuses(ValueError, "unknown norm"):
        build(ModelSpec("snn5", norm="group"))


def test_the_command_line_names_every_network() -> None:
    (option,) = (p for p in train.params if p.name == "model")
    assert isinstance(option, click.Option)
    assert option.help is not None
    named = []
    for word in re.findall(r"[\w|-]+\d[\w|-]*|cifar-resnet|vggsnn(?:-nopool)?", option.help):
        family, *depths = re.split(r"(?<=resnet)(?=\d)", word)
        named += [family + depth for depth in depths[0].split("|")] if depths else [family]
    assert sorted(named) == NAMES


# --- neurons ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("neuron", NEURONS)
def test_every_network_takes_every_neuron(neuron: str, reset: str) -> None:
    leak = 0.5 if neuron == "if" else 0.7
    spec = ModelSpec("resnet19", neuron=neuron, reset=reset, leak=leak, threshold=0.8, detach_reset=True, **SMALL)
    found = [m for m in build(spec).modules() if isinstance(m, LIF)]
    assert {type(n) for n in found} == {NEURONS[neuron]}
    assert {(n.reset, n.threshold, n.detach_reset) for n in found} == {(reset, 0.8, True)}
    assert {round(torch.as_tensor(n.leak).item(), 6) for n in found} == {1.0 if neuron == "if" else 0.7}
    learned = [name for name, _ in build(spec).named_parameters() if name.endswith(".w")]
    assert len(learned) == (len(found) if neuron == "plif" else 0)


def test_a_spec_of_before_builds_what_it_built() -> None:
    # the fields of checkpoints from before there was a choice
    old = {"name": "snn5", "num_classes": 10, "in_channels": 3, "image_size": 16, "width": 0.05, "leak": 0.5}
    old |= {"threshold": 1.0, "surrogate": "triangle", "gamma": 1.0, "detach_reset": False, "norm": "bn", "options": {}}
    spec = ModelSpec(**old)
    assert (spec.neuron, spec.reset, spec.detach_carry) == ("lif", "hard", False)
    assert spec == ModelSpec("snn5", **SMALL)
    assert spec.to_dict().items() >= old.items()
    assert {(type(n), n.reset) for n in build(spec).modules() if isinstance(n, LIF)} == {(LIF, "hard")}


@pytest.mark.parametrize(
    ("settings_", "text"),
    [
        ({"neuron": "izhikevich"}, "'izhikevich'"),
        ({"reset": "none"}, "'none'"),
        ({"neuron": "if", "leak": 0.3}, "'if' potential 0.3"),
        ({"neuron": "plif", "leak": 1}, "0 1 excluded"),
    ],
)
def test_wrong_neurons_are_refused(settings_: dict[str, Any], text: str) -> None:
    with refuses(ValueError, text):
        build("snn5", **SMALL, **settings_)
