# Copyright (c) mmseg_ctt contributors.
"""Pixels without a label teach no method anything, whatever number says that they have none."""

import copy

import pytest
import torch
from family import EVERY_RECIPE_WITH_MASKS, ready, step, trained_weights
from toy import toy_batch, toy_settings, whole_segmentor


def results(recipe, ignored):
    """Losses of two steps and gradients, with such pixels in every labelled image."""
    given = toy_settings(recipe.kind, **recipe.settings).get('segmentor')
    segmentor = copy.deepcopy(whole_segmentor(given))  # that of a recipe is shared
    heads = segmentor.get('auxiliary_head') or []
    for head in (segmentor['decode_head'], *(heads if isinstance(heads, list) else [heads])):
        head['ignore_index'] = ignored
    segmentor['data_preprocessor']['seg_pad_val'] = ignored
    model, batch = ready(recipe, segmentor=segmentor), toy_batch()
    for sample in batch['data_samples']:
        if 'gt_sem_seg' in sample:
            sample.gt_sem_seg.data[:, :12, :20] = ignored
    found = [step(model, batch) for _ in range(2)]
    gradients = {name: weight.grad for name, weight in trained_weights(model).items()}
    return {
        f'{i} {name}': value for i, losses in enumerate(found) for name, value in losses.items()
    }, gradients


@pytest.mark.parametrize('ignored', [254, -100])
@EVERY_RECIPE_WITH_MASKS
def test_any_number_marks_pixels_without_a_label(recipe, ignored):
    for usual, other in zip(results(recipe, 255), results(recipe, ignored)):
        assert usual.keys() == other.keys()
        for name, value in usual.items():
            torch.testing.assert_close(other[name], value, msg=lambda text, n=name: f'{n}: {text}')
