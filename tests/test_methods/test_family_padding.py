# Copyright (c) mmseg_ctt contributors.
"""Padding teaches no method anything."""

import torch
from family import EVERY_RECIPE, ready, trained_weights, working_terms
from torch.nn.modules.batchnorm import _BatchNorm
from toy import losses_of, prepared, total_of, toy_batch

from mmseg_ctt.nn.projection import PixelProjection

WIDTH, CELLS = 20, 6  # columns of content, and cells at stride 4 that reach into it


def cells_of(map_, output):
    return CELLS * map_.shape[-1] // output.logits.shape[-1]


def kernel_of(layer):
    return layer.kernel_size if isinstance(layer, torch.nn.Conv2d) else (1, 1)


def disturbed(model, noise):
    """Adds noise to the outputs of all members in the padding, where no pixel of content reaches.

    Embeddings that a projection reads are left alone, and so are features that a part of the
    method reads: these are networks as the members are, whose 3x3 layers and batch statistics reach
    everywhere.
    """
    forward = model.forward_members
    projects = any(isinstance(module, PixelProjection) for module in model.modules())
    parts = [getattr(model, name) for name in model.parts]
    layers = [layer for part in parts if part is not None for layer in part.modules()]
    spreads = any(isinstance(layer, _BatchNorm) or max(kernel_of(layer)) > 1 for layer in layers)
    g = torch.Generator().manual_seed(4)

    def changed(map_, first=CELLS):
        if map_ is None:
            return None
        beyond = torch.zeros_like(map_)
        beyond[..., first:] = noise * torch.randn(beyond[..., first:].shape, generator=g)
        return map_ + beyond

    def wrapper(*args, **kwargs):
        return {
            name: [
                output._replace(
                    logits=changed(output.logits),
                    embedding=output.embedding if projects else changed(output.embedding),
                    features=output.features
                    if spreads
                    else [changed(map_, cells_of(map_, output)) for map_ in output.features],
                )
                for output in outputs
            ]
            for name, outputs in forward(*args, **kwargs).items()
        }

    model.forward_members = wrapper
    for name in model.members:
        head = model.member(name).decode_head
        if hasattr(head, 'class_maps'):
            head.class_maps = lambda maps, given=head.class_maps: changed(given(maps))
    return model


@EVERY_RECIPE
def test_padding_teaches_nothing(recipe):
    """Whatever networks predict in it: losses, gradients and memories are the same."""
    results = []
    for noise in (0.0, 20.0):
        model = disturbed(ready(recipe), noise)
        data = prepared(model)
        for samples in data['data_samples'].values():
            for sample in samples:
                sample.set_metainfo(dict(img_shape=(32, WIDTH)))
                if 'gt_sem_seg' in sample:
                    sample.gt_sem_seg.data[..., WIDTH:] = 255
        losses = model(**data, mode='loss')
        total_of(losses, model).backward()
        gradients = {name: weight.grad for name, weight in trained_weights(model).items()}
        results.append((losses, gradients, dict(model.named_buffers())))
    for plain, other in zip(*results):
        torch.testing.assert_close(other, plain, rtol=1e-5, atol=1e-6)
    losses = results[0][0]  # a square crop of a whole image does not fit beside padding
    working = [key for key in working_terms(recipe, losses) if not key.endswith('loss_rotation')]
    assert all(losses[key] > 0 for key in working)


@EVERY_RECIPE
def test_padding_changes_the_losses(recipe):
    """The padding of the test above matters at all."""
    model, plain = ready(recipe), losses_of(ready(recipe), toy_batch())
    data = prepared(model)
    for sample in data['data_samples'][model.sources[-1]]:
        sample.set_metainfo(dict(img_shape=(32, WIDTH)))
        if 'gt_sem_seg' in sample:
            sample.gt_sem_seg.data[..., WIDTH:] = 255
    losses = model(**data, mode='loss')
    assert any(losses[key] != plain[key] for key in plain if 'loss' in key)
