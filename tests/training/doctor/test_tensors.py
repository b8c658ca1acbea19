import torch
from doctor_networks import Foreign, sick
from torch import nn
from wording import heard


def two_layers():
    model = Foreign(nn.Linear(16, 16))
    model.extra = nn.Linear(16, 16)
    return model


def test_tied_weights_are_named():
    model = two_layers()
    model.extra.weight = model.middle.weight
    message = sick(model, "tied tensors", verdict="warning")
    assert "middle.weight = extra.weight" in message and "moved once" in message and "bias" not in message


def test_a_module_under_two_names_is_named_once():
    model = Foreign(nn.Sequential(nn.Linear(16, 16)))
    model.extra = model.middle
    message = sick(model, "tied tensors", verdict="warning")
    assert message.startswith("middle = extra: ")


def test_overlapping_parameters_are_named():
    model, base = two_layers(), torch.randn(20, 16)
    model.middle.weight, model.extra.weight = nn.Parameter(base[:16]), nn.Parameter(base[4:])
    message = sick(model, "tied tensors")
    heard(message, "middle.weight extra.weight")


def test_parts_of_one_storage_do_not_overlap():
    model, rows, columns = two_layers(), torch.randn(32, 16), torch.randn(16, 32)
    model.middle.weight, model.extra.weight = nn.Parameter(rows[:16]), nn.Parameter(rows[16:])
    heard(sick(model, "tied tensors", verdict="ok"), "each name")
    model.middle.weight, model.extra.weight = nn.Parameter(columns[:, :16]), nn.Parameter(columns[:, 16:])
    sick(model, "tied tensors", verdict="ok")
    model.extra.weight = nn.Parameter(columns[:, 15:31])
    sick(model, "tied tensors")
