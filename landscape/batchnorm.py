"""What becomes of batch-norm statistics when the weights move."""

from torch import nn

from tetviz.training.recalibration import batch_norms

BN_POLICIES = ("frozen", "recalibrate", "batch")


def use_batch_statistics(model: nn.Module) -> None:
    """Makes every batch normalisation use the statistics of the batch at hand, in eval mode too.

    Args:
        model: the network, changed in place: its running statistics are dropped.
    """
    for norm in batch_norms(model):
        norm.track_running_stats = False
        norm.running_mean = norm.running_var = norm.num_batches_tracked = None
