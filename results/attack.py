"""The result of ``tetviz attack``."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from tetviz.results import fields
from tetviz.results.schema import FloatArray, IntArray, Result, array, attribute

GRADIENTS = ("g2s-image", "g2s-spike", "fgsm", "bim", "pgd")
NOISES = ("gaussian", "salt-and-pepper", "drop")
METHODS = (*GRADIENTS, *NOISES)
ONCE = ("fgsm", *NOISES)  # one iteration

_share = partial(array, ("iteration",), "1")


@dataclass(frozen=True, eq=False)
class AttackRun(Result):
    """What an attack on the input of a network achieves, beside random changes of the same size.

    Attacked are the samples that the network classifies correctly at T, ``attacked`` is 1 there. ``succeeded`` and
    ``control_succeeded`` are the iteration of the first success, 0 where there is none. The control changes, in each
    iteration and sample, as many spikes as the attack did (each pixel by as much), at random, and ends with it; of
    noise it is another draw.
    ``distance`` is the mean squared change of pixels or spikes at the end. Accuracies at t are over all samples, of
    those not attacked the clean ones.
    """

    kind: ClassVar[str] = "attack"

    timestep: IntArray = fields.timestep(first=1)
    iteration: IntArray = fields.index(("iteration",), long_name="iteration, from 1", first=1)
    sample: IntArray = fields.sample()
    label: IntArray = fields.index(("sample",), long_name="class of the sample")
    attacked: IntArray = fields.flag(("sample",), long_name="1 where the sample is attacked")
    succeeded: IntArray = fields.count(("sample",), long_name="iteration of the first success; 0 for none")
    control_succeeded: IntArray = fields.count(("sample",), long_name="the same of the random control")
    distance: FloatArray = array(("sample",), "1", "mean squared change of the input at the end; NaN if not attacked")
    success: FloatArray = _share(long_name="share of the attacked samples that succeeded up to the iteration")
    control_success: FloatArray = _share(long_name="the same of the random control")
    zero_gradient: FloatArray = _share(
        long_name="share of the samples still attacked whose input gradient is all zero; NaN where none is left"
    )
    flips: FloatArray = _share(
        long_name="share of the spikes that the iteration changes, of samples still attacked; NaN where none is left"
    )
    clean_accuracy: FloatArray = fields.accuracy(("timestep",))
    accuracy: FloatArray = fields.accuracy(("timestep",))
    control_accuracy: FloatArray = fields.accuracy(("timestep",))
    resampling_error: float = float("nan")
    method: str = attribute("g2s-image", among=METHODS)
    targeted: int = 0
    threshold: float = float("nan")
    surrogate: str = ""
    epsilon: float = float("nan")
    attack_seed: int = 0
    t_train: int = fields.t_train()
