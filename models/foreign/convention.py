"""How a network of someone else's is called, and where it comes from: stated by its user, in plain values."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tetviz.errors import unknown
from tetviz.models.layers import SAMPLE_AXES

TAKES = ("step", "time-major", "batch-major", "batch-channel-time", "static")
GIVES = ("step", "time-major", "batch-major", "batch-channel-time", "mean", "sum")
STATES = ("modules", "passed")
RECOVERIES = ("reduction", "prefix")
TELLERS = ("argument", "attribute", "fixed")
MOST_DRAWS = 10_000  # their mean is within a hundredth of the spread of one


@dataclass(frozen=True)
class Calling:
    """The convention that a network is called by. Nothing of it is guessed.

    Args:
        takes: ``step``: x_BCHW of one step, called T times. ``time-major``: x_TBCHW. ``batch-major``: x_BTCHW.
            ``batch-channel-time``: x_BCHWT, time last. ``static``: x_BCHW, which the network repeats itself.
        gives: ``step``: the output of that step, B x K. ``time-major``: T x B x K, or a list of T outputs.
            ``batch-major``: B x T x K. ``batch-channel-time``: B x K x T. ``mean`` or
            ``sum``: B x K, the outputs of all steps averaged or added up.
        item: which item of a tuple or dictionary the output is: ``spk`` for the first, ``mem`` for the last (as
            snnTorch orders them), a position, or a key; of one inside another, such as ``out.logits``, all with dots
            between; None where the output is no tuple.
        timesteps_by: how the network is told T, where the length of its input does not tell it: ``argument`` (the
            second of forward), ``argument:NAME``, or ``attribute:PATH`` from the network, such as ``encoder.T``;
            ``attribute:*.T`` is the T of every module that has one. ``fixed``: it runs for the T alone that it was
            trained with, which stands in its code.
        state: ``modules``: neurons keep their membranes, which are reset before every run. ``passed``: the network
            is called as ``output, state = network(x, state)``, state None at first.
        recover: how O(t) is found where ``gives`` is ``mean`` or ``sum``. ``reduction``: the one call of mean or sum
            over time inside the network is skipped. ``prefix``: O(t) = t M(t) - (t - 1) M(t - 1) from runs of 1 to
            T steps.
        time_axis: which axis that call reduces, 0, 1 or -1, the last.
        sample_axes: how many axes a sample has at one step, at most 3: C x H x W. With 1 the network gets x_TBF, or
            x_BF of one step.
        integers: whether the network gets whole numbers, such as tokens for an embedding.
        draws: over how many draws a network is measured whose forward draws random numbers in eval mode, such as a
            Poisson encoder: losses and accuracies are means over them. 0 for one that draws none.

    Raises:
        ValueError: an unknown value, or two that exclude each other.
    """

    takes: str
    gives: str
    item: int | str | None = None
    timesteps_by: str = ""
    state: str = "modules"
    recover: str = ""
    time_axis: int = 0
    sample_axes: int = SAMPLE_AXES
    integers: bool = False
    draws: int = 0

    def __post_init__(self) -> None:
        """Checks the values."""
        for name, known in (("takes", TAKES), ("gives", GIVES), ("state", STATES)):
            if getattr(self, name) not in known:
                raise ValueError(unknown(name, str(getattr(self, name)), known))
        if (self.takes == "step") != (self.gives == "step"):
            raise ValueError("a network that takes one step gives one step: both are step, or neither")
        if self.recover and self.recover not in RECOVERIES:
            raise ValueError(unknown("recover", self.recover, RECOVERIES))
        if self.reduced != bool(self.recover):
            missing = "say how its outputs at every step are recovered: recover reduction or prefix"
            raise ValueError(f"the network gives a {self.gives}: {missing if self.reduced else 'leave out recover'}")
        if not isinstance(self.timesteps_by, str):
            raise ValueError(f"timesteps_by must be a text, got {self.timesteps_by!r}")
        if self.timesteps_by:
            kind, colon, name = self.timesteps_by.partition(":")
            if kind not in TELLERS or ((kind == "attribute" or colon) and not name) or (kind == "fixed" and colon):
                raise ValueError(
                    f"timesteps_by must be argument, argument:NAME, attribute:PATH or fixed, got {self.timesteps_by!r}"
                )
            if kind == "fixed" and self.recover == "prefix":
                raise ValueError("recover prefix takes runs of 1 to T steps, timesteps_by fixed allows T alone")
        if self.takes == "static" and not self.timesteps_by:
            raise ValueError(
                "a network that takes static images has to be told T: say by timesteps_by (--timesteps-by), such as "
                "attribute:NAME, or fixed if T stands in its code"
            )
        if self.takes == "step" and self.timesteps_by:
            raise ValueError("a network that takes one step is called T times: leave out timesteps_by")
        if self.state == "passed" and self.takes != "step":
            raise ValueError("a state is passed from step to step: state passed needs takes step")
        if self.time_axis not in (0, 1, -1):
            raise ValueError(f"time_axis must be 0, 1 or -1, got {self.time_axis!r}")
        if self.sample_axes not in range(SAMPLE_AXES + 1) or not isinstance(self.integers, bool):
            raise ValueError(f"sample_axes must be 0 to {SAMPLE_AXES}, integers true or false")
        if type(self.draws) is not int or not 0 <= self.draws <= MOST_DRAWS:
            raise ValueError(
                f"draws must be a whole number up to {MOST_DRAWS:,}, 0 for a network that draws none, "
                f"got {self.draws!r}"
            )
        if self.draws and self.recover == "prefix":
            raise ValueError(
                "recover prefix subtracts runs of 1 to T steps, and draws make each another: recover reduction, or "
                "have the network give its output at every step"
            )
        if not isinstance(self.item, int | str | None) or isinstance(self.item, bool):
            raise ValueError(f"item must be a position or a name, got {self.item!r}")

    @property
    def reduced(self) -> bool:
        """Whether the network reduces over time inside."""
        return self.gives in ("mean", "sum")

    @property
    def fixed(self) -> bool:
        """Whether the network runs for a single T alone."""
        return self.timesteps_by == "fixed"

    def options(self) -> str:
        """The convention as options of ``tetviz import``, such as ``--takes step --gives step``, quoted for a shell."""
        stated = {name: value for name, value in asdict(self).items() if value != getattr(type(self), name, "")}
        stated.pop("sample_axes", None)  # the data say it
        return " ".join(
            f"--{name.replace('_', '-')}" + (f" {shlex.quote(str(value))}" if value is not True else "")
            for name, value in stated.items()
        )


@dataclass(frozen=True)
class ForeignSpec:
    """A network that a function of someone else's builds, as plain values that a checkpoint stores.

    Args:
        factory: ``module:function``; calling the function runs code, so only who trusts it may.
        calling: how the network is called.
        num_classes: classes K.
        in_channels: channels of the input.
        image_size: height of the input.
        arguments: what the function is called with, by name; plain values.
        parameters: number of parameters, counted once each.

    Raises:
        ValueError: the factory is not of that form, or a number is not positive.
    """

    factory: str
    calling: Calling
    num_classes: int
    in_channels: int
    image_size: int
    arguments: Mapping[str, Any] = field(default_factory=dict)
    parameters: int = 0

    def __post_init__(self) -> None:
        """Checks the values."""
        split_reference(self.factory)
        for name in ("num_classes", "in_channels", "image_size"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1 and an integer, got {getattr(self, name)!r}")
        if not isinstance(self.arguments, Mapping) or not all(isinstance(key, str) for key in self.arguments):
            raise ValueError(f"arguments must be a dictionary of names and values, got {self.arguments!r}")
        try:
            json.dumps(dict(self.arguments))
        except TypeError as error:
            raise ValueError(f"arguments must be plain values, which a checkpoint can hold ({error})") from None

    @property
    def name(self) -> str:
        """What it is called: its factory."""
        return self.factory

    def to_dict(self) -> dict[str, Any]:
        """The spec as plain values, which :meth:`from_dict` takes back."""
        return asdict(self) | {"arguments": dict(self.arguments)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "ForeignSpec":
        """The spec of what :meth:`to_dict` gave."""
        return cls(**{**content, "calling": Calling(**content["calling"])})


def split_reference(text: str) -> tuple[str, str]:
    """Reads ``module:function``."""
    module, _, function = text.partition(":") if isinstance(text, str) else ("", "", "")
    if not all(part.isidentifier() for name in (module, function) for part in name.split(".")):
        raise ValueError(f"expected module:function such as mypkg.nets:build, got {text!r}")
    return module, function
