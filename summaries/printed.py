"""What the TET paper says and prints (Deng, Li, Zhang, Gu, ICLR 2022), beside which a study puts its own numbers.

Its data and sizes are others: ResNet-19 on all of CIFAR-100, VGGSNN on DVS-CIFAR10, 300 epochs. What is not printed in
its text or could not be verified is left out: nothing here is read off a picture.
"""

import math

# Claim to what the paper says, and what it prints of it.
PRINTED = {
    "accuracy": (
        "Networks trained with L_TET are more accurate than those trained with L_SDT.",
        "Table 1, ResNet-19 on CIFAR-100: +3.25 points at T = 4, +3.53 at T = 6. VGGSNN on DVS-CIFAR10: 73.3 % to "
        "77.3 %, with augmentation 77.4 % to 83.17 %.",
    ),
    "steps": (
        "The output of every single step is more accurate with L_TET.",
        "Table 4: accuracies of single steps t = 1 to 8.",
    ),
    "variance": (
        "The accuracy of single steps beyond training varies less with L_TET.",
        "Table 4: variance 3.81 to 1.41 for networks of T = 3, 4.04 to 0.08 for T = 4.",
    ),
    "growth": (
        "Networks trained with L_TET gain more from running longer than they were trained.",
        "Figures 4A and 8: accuracy grows with T from 2 to 8, and on to 64; no number is printed.",
    ),
    "inheritance": (
        "Time inheritance training is at least as good as training from scratch, at half the cost.",
        "Section 4.3: 900 instead of 1800 timestep-epochs; Figure 4A: better than from scratch at T = 4 and 6.",
    ),
    "flat planes": (
        "The loss is flatter around networks trained with L_TET, under both losses.",
        "Figure 2: one plane through one network of each; no number is printed.",
    ),
    "flat planes, statistics re-estimated": (
        "It is flatter also where batch-norm statistics follow the moved weights.",
        "Not examined by the paper; frozen statistics alone could make a loss look sharp.",
    ),
    "flat after a SAM step": (
        "It is flatter also along the surrogate gradient, the worst direction to first order.",
        "Not measured by the paper, which argues that L_TET leaves sharp minima.",
    ),
    "flat at a finite radius": (
        "The measured loss bends less around networks trained with L_TET.",
        "Section 4.2 speaks of the second-order moment of minima; no number is printed.",
    ),
    "L_TET": (
        "Networks trained with L_SDT have a higher L_TET.",
        "Figure 2, B and D: no number is printed.",
    ),
    "switch": (
        "A change from L_SDT to L_TET after two thirds of the epochs lowers both losses.",
        "Figure 3, VGGSNN on DVS-CIFAR10, changed after epoch 200 of 300: both losses decline; no number is printed.",
    ),
    "regulariser": (
        "The regulariser makes networks more accurate.",
        "Figure 6: accuracy against lambda. The paper takes 0.05 on CIFAR, 0.001 on ImageNet and DVS-CIFAR10.",
    ),
    "smooth neurons": (
        "With smooth neurons, whose gradient is that of the loss, both losses train equally well.",
        "Table 2, T = 4: similar accuracies for k = 1, 10, 20.",
    ),
    "mean of steps": (
        "The accuracy of a run follows the mean accuracy of its steps, which is higher with L_TET.",
        "Figure 7: no number is printed.",
    ),
    "efficiency": (
        "At the same energy networks trained with L_TET are more accurate.",
        "Figure 4B, 45 nm CMOS, 0.9 pJ and 4.6 pJ: in all cases more efficient.",
    ),
    "gradient mismatch": (
        "The surrogate gradient is not the gradient of the loss, which stops L_SDT in sharp minima.",
        "Section 4.2 argues it; it is not measured there.",
    ),
}

# Claim to the sizes that the paper prints, by the T of training.
_SIZES = {
    "accuracy": {4: 3.25, 6: 3.53},
    "variance": {3: math.log10(1.41 / 3.81), 4: math.log10(0.08 / 4.04)},
}


def printed_size(claim: str, timesteps: int) -> float:
    """The size of a difference that the paper prints for networks of that T; NaN where it prints none."""
    return _SIZES.get(claim, {}).get(timesteps, math.nan)
