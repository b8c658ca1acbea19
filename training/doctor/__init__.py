"""Is a network fit to be measured? Experiments on copies of it, and what they find."""

from tetviz.training.doctor.checks import CHECKS, Check, Finding, examine

__all__ = ["CHECKS", "Check", "Finding", "examine"]
