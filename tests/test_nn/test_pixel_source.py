# Copyright (c) mmseg_ctt contributors.
import pytest
import torch

from mmseg_ctt.nn.augmentation import PixelSource
from mmseg_ctt.nn.pseudo_label import PseudoLabel

SIZE = (5, 6)


def rand(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_every_pixel_is_that_of_its_image():
    index = (rand(2, *SIZE) * 5).long()
    source = PixelSource(index)
    for maps in (
        rand(5, *SIZE),
        (9 * rand(5, *SIZE)).long(),
        rand(5, 3, *SIZE),
        rand(5, *SIZE) < 0.5,
    ):
        got = source.apply_mix(maps)
        assert got.dtype == maps.dtype and got.shape == (2, *maps.shape[1:])
        for i in range(2):
            for y in range(SIZE[0]):
                for x in range(SIZE[1]):
                    assert torch.equal(got[i, ..., y, x], maps[index[i, y, x], ..., y, x])


@pytest.mark.parametrize('ignored', [255, 254, -100, 4])
def test_pseudo_labels_and_ground_truth_are_mixed_with_the_images(ignored):
    """Pasted labels have confidence 1, and unlabelled pixels stay unlabelled."""
    label, truth = (4 * rand(2, *SIZE)).long(), (4 * rand(1, *SIZE)).long()
    truth[0, :2] = ignored
    logits = rand(2, 4, *SIZE)
    given = PseudoLabel(label, rand(2, *SIZE), None, logits)
    true = PseudoLabel.of_truth(truth, 4, logits)
    both = given.joined(true)
    mixed = both.apply_mix(PixelSource(torch.full((2, *SIZE), 2)))
    known = (truth != ignored).expand(2, -1, -1)
    assert torch.equal(mixed.label, truth.expand(2, -1, -1).masked_fill(~known, 255))
    assert torch.equal(mixed.confidence, known.float()) and torch.equal(mixed.valid, known)
    assert torch.equal(mixed.logits.argmax(1)[known], mixed.label[known])
    top = mixed.logits.softmax(1).amax(1)
    assert (top[known] > 1 - 1e-6).all() and torch.allclose(top[~known], torch.tensor(0.25))
    own = both.apply_mix(PixelSource(torch.arange(2).view(-1, 1, 1).expand(2, *SIZE)))
    assert all(torch.equal(got, want) for got, want in zip(own[:2], given))
    assert mixed.true.all() and not own.true.any()
    assert own.valid.all() and PseudoLabel.of_truth(truth, 4).logits is None
