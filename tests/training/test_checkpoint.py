"""Checkpoints: plain values that load safely, and files that are not checkpoints."""

import dataclasses
import pickle
import warnings
import zipfile

import pytest
import torch
from wording import refuses

from tetviz.errors import CheckpointError, OutputError
from tetviz.models import Calling, ForeignSpec, ModelSpec, build
from tetviz.training import Checkpoint

SPEC = ModelSpec("snn5", num_classes=3, in_channels=1, image_size=16, width=0.0625)


@pytest.fixture
def checkpoint():
    torch.manual_seed(0)
    return Checkpoint(SPEC, build(SPEC).state_dict(), 4, {"loss": "tet"}, {"name": "digits"}, [{"epoch": 1}], 1)


def content(path):
    return torch.load(path, weights_only=True)


def test_round_trip(checkpoint, tmp_path):
    loaded = Checkpoint.load(checkpoint.save(tmp_path / "c.pt"))
    assert (loaded.spec, loaded.timesteps, loaded.epoch) == (SPEC, 4, 1)
    assert (loaded.training, loaded.data, loaded.history) == ({"loss": "tet"}, {"name": "digits"}, [{"epoch": 1}])
    model = loaded.model()
    assert not model.training
    assert model.timesteps == 4
    assert all(torch.equal(t, checkpoint.state[n]) for n, t in model.state_dict().items())
    x = torch.randn(2, 1, 16, 16)
    with torch.no_grad():
        assert torch.equal(model(x), model(x, 4))


def test_float64_weights_stay_float64(tmp_path):
    double = Checkpoint(SPEC, build(SPEC).double().state_dict(), 2)
    assert Checkpoint.load(double.save(tmp_path / "c.pt")).model().classifier.weight.dtype == torch.float64


def test_the_file_is_plain_and_loading_changes_no_random_state(checkpoint, tmp_path):
    path = checkpoint.save(tmp_path / "c.pt")
    assert content(path)["format"] == "tetviz-checkpoint"
    state = torch.get_rng_state()
    Checkpoint.load(path).model()
    assert torch.equal(torch.get_rng_state(), state)


def test_saving_replaces_whole_or_not_at_all(checkpoint, tmp_path, monkeypatch):
    path = checkpoint.save(tmp_path / "c.pt")
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with refuses(OutputError, "space left"):
        checkpoint.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"]


def test_a_missing_folder_is_named(checkpoint, tmp_path):
    with refuses(OutputError, "cannot written"):
        checkpoint.save(tmp_path / "none" / "c.pt")


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path):
    marker = tmp_path / "ran"

    class Hostile:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    for name, protocol in (("plain.pt", None), ("zip.pt", 2)):
        if protocol is None:
            (tmp_path / name).write_bytes(pickle.dumps(Hostile()))
        else:
            torch.save({"format": "tetviz-checkpoint", "x": Hostile()}, tmp_path / name)
        with refuses(CheckpointError):
            Checkpoint.load(tmp_path / name)
    assert not marker.exists()


def test_a_file_cut_short_anywhere_or_with_a_flipped_byte_is_named(checkpoint, tmp_path):
    whole = checkpoint.save(tmp_path / "c.pt").read_bytes()
    broken = tmp_path / "broken.pt"
    for cut in [0, 1, 100, *range(200, len(whole), len(whole) // 25)]:
        broken.write_bytes(whole[:cut])
        with refuses(CheckpointError):
            Checkpoint.load(broken)
    for at in range(len(whole) // 5, len(whole) * 4 // 5, len(whole) // 20):
        broken.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            loaded = Checkpoint.load(broken)
        except CheckpointError:
            continue
        assert all(torch.equal(t, checkpoint.state[n]) for n, t in loaded.state.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "tetviz checkpoint"),
        ({"format_version": 99}, "format 99 1"),
        ({"format_version": "x"}, "reads 1"),
        ({"spec": {"name": "snn6"}}, "'snn5'"),
        ({"spec": {"name": "snn5", "colour": 1}}, "description used"),
        ({"spec": 7}, "description used"),
        ({"timesteps": None}, "timesteps"),
        ({"state": [1, 2]}, "dictionary tensors"),
        ({"state": {}}, "classifier.bias"),
        ({"data": {"lengths": 10**9}}, "lengths bool"),
    ],
)
def test_wrong_content_is_named(checkpoint, tmp_path, change, message):
    path = checkpoint.save(tmp_path / "c.pt")
    torch.save({**content(path), **change}, path)
    with refuses(CheckpointError, message):
        Checkpoint.load(path)


def test_more_draws_than_anybody_waits_for_are_refused(tmp_path):
    spec = ForeignSpec("nets:build", Calling("step", "step", draws=10_000), 10, 1, 8)
    path = Checkpoint(spec, {"weight": torch.zeros(1)}, 2).save(tmp_path / "c.pt")
    assert Checkpoint.load(path).spec.calling.draws == 10_000
    stated = {**spec.to_dict(), "calling": {**spec.to_dict()["calling"], "draws": 10**9}}
    torch.save({**content(path), "spec": stated}, path)
    with refuses(CheckpointError, "c.pt draws 10,000 1000000000"):
        Checkpoint.load(path)


def test_weights_that_do_not_fit_are_named(checkpoint, tmp_path):
    state = dict(checkpoint.state)
    extra = {**state, "ghost.weight": torch.zeros(1)}
    reshaped = {**state, "classifier.bias": torch.zeros(7)}
    diverged = {**state, "classifier.bias": torch.full((3,), float("nan"))}
    cases = [(extra, "unknown ghost.weight"), (reshaped, "(7,) (3,)"), (diverged, "not finite")]
    for wrong, message in cases:
        path = Checkpoint(SPEC, wrong, 4).save(tmp_path / "c.pt")
        with refuses(CheckpointError, message):
            Checkpoint.load(path)


def test_foreign_files_are_named(tmp_path):
    bare, listed, plain, archive = (tmp_path / n for n in ("bare.pt", "list.pt", "text.pt", "zip.pt"))
    torch.save(build(SPEC).state_dict(), bare)
    torch.save([1, 2], listed)
    plain.write_text("hello")
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("readme", "hello")
    messages = {
        bare: "OrderedDict features.0.conv.weight",
        listed: "holds list",
        plain: "at all",
        archive: "can read",
        tmp_path: "is a folder",
        tmp_path / "none.pt": "no such file",
    }
    for path, message in messages.items():
        with refuses(CheckpointError, message):
            Checkpoint.load(path)


def test_equal_contents_are_equal_bytes(checkpoint, tmp_path):
    text = "".join(["t", "et"])  # equal to the next, and another object
    shared = {"one": text, "two": text, "list": [text], "optimizer": {0: {"step": torch.ones(1)}}}
    apart = {"one": text, "two": "".join(["te", "t"]), "list": ["".join(["t", "e", "t"])]}
    apart |= {"optimizer": {0: {"step": torch.ones(1)}}}
    first, second = (
        dataclasses.replace(checkpoint, resume=resume).save(tmp_path / name).read_bytes()
        for name, resume in (("a.pt", shared), ("another name.pt", apart))
    )
    assert first == second
    assert Checkpoint.load(tmp_path / "a.pt").save(tmp_path / "again.pt").read_bytes() == first


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda t: torch.empty(t.shape, device="meta"), "no values 'meta'"),
        (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "qint8 expected torch.float32"),
    ],
    ids=["meta", "quantised"],
)
def test_tensors_of_a_kind_that_no_network_has_are_named_and_nothing_else_is_said(checkpoint, tmp_path, make, words):
    values = content(checkpoint.save(tmp_path / "c.pt"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values["state"]["classifier.weight"] = make(values["state"]["classifier.weight"])
        torch.save(values, tmp_path / "odd.pt")
    with warnings.catch_warnings(record=True) as said, refuses(CheckpointError, f"odd.pt classifier.weight {words}"):
        warnings.simplefilter("always")
        Checkpoint.load(tmp_path / "odd.pt")
    assert said == []
