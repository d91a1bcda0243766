# Copyright (c) mmseg_ctt contributors.
"""Images whose sizes differ from rank to rank: the batches of all ranks have one size."""

import pytest
import torch
from ranks import Counted, on_ranks
from toy import prepared, ready_model, toy_batch, toy_segmentor
from versions import GLOO_BOOL

from mmseg_ctt.nn.data_preprocessor import SemiSegDataPreProcessor

pytestmark = GLOO_BOOL
SIDES = (32, 48)  # of the images of each rank


def images_of(rank):
    """Squares, the last of which is lower."""
    batch = toy_batch(side=SIDES[rank], seed=rank)
    batch['inputs'][-1] = batch['inputs'][-1][:, :20]
    return batch


@pytest.mark.parametrize(
    'settings, shapes, calls',
    [
        (dict(size_divisor=16), [(48, 48), (48, 48)], 1),
        (dict(size_divisor=40), [(80, 80), (80, 80)], 1),
        (dict(size=(64, 56)), [(64, 56), (64, 56)], 0),
    ],
)
def test_padding(settings, shapes, calls):
    def body(rank):
        made = SemiSegDataPreProcessor(**settings)
        with Counted() as counted:
            batch = images_of(rank)
            wanted = [image.clone() for image in batch['inputs']]
            data = made(batch, True)
        assert (made.size, made.size_divisor) == (
            settings.get('size'),
            settings.get('size_divisor'),
        )
        for source, numbers in (('labeled', (0, 1)), ('unlabeled', (2, 3))):
            for image, number in zip(data['inputs'][source], numbers):
                height, width = wanted[number].shape[1:]
                assert torch.equal(image[:, :height, :width], wanted[number].float())
                assert image[:, height:].sum() == image[:, :, width:].sum() == 0
        shapes = {tuple(images.shape[2:]) for images in data['inputs'].values()}
        labels = {tuple(s.gt_sem_seg.shape) for s in data['data_samples']['labeled']}
        assert len(shapes) == 1 and labels == shapes
        return shapes.pop(), sum(counted.calls.values())

    assert on_ranks(body) == [(shape, calls) for shape in shapes]


@pytest.mark.parametrize(
    'kind, settings',
    [
        ('U2PL', {}),
        ('ContextAwareConsistency', dict(bank=dict(size=4000, budget=2000))),  # for all pixels
    ],
)
def test_methods_that_gather_pixels(kind, settings):
    segmentor = toy_segmentor()
    segmentor['data_preprocessor']['size_divisor'] = 16

    def body(rank):
        model = ready_model(kind, segmentor=segmentor, **settings)
        losses = model(**prepared(model, images_of(rank)), mode='loss')
        model.parse_losses(losses)[0].backward()
        assert all(torch.isfinite(value).all() for value in losses.values())
        return {name: value for name, value in model.state_dict().items() if 'bank' in name}

    first, second = on_ranks(body, seconds=60)
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
