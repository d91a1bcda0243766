# Copyright (c) mmseg_ctt contributors.
"""Class maps: values against loops in NumPy."""

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS

from mmseg_ctt.functional import class_map_logits, class_scores, normalized_class_maps
from mmseg_ctt.nn import ClassMapHead


@pytest.fixture
def maps():
    made = torch.randn(2, 3, 5, 6, generator=torch.Generator().manual_seed(2))
    made[0, 1] = -made[0, 1].abs()  # no positive value
    return made


def test_normalised_maps(maps):
    tags = torch.tensor([[1.0, 1, 0], [0, 1, 1]])
    found, alone = normalized_class_maps(maps, tags), normalized_class_maps(maps)
    for b in range(2):
        for c in range(3):
            plain = np.maximum(maps[b, c].numpy(), 0)
            want = plain / (plain.max() + 1e-5)
            np.testing.assert_allclose(alone[b, c], want, rtol=1e-6)
            np.testing.assert_allclose(found[b, c], want * float(tags[b, c]), rtol=1e-6)
    assert not found[0, 1].any() and found.max() <= 1


def test_scores_leave_the_padding_out(maps):
    valid = torch.ones(2, 20, 24, dtype=torch.bool)
    valid[1, :, 12:] = False  # the right half of the second image
    found = class_scores(maps, valid)
    torch.testing.assert_close(found[0], maps[0].mean(dim=(1, 2)))
    torch.testing.assert_close(found[1], maps[1, :, :, :3].mean(dim=(1, 2)))
    torch.testing.assert_close(class_scores(maps), maps.mean(dim=(2, 3)))


@pytest.mark.parametrize('background', [0.3, None])
def test_logits_are_logarithms_of_maps_times_probability(maps, background):
    logits = class_map_logits(maps, background)
    probability = maps.mean(dim=(2, 3)).sigmoid()
    values = normalized_class_maps(maps) * probability[:, :, None, None]
    foreground = logits if background is None else logits[:, 1:]
    torch.testing.assert_close(foreground.exp(), values.clamp(min=1e-4))
    if background is not None:
        assert torch.allclose(logits[:, 0].exp(), torch.tensor(0.3))


def test_an_absent_class_is_nowhere():
    """However clear its map is, since its score is low."""
    maps = torch.full((1, 2, 4, 4), -8.0)
    maps[0, :, 1, 1] = 4.0
    maps[0, 1, :, :2] += 24.0
    label = class_map_logits(maps, 0.3).argmax(dim=1)
    assert set(label.unique().tolist()) == {0, 2}


HEAD = dict(type='ClassMapHead', in_channels=8, num_classes=4)


@pytest.mark.parametrize(
    'given, classes, weights',
    [
        (dict(), 3, (3, 8, 1, 1)),
        (dict(background=False), 4, (4, 8, 1, 1)),
        (dict(num_convs=2, channels=6), 3, (3, 6, 1, 1)),
    ],
)
def test_head(given, classes, weights):
    head = MODELS.build({**HEAD, **given})
    features = [torch.randn(2, 8, 5, 6)]
    assert isinstance(head, ClassMapHead) and head.conv_seg.weight.shape == weights
    assert head.class_maps(features).shape == (2, classes, 5, 6)
    assert head(features).shape == (2, 4, 5, 6)
    tags = torch.eye(4)[:2]
    assert head.tags_of_maps(tags).shape == (2, classes)


@pytest.mark.parametrize(
    'given, line',
    [
        (dict(loss_decode=dict(type='CrossEntropyLoss')), 'loss_decode would be unused'),
        (dict(background_level=1.0), 'background_level must be between 0 and 1, got 1.0'),
    ],
)
def test_settings_that_are_refused(given, line):
    with pytest.raises(ValueError, match=f'^decode_head.{line}'):
        ClassMapHead(in_channels=8, num_classes=4, **given)


def test_masks_do_not_train_it():
    head = ClassMapHead(in_channels=8, num_classes=4)
    with pytest.raises(ValueError, match='learns from tags, not from masks'):
        head.loss([torch.randn(1, 8, 4, 4)], [], {})
