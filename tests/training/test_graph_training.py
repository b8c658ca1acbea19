"""Training on the nodes of a graph: what chooses the epoch, what decays, and that it resumes to the same bits."""

import numpy as np
import pytest
import torch
from graphs import CLASSES, FEATURES, NODES, write_graph
from striped import StopAfter

from tetviz.models import STFN, ModelSpec, build
from tetviz.training import DataSpec, Stage, TrainingConfig, fit, load_data, measure, to_batches
from tetviz.training.optimizer import make_optimizer


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return write_graph(tmp_path_factory.mktemp("graph") / "small.npz")


def settings(graph, **changed):
    spec = ModelSpec("gcsnn", CLASSES, FEATURES, 1, 0.05, options={"nodes": NODES, "dropout": 0.2})
    given = {"optimizer": "adam", "lr": 0.02, "weight_decay": 1e-3, "loss": "sdt", **changed}
    return TrainingConfig(spec, DataSpec("planetoid", str(graph)), (Stage(3, 4),), **given)


def trained(graph, folder, **options):
    splits = [load_data("planetoid", split=split, root=str(graph)) for split in ("train", "test")]
    best, last = folder / "best.pt", folder / "last.pt"
    return fit(settings(graph), *splits, best_path=best, last_path=last, **options)


def test_it_learns_and_its_validation_nodes_choose_the_epoch(graph, tmp_path):
    best = trained(graph, tmp_path)
    data = load_data("planetoid", split="train", root=str(graph))
    model = best.model().eval()
    data.attach(model)
    record = best.history[-1]
    assert record["val_accuracy"] == measure(model, data.validation, 3).accuracy[-1]
    assert measure(model, data, 3).sdt_loss[-1] < np.log(CLASSES)  # of all train nodes, none is held out


def test_a_stopped_run_goes_on_to_the_same_bits(graph, tmp_path):
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = trained(graph, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(graph, tmp_path / "parts", monitors=[StopAfter(2)])
    parts = trained(graph, tmp_path / "parts", resume=True)
    assert all(torch.equal(each, parts.state[name]) for name, each in whole.state.items())
    assert whole.history == parts.history


def test_scale_and_shift_of_stfn_do_not_decay(graph):
    config = settings(graph)
    model = build(config.spec)
    exempt = {id(each) for module in model.modules() if isinstance(module, STFN) for each in module.parameters()}
    groups = make_optimizer(config, model).param_groups
    assert [group["weight_decay"] for group in groups] == [1e-3, 0]
    assert {id(each) for each in groups[1]["params"]} == exempt
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))


def test_all_nodes_that_are_asked_for_are_one_batch(graph):
    data = load_data("planetoid", split="test", root=str(graph))
    ((x, labels),) = to_batches(data, 3)
    assert (len(x), labels.tolist()) == (10, data.labels.tolist())
    ((x, _),) = to_batches(data, 1, [4, 2])
    assert x.flatten().tolist() == [24, 22]
