"""The normalisation belongs to the weights: layouts state it, checkpoints record it, commands use it."""

from pathlib import Path
from typing import Any

import numpy as np
import published_layouts as plain
import pytest
import torch
from cli_runs import tetviz
from data_sets import pixels, write_cifar10

from tetviz.results import ScalingCurve, load
from tetviz.training import Checkpoint, load_data
from tetviz.training.data.normalise import Normalisation

TET = Normalisation((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
LABELS = [5, 0, 9, 3, 1, 2]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_cifar10(tmp_path, monkeypatch, pixels(len(LABELS), 3072), LABELS)
    return tmp_path


@pytest.fixture
def network(root: Path) -> Any:
    network = plain.randomise(plain.TETResNet19(width=0.0625)).float()
    torch.save(network.state_dict(), "w.pth")
    return network


def own_loss(network: Any, normalisation: Normalisation) -> float:
    """L_SDT as the published script would have it: its own normalisation, its own network."""
    x_BCHW = normalisation(torch.from_numpy(pixels(len(LABELS), 3072)).reshape(-1, 3, 32, 32) / 255)
    with torch.no_grad():
        logits_BK = network(x_BCHW, 2).mean(0)
    return float(torch.nn.functional.cross_entropy(logits_BK, torch.tensor(LABELS)))


def measured(*options: Any) -> float:
    tetviz("scale", "net.pt", "--tmax", 2, "-o", "s.h5", "--force", *options)
    curve = load("s.h5")
    assert isinstance(curve, ScalingCurve)
    return float(curve.sdt_loss[-1])


def imported(*options: Any) -> str:
    return tetviz("import", "w.pth", "--timesteps", 2, "-o", "net.pt", "--force", *options).stderr


def test_published_weights_are_given_what_their_code_gives_them(root: Path, network: Any) -> None:
    told = imported("--data", "cifar10", "--data-root", root)
    assert "as the layout's code does it, --normalise 0.4914,0.4822,0.4465:0.2023,0.1994,0.201" in told
    assert Checkpoint.load("net.pt").data["normalise"] == str(TET)
    assert measured() == pytest.approx(own_loss(network, TET), rel=1e-5)
    tetviz_own = load_data("cifar10", split="test", root=str(root)).normalisation
    assert own_loss(network, tetviz_own) != pytest.approx(own_loss(network, TET), rel=1e-3)
    assert measured("--normalise", str(tetviz_own)) == pytest.approx(own_loss(network, tetviz_own), rel=1e-5)
    assert measured("--normalise", "none") == pytest.approx(own_loss(network, Normalisation()), rel=1e-5)


def test_also_where_the_data_are_named_later(root: Path, network: Any) -> None:
    imported()
    assert measured("--data", "cifar10", "--data-root", root) == pytest.approx(own_loss(network, TET), rel=1e-5)


def test_what_is_stated_at_the_import_is_recorded(root: Path, network: Any) -> None:
    assert "as the layout's code" not in imported("--data", "cifar10", "--data-root", root, "--normalise", "0.5:0.25")
    assert measured() == pytest.approx(own_loss(network, Normalisation((0.5,), (0.25,))), rel=1e-5)


def test_checkpoints_of_before_keep_that_of_tetviz(root: Path, network: Any) -> None:
    imported("--data", "cifar10", "--data-root", root)
    content = torch.load("net.pt", weights_only=True)
    del content["data"]["normalise"], content["training"]["normalise"]
    torch.save(content, "net.pt")
    tetviz_own = load_data("cifar10", split="test", root=str(root)).normalisation
    assert measured() == pytest.approx(own_loss(network, tetviz_own), rel=1e-5)


def test_other_images_are_normalised_as_those_of_the_training(root: Path, network: Any) -> None:
    imported("--data", "cifar10", "--data-root", root)
    images = pixels(len(LABELS), 3072).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    labels = np.arange(10)[LABELS]
    names = np.array(list("abcdefghij"))
    np.savez("own.npz", x_train=images, y_train=labels, x_test=images, y_test=labels, classes=names)
    assert measured("--data", "npz", "--data-root", "own.npz") == pytest.approx(own_loss(network, TET), rel=1e-5)
    mean, std = images.reshape(-1, 3).mean(0) / 255, images.reshape(-1, 3).std(0) / 255
    stated = f"{','.join(map(str, mean))}:{','.join(map(str, std))}"
    own = own_loss(network, Normalisation.parse(stated))
    assert measured("--data", "npz", "--data-root", "own.npz", "--normalise", stated) == pytest.approx(own, rel=1e-5)


def test_training_records_it(root: Path) -> None:
    small = ("--width", 0.0625, "--timesteps", 2, "--epochs", 1, "-o", "net.pt", "--augment", "crop")
    tetviz("train", "--data", "digits", "--normalise", "none", *small)
    assert Checkpoint.load("net.pt").data["normalise"] == "none"
    assert tetviz("info", "net.pt").output.count("none")
    tetviz("train", "--data", "digits", "--normalise", "none", *small, "--resume")
    other = tetviz("train", "--data", "digits", "--normalise", "0.5:1", *small, "--resume", code=1)
    assert "normalise (was 'none', now '0.5:1.0')" in other.stderr


def test_what_cannot_be_normalised_is_refused(root: Path) -> None:
    (root / "own.py").write_text("def data(split): return [([[[0.0]]], 0), ([[[1.0]]], 1)] * 3")
    small = ("--timesteps", 2, "--epochs", 1, "-o", "net.pt", "--trust")
    told = tetviz("train", "--data", "own:data", "--normalise", "none", *small, code=1).stderr
    assert "--normalise: 'own:data' holds no images that tetviz normalises; leave it out" in told
    assert "expected MEAN:STD" in tetviz("train", "--data", "digits", "--normalise", "1", *small, code=2).stderr
