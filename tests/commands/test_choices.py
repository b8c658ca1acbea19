"""The names that options take are those of the registries, in the same order."""

from importlib import import_module

import pytest

from tetviz.commands import choices

REGISTRIES = {
    "MODELS": "tetviz.models:MODELS",
    "NEURONS": "tetviz.models:NEURONS",
    "RESETS": "tetviz.models:RESETS",
    "ENCODINGS": "tetviz.training.data.dataset:ENCODINGS",
    "SURROGATES": "tetviz.models:SURROGATES",
    "LAYER_NORMS": "tetviz.models.spec:LAYER_NORMS",
    "TAKES": "tetviz.models.foreign.convention:TAKES",
    "GIVES": "tetviz.models.foreign.convention:GIVES",
    "STATES": "tetviz.models.foreign.convention:STATES",
    "RECOVERIES": "tetviz.models.foreign.convention:RECOVERIES",
    "DATASETS": "tetviz.training:DATASETS",
    "LOSSES": "tetviz.training:LOSSES",
    "REGULARISERS": "tetviz.training.regularisers:REGULARISERS",
    "OPTIMIZERS": "tetviz.training.config:OPTIMIZERS",
    "PRECISIONS": "tetviz.training.config:PRECISIONS",
    "LR_SCHEDULES": "tetviz.training.schedule:LR_SCHEDULES",
    "AUGMENTATIONS": "tetviz.training.augment:AUGMENTATIONS",
    "LAYOUTS": "tetviz.training.layouts:LAYOUTS",
    "DIRECTION_NORMS": "tetviz.landscape:NORMS",
    "ROLES": "tetviz.landscape:ROLES",
    "TREATMENTS": "tetviz.landscape:TREATMENTS",
    "HOLD_ALL_BUT_WEIGHTS": "tetviz.landscape:HOLD_ALL_BUT_WEIGHTS",
    "BN_POLICIES": "tetviz.landscape:BN_POLICIES",
    "COSTS": "tetviz.summaries:COSTS",
    "MEMORIES": "tetviz.summaries:MEMORIES",
    "CONVENTIONS": "tetviz.summaries:CONVENTIONS",
    "ATTACKS": "tetviz.results.attack:METHODS",
    "EXIT_RULES": "tetviz.summaries.exits:RULES",
    "FIGURES": "tetviz.figures:named_figures",
    "STYLES": "tetviz.figures.plots.venues:VENUES",
    "EXPORTS": "tetviz.results:EXPORTS",
}


@pytest.mark.parametrize("name", REGISTRIES)
def test_the_names_are_those_of_the_registry(name: str) -> None:
    module, _, registry = REGISTRIES[name].partition(":")
    known = getattr(import_module(module), registry)
    known = known() if callable(known) else known
    written = getattr(choices, name)
    # "tetviz" is the style of no venue
    assert written == (known if isinstance(written, dict) else tuple(each for each in known if each != "tetviz"))


def test_every_choice_is_compared() -> None:
    of_another_test = {"STYLES", "NETWORK_EXPORTS"}  # a part of its registry; what export does with no registry
    assert {name for name in vars(choices) if name.isupper()} == set(REGISTRIES) | of_another_test
