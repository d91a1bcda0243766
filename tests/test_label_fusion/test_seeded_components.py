# Copyright (c) mmseg_ctt contributors.
"""Components against flooding voxel by voxel."""

import numpy as np
import pytest
from reference import components as reference

from mmseg_ctt.label_fusion import PlaneFusion
from mmseg_ctt.label_fusion.components import agreement_seeds, clean_label, seeded_components

SHAPE = (9, 8, 7)


def random_mask(seed, density=0.3):
    return np.random.RandomState(seed).rand(*SHAPE) < density


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('ratio', [0, 0.3, 0.5, 1])
def test_seeded(seed, ratio):
    mask, seeds = random_mask(seed), random_mask(seed + 100, 0.05)
    made = seeded_components(mask, seeds & mask, ratio)
    assert (made == reference.seeded(mask, seeds & mask, ratio)).all()
    assert made.any() and (made != mask).any()
    assert (seeded_components(mask, seeds, ratio) == made).all()  # seeds outside do not count


def test_size_counts_among_components_with_a_seed():
    mask, seeds = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    mask[0, 0], mask[4, 4, :4], mask[8, 7, :2], mask[6, 0, 0] = True, True, True, True
    seeds[4, 4, 0] = seeds[8, 7, 0] = seeds[6, 0, 0] = True  # the largest component has none
    made = seeded_components(mask, seeds)
    assert made[4, 4, :4].all() and made[8, 7, :2].all() and made.sum() == 6


@pytest.mark.parametrize('fill', [0, 1, 5])
def test_empty_and_large_masks_are_left(fill):
    mask = np.zeros(SHAPE, bool)
    mask[:fill], mask[8, 7, 6] = bool(fill), bool(fill > 1)
    made = seeded_components(mask, np.zeros(SHAPE, bool))
    assert (made == (mask if fill != 1 else False)).all()


def test_seeds_fall_back():
    mask = np.zeros(SHAPE, bool)
    mask[0, 0, :4] = True
    planes = np.zeros((3, *SHAPE), bool)
    assert (agreement_seeds(mask, planes) == mask).all()  # a class that no plane predicts
    planes[0, 0, 0, :3] = True
    assert agreement_seeds(mask, planes).sum() == 3
    planes[1, 0, 0, :2] = True
    assert agreement_seeds(mask, planes).sum() == 2
    planes[2, 0, 0, :1] = True
    assert agreement_seeds(mask, planes).sum() == 1
    planes[:, 5, 5, 5] = True
    assert agreement_seeds(mask, planes).sum() == 1  # outside of the mask


@pytest.mark.parametrize('rule', ['seeded', 'largest', None])
def test_classes_are_cleaned_one_by_one(rule):
    labels = np.zeros((3, *SHAPE), np.uint8)
    labels[:, 0, 0, :5], labels[:, 4, 4, :4] = 1, 2
    labels[:2, 0, 4, 0] = 1  # small, no seed: two planes of three
    labels[:, 4, 0, :2] = 2  # half the size, with seeds
    fused = PlaneFusion(clean=rule).fuse(labels)
    assert (fused == 1).sum() == (6 if rule is None else 5)
    assert (fused == 2).sum() == (4 if rule == 'largest' else 6)
    assert (clean_label(fused, labels, None) == fused).all()


def test_a_cleaned_voxel_is_masked_where_planes_differ():
    labels = np.zeros((3, *SHAPE), np.uint8)
    labels[:, 0, 0, :5], labels[:2, 4, 4, 0], labels[:, 8, 7, 0] = 1, 1, 1
    fused = PlaneFusion(clean='seeded', agreement_mask=True).fuse(labels)
    assert fused[4, 4, 0] == 255 and fused[8, 7, 0] == 0 and (fused[0, 0, :5] == 1).all()
