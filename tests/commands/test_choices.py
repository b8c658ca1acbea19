"""The names that options take are those of the registries, in the same order."""

from importlib import import_module

import pytest

from tetviz.commands import choices
from tetviz.landscape import HOLD_ALL_BUT_WEIGHTS

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
    "ROLES": "tetviz.landscape:ROLES",
    "TREATMENTS": "tetviz.landscape:TREATMENTS",
    "HOLD_ALL_BUT_WEIGHTS": "tetviz.landscape:HOLD_ALL_BUT_WEIGHTS",
    "BN_POLICIES": "tetviz.landscape:BN_POLICIES",
    "COSTS": "tetviz.summaries:COSTS",
    "MEMORIES": "tetviz.summaries:MEMORIES",
    "CONVENTIONS": "tetviz.summaries:CONVENTIONS",
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
    assert list(getattr(choices, name)) == [each for each in known if each != "tetviz"]  # the style of no venue


def test_the_default_policy_is_that_of_directions() -> None:
    assert choices.HOLD_ALL_BUT_WEIGHTS == HOLD_ALL_BUT_WEIGHTS


def test_every_choice_is_compared() -> None:
    assert {name for name in vars(choices) if name.isupper()} == set(REGISTRIES)
