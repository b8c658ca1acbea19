"""Images as Bernoulli spikes, and a fully connected network on them."""

import json

import numpy as np
import pytest
import torch
from cli_runs import refused, tetviz
from data_sets import refused as refused_data
from data_sets import write_digits
from scipy.stats import binom
from wording import refuses

from tetviz.analysis.attack.gradient import attacker_view
from tetviz.models import build, streaming
from tetviz.results import AttackRun, OperationCounts, ScalingCurve, load
from tetviz.training import Checkpoint, DataSpec, load_data

FRAMES = 12


def digits(**settings):
    return load_data("digits", split="test", encode="bernoulli", frames=FRAMES, **settings)


def test_a_pixel_is_the_probability_of_a_spike():
    spikes, images = digits(), load_data("digits", split="test", normalise="none")
    x_NTCHW = torch.stack([spikes[index][0] for index in range(60)])
    pixels = torch.stack([images[index][0] for index in range(60)])
    assert set(x_NTCHW.unique().tolist()) == {0.0, 1.0}
    counts = x_NTCHW.sum(1)
    assert not counts[pixels == 0].any()
    assert (counts[pixels == 1] == FRAMES).all()
    for low, high in ((0.1, 0.3), (0.45, 0.55), (0.8, 0.95)):
        some = (pixels > low) & (pixels < high)
        fired, trials = int(counts[some].sum()), FRAMES * int(some.sum())
        assert 1e-4 < binom.cdf(fired, trials, float(pixels[some].mean())) < 1 - 1e-4


def test_the_spikes_of_a_sample_are_always_the_same_and_longer_runs_begin_like_shorter_ones():
    assert torch.equal(digits()[5][0], digits()[5][0])
    longer = load_data("digits", split="test", encode="bernoulli", frames=30)
    assert torch.equal(longer[5][0][:FRAMES], digits()[5][0])
    assert not torch.equal(digits()[5][0][0], digits()[5][0][1])
    spec = digits().spec
    assert torch.equal(load_data(DataSpec(**spec.to_dict()), split="test")[7][0], digits()[7][0])


def test_what_makes_no_spikes_is_refused(tmp_path):
    refused_data("--frames", "digits", split="test", encode="bernoulli")
    refused_data("--normalise", "digits", split="test", encode="bernoulli", frames=3, normalise="0.5:0.5")
    with refuses(ValueError, "bernoulli"):
        load_data("digits", split="test", encode="poisson", frames=3)
    for hidden in ("many", "1-" * 5000 + "1"):
        with refuses(ValueError, "400-200"):
            build("fc", hidden=hidden)
    with refuses(ValueError, "none bn"):
        build("fc", norm="bn")


def test_a_fully_connected_network_is_matrices_and_neurons():
    torch.manual_seed(0)
    model = build("fc", in_channels=2, image_size=5, hidden="30-20").double()
    with torch.no_grad():
        for linear in model.hidden:
            linear.weight.mul_(4)
        x = torch.rand(6, 3, 2, 5, 5, dtype=torch.float64)
        found = model(x)
    weights = {name: each.detach().numpy() for name, each in model.named_parameters()}
    signal = x.flatten(2).numpy()
    for layer in range(2):
        u, spikes = 0, []
        for step in signal:
            u = 0.5 * u + step @ weights[f"hidden.{layer}.weight"].T + weights[f"hidden.{layer}.bias"]
            spikes.append((u > 1).astype(float))
            u = u * (1 - spikes[-1])
        signal = np.array(spikes)
        assert 0.02 < signal.mean() < 0.9
    wanted = signal @ weights["classifier.weight"].T + weights["classifier.bias"]
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-12)
    with streaming(model), torch.no_grad():
        assert torch.equal(torch.cat([model(step[None]) for step in x]), found)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("fc") / "fc.pt"
    small = ("--model-option", "hidden=60", "--threshold", 0.3, "--surrogate", "rectangle")
    how = ("--encode", "bernoulli", "--timesteps", 4, "--epochs", 3, "--lr", 0.005, "--loss", "sdt")
    tetviz("train", "--model", "fc", *small, "--data", "digits", *how, "-o", path)
    return path


def test_all_commands_measure_it_on_the_same_spikes(trained, tmp_path):
    checkpoint = Checkpoint.load(trained)
    assert checkpoint.data["encode"] == "bernoulli"
    assert checkpoint.history[-1]["test_accuracy"] > 0.8
    tetviz("scale", trained, "--frames", 8, "--tmax", 8, "-o", tmp_path / "s.h5")
    curve = load(tmp_path / "s.h5", ScalingCurve)
    assert curve.accuracy[3] == checkpoint.history[-1]["test_accuracy"]
    tetviz("energy", trained, "--input-spikes", "yes", "-o", tmp_path / "e.h5")
    counts = load(tmp_path / "e.h5", OperationCounts)
    data = load_data(DataSpec(**checkpoint.data), split="test")
    fired = sum(float(data[index][0].sum()) for index in counts.sample)
    assert counts.ac[counts.names.index("hidden.0")].sum() == fired * 60
    tetviz("landscape", trained, "--grid", 3, "--samples", 100, "-o", tmp_path / "l.h5")


def test_attacks_draw_its_spikes_anew(trained, tmp_path):
    said = tetviz(
        *("attack", trained, "--method", "g2s-image", "--samples", 40, "--iterations", 4),
        *("-o", tmp_path / "a.h5", "--json"),
    )
    (record,) = json.loads(said.stdout)
    assert record["success"][-1] > record["control_success"][-1]
    assert load(tmp_path / "a.h5", AttackRun).resampling_error < 0.3
    tetviz("attack", trained, "--method", "drop", "--samples", 40, "--epsilon", 0.5, "-o", tmp_path / "d.h5")
    refused(tmp_path, "attack", trained, "--method", "fgsm", words=("g2s-spike",))
    out = ("-o", tmp_path / "x.pt")
    words = ("--normalise", "--encode")
    refused(
        tmp_path,
        *("train", "--data", "digits", "--encode", "bernoulli", "--normalise", "0.5:0.5", *out),
        words=words,
    )


def test_other_images_are_shown_as_spikes_too_and_an_unknown_encoding_is_refused(trained, tmp_path):
    write_digits(tmp_path / "other.npz", 40, 40)
    other = ("--data", "npz", "--data-root", tmp_path / "other.npz")
    said = tetviz("scale", trained, *other, "--tmax", 4, "-o", tmp_path / "s.h5")
    assert "--encode bernoulli" in said.stderr
    assert load(tmp_path / "s.h5", ScalingCurve).accuracy[-1] > 0.5
    content = torch.load(trained, weights_only=False)
    (tmp_path / "bad").mkdir()
    torch.save({**content, "data": {**content["data"], "encode": "poisson"}}, tmp_path / "bad" / "bad.pt")
    refused(tmp_path / "bad", "scale", tmp_path / "bad" / "bad.pt", words=("poisson",))


def test_neurons_behind_the_readout_fire_and_are_not_the_penultimate_ones():
    torch.manual_seed(1)
    model = build("fc", in_channels=1, image_size=5, hidden="30-20", spiking_output=True, threshold=0.2).eval()
    x = torch.rand(8, 4, 1, 5, 5)
    assert set(model(x).unique().tolist()) == {0.0, 1.0}
    before = model(x)
    layers = [*model.neurons, model.output]
    with attacker_view(model, threshold=50.0):
        fired = []
        for layer in layers:
            layer.register_forward_hook(lambda _, __, spikes: fired.append(float(spikes.detach().sum())))
        model(x)
        assert fired[0] > 0
        assert fired[1] == 0
    assert torch.equal(model(x), before)
