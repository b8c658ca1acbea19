"""The samples of an epoch are told from others, whatever their order and batches."""

import torch

from tetviz.training.tally import Tally


def digests(*batches):
    tally = Tally()
    assert len(list(tally.watched("train", batches))) == len(batches)
    return tally.digests()


def test_order_and_batches_do_not_matter_and_every_value_and_label_does():
    x_BCHW, labels_B = torch.rand(6, 2, 3, 3), torch.arange(6)
    whole = digests((x_BCHW, labels_B))
    order = torch.randperm(6)
    assert digests((x_BCHW[order[:4]], labels_B[order[:4]]), (x_BCHW[order[4:]], labels_B[order[4:]])) == whole
    changed = x_BCHW.clone()
    changed[3, 1, 2, 0] = torch.nextafter(changed[3, 1, 2, 0], torch.tensor(2.0))
    assert digests((changed, labels_B)) != whole
    assert digests((x_BCHW, labels_B.roll(1))) != whole
    assert digests((x_BCHW[:5], labels_B[:5])) != whole
    assert digests((x_BCHW, labels_B), (x_BCHW, labels_B)) != whole  # one that comes twice is no other


def test_sequences_are_taken_sample_by_sample():
    x_TBCHW, labels_B = torch.rand(4, 3, 2, 5, 5), torch.arange(3)
    order = [2, 0, 1]
    assert digests((x_TBCHW, labels_B)) == digests((x_TBCHW[:, order], labels_B[order]))
    assert digests((x_TBCHW, labels_B)) != digests((x_TBCHW.flip(0), labels_B))
