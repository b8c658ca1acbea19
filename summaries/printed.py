"""What the TET paper says and prints (Deng, Li, Zhang, Gu, ICLR 2022), beside which a study puts its own numbers.

Its data and sizes are others: ResNet-19 on all of CIFAR-100, VGGSNN on DVS-CIFAR10, 300 epochs. What is not printed in
its text or could not be verified is left out: nothing here is read off a picture.
"""

import math
from typing import NamedTuple


class Printed(NamedTuple):
    """What the paper says about something.

    Attributes:
        title: a few words for it.
        says: what the paper says, in a sentence.
        prints: what it prints of it, of which networks and data.
    """

    title: str
    says: str
    prints: str


PRINTED = {
    "accuracy": Printed(
        "More accurate",
        "Networks trained with L_TET are more accurate than those trained with L_SDT.",
        "Table 1, ResNet-19 on CIFAR-100: +3.25 points at T = 4, +3.53 at T = 6. VGGSNN on DVS-CIFAR10: 73.3 % to "
        "77.3 %, with augmentation 77.4 % to 83.17 %.",
    ),
    "steps": Printed(
        "More accurate at every step",
        "The output of every single step is more accurate with L_TET.",
        "Table 4: accuracies of single steps t = 1 to 8.",
    ),
    "variance": Printed(
        "Less variance over time",
        "The accuracy of single steps beyond training varies less with L_TET.",
        "Table 4: variance 3.81 to 1.41 for networks of T = 3, 4.04 to 0.08 for T = 4.",
    ),
    "growth": Printed(
        "Growth with T",
        "Networks trained with L_TET gain more from running longer than they were trained.",
        "Figures 4A and 8: accuracy grows with T from 2 to 8, and on to 64; no number is printed.",
    ),
    "inheritance": Printed(
        "Time inheritance training",
        "Time inheritance training is at least as good as training from scratch, at half the cost.",
        "Section 4.3: 900 instead of 1800 timestep-epochs; Figure 4A: better than from scratch at T = 4 and 6.",
    ),
    "flat planes": Printed(
        "Flatter, frozen statistics",
        "The loss is flatter around networks trained with L_TET, under both losses.",
        "Figure 2: one plane through one network of each; no number is printed.",
    ),
    "flat planes, statistics re-estimated": Printed(
        "Flatter, re-estimated statistics",
        "It is flatter also where batch-norm statistics follow the moved weights.",
        "Not examined by the paper; frozen statistics alone could make a loss look sharp.",
    ),
    "flat after a SAM step": Printed(
        "Flatter along the gradient",
        "It is flatter also along the surrogate gradient, the worst direction to first order.",
        "Not measured by the paper, which argues that L_TET leaves sharp minima.",
    ),
    "flat at a finite radius": Printed(
        "Less curved",
        "The measured loss bends less around networks trained with L_TET.",
        "Section 4.2 speaks of the second-order moment of minima; no number is printed.",
    ),
    "L_TET": Printed(
        "L_TET of SDT networks",
        "Networks trained with L_SDT have a higher L_TET.",
        "Figure 2, B and D: no number is printed.",
    ),
    "switch": Printed(
        "A change of the loss",
        "A change from L_SDT to L_TET after two thirds of the epochs lowers both losses.",
        "Figure 3, VGGSNN on DVS-CIFAR10, changed after epoch 200 of 300: both losses decline; no number is printed.",
    ),
    "regulariser": Printed(
        "Regulariser",
        "The regulariser makes networks more accurate.",
        "Figure 6: accuracy against lambda. The paper takes 0.05 on CIFAR, 0.001 on ImageNet and DVS-CIFAR10.",
    ),
    "smooth neurons": Printed(
        "Smooth neurons",
        "With smooth neurons, whose gradient is that of the loss, both losses train equally well.",
        "Table 2, T = 4: similar accuracies for k = 1, 10, 20.",
    ),
    "mean of steps": Printed(
        "Runs and their steps",
        "The accuracy of a run follows the mean accuracy of its steps, which is higher with L_TET.",
        "Figure 7: no number is printed.",
    ),
    "efficiency": Printed(
        "Accuracy for energy",
        "At the same energy networks trained with L_TET are more accurate.",
        "Figure 4B, 45 nm CMOS, 0.9 pJ and 4.6 pJ: in all cases more efficient.",
    ),
    "gradient mismatch": Printed(
        "Gradient mismatch",
        "The surrogate gradient is not the gradient of the loss, which stops L_SDT in sharp minima.",
        "Section 4.2 argues it; it is not measured there.",
    ),
}

# What stands in those figures and tables of the paper that a study has its own of.
FIGURES = {
    "fig2": "One plane: surfaces around an SDT and a TET network under both losses.",
    "fig3": "VGGSNN on DVS-CIFAR10: L_SDT for 200 epochs, then L_TET for 100.",
    "fig4a": "ResNet-19 on CIFAR-100: networks of T = 2, 3 and 4 run for T = 2 to 8.",
    "fig4b": "Energy of runs of different T, 45 nm CMOS: L_TET is more efficient in all cases.",
    "fig5": "Surfaces in 3-D.",
    "fig6": "Accuracy against lambda.",
    "fig7": "Accuracy of runs against the mean accuracy of their steps, of several runs.",
    "fig8": "Networks run for up to T = 64.",
    "table1": "ResNet-19 on CIFAR-100, three runs: TET minus SDT +3.25 points at T = 4, +3.53 at T = 6.",
    "table2": "ResNet-19 on CIFAR-100, T = 4: similar accuracies of SDT and TET for k = 1, 10, 20.",
    "table3": "VGGSNN on DVS-CIFAR10, T = 10: 83.17 % with augmentation; without, 73.3 % (SDT) and 77.3 % (TET).",
    "table4": "Variance over the steps beyond training: SDT 3.81 (T = 3) and 4.04 (T = 4), TET 1.41 and 0.08.",
}

# Claim to the sizes that the paper prints, by the T of training.
_SIZES = {
    "accuracy": {4: 3.25, 6: 3.53},
    "variance": {3: math.log10(1.41 / 3.81), 4: math.log10(0.08 / 4.04)},
}


def printed_size(claim: str, timesteps: int) -> float:
    """The size of a difference that the paper prints for networks of that T; NaN where it prints none."""
    return _SIZES.get(claim, {}).get(timesteps, math.nan)
