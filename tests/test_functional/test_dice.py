# Copyright (c) mmseg_ctt contributors.
"""Squared Dice and logits of one channel, against a restatement."""

import numpy as np
import pytest
import torch
from reference import dtc as reference

from mmseg_ctt import functional


def maps(seed=0, classes=3):
    g = torch.Generator().manual_seed(seed)
    probability = torch.randn(2, classes, 5, 6, generator=g).softmax(1)
    label = torch.randint(0, classes, (2, 5, 6), generator=g)
    target = label.unsqueeze(1) == torch.arange(classes).view(-1, 1, 1)
    return probability, target, torch.rand(2, 5, 6, generator=g)


@pytest.mark.parametrize('weighing', ['none', 'bool', 'float'])
def test_against_the_restatement(weighing):
    probability, target, weight = maps()
    given = dict(none=None, bool=weight > 0.4, float=weight)[weighing]
    got = functional.squared_dice_loss(probability, target, given)
    used = np.ones((2, 5, 6)) if given is None else given.numpy()
    want = reference.squared_dice_loss(probability.numpy(), target.numpy(), used)
    assert got.item() == pytest.approx(want, rel=1e-6)


def test_the_batch_is_one_image():
    """Not the mean of its images: one without the class does not count as an error of its own."""
    probability, target, _ = maps()
    target = target.clone()
    target[1] = False
    probability[1] = 0
    whole = functional.squared_dice_loss(probability, target)
    torch.testing.assert_close(whole, functional.squared_dice_loss(probability[:1], target[:1]))


def test_a_perfect_prediction_and_nothing_to_predict():
    _, target, _ = maps()
    assert functional.squared_dice_loss(target.float(), target).item() == 0
    nothing = torch.zeros(2, 3, 5, 6)
    assert functional.squared_dice_loss(nothing, nothing).item() == 0


def test_no_pixel_counts():
    probability, target, weight = maps()
    leaf = probability.requires_grad_()
    loss = functional.squared_dice_loss(leaf, target, torch.zeros_like(weight, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0 and not leaf.grad.any()


def test_three_dimensions_and_double_precision():
    probability, target, _ = maps()
    loss = functional.squared_dice_loss(probability, target)
    volume = functional.squared_dice_loss(probability[..., None].double(), target[..., None])
    assert volume.dtype == torch.float64
    torch.testing.assert_close(volume.float(), loss)


def test_joint_sums():
    """Sums of two processes give the loss of all images."""
    probability, target, weight = maps()
    other = []

    def sums(part):
        functional.squared_dice_loss(
            probability[part],
            target[part],
            weight[part],
            joint_sum=lambda value: other.append(value) or value,
        )
        return other.pop()

    second = sums(slice(1, 2))
    got = functional.squared_dice_loss(
        probability[:1], target[:1], weight[:1], joint_sum=lambda value: value + second
    )
    want = functional.squared_dice_loss(probability, target, weight)
    torch.testing.assert_close(got, want)


# ---- logits of one channel


def test_one_channel_is_a_sigmoid():
    g = torch.Generator().manual_seed(1)
    logits, label = 3 * torch.randn(2, 1, 5, 6, generator=g), torch.arange(60).view(2, 5, 6) % 2
    label[0, 0] = 255
    two = functional.two_class_logits(logits)
    torch.testing.assert_close(two.softmax(1)[:, 1:], logits.sigmoid())
    assert functional.two_class_logits(two) is two
    kept = label != 255
    want = torch.nn.functional.binary_cross_entropy_with_logits(
        logits[:, 0][kept], label[kept].float()
    )
    torch.testing.assert_close(functional.cross_entropy(logits, label), want)
    found, confidence = functional.pseudo_label(logits)
    assert torch.equal(found, (logits[:, 0] > 0).long())
    torch.testing.assert_close(confidence, two.softmax(1).amax(1))
