"""The names that options take are those of the registries, in the same order."""

from importlib import import_module

import pytest

from tetviz.commands import choices

REGISTRIES = {
    "MODELS": "tetviz.models:MODELS",
    "NEURONS": "tetviz.models:NEURONS",
    "RESETS": "tetviz.models:RESETS",
    "LAYER_NORMS": "tetviz.models.spec:NORMS",
    "SURROGATES": "tetviz.models:SURROGATES",
    "TAKES": "tetviz.models.foreign.convention:TAKES",
    "GIVES": "tetviz.models.foreign.convention:GIVES",
    "STATES": "tetviz.models.foreign.convention:STATES",
    "RECOVERIES": "tetviz.models.foreign.convention:RECOVERIES",
    "LAYOUTS": "tetviz.training.layouts:LAYOUTS",
    "DATASETS": "tetviz.training:DATASETS",
    "AUGMENTATIONS": "tetviz.training.augment:AUGMENTATIONS",
    "LOSSES": "tetviz.training:LOSSES",
    "OPTIMIZERS": "tetviz.training.config:OPTIMIZERS",
    "LR_SCHEDULES": "tetviz.training.schedule:LR_SCHEDULES",
    "PRECISIONS": "tetviz.training.config:PRECISIONS",
    "DIRECTION_NORMS": "tetviz.landscape:NORMS",
    "BN_POLICIES": "tetviz.landscape:BN_POLICIES",
}


@pytest.mark.parametrize("name", REGISTRIES)
def test_the_names_are_those_of_the_registry(name: str) -> None:
    module, _, registry = REGISTRIES[name].partition(":")
    assert getattr(choices, name) == tuple(getattr(import_module(module), registry))


def test_every_choice_is_compared() -> None:
    assert {name for name in vars(choices) if name.isupper()} == set(REGISTRIES)
