# Copyright (c) mmseg_ctt contributors.
"""The size that a pipeline needs, and that of a copy."""

import pytest
from mmseg.registry import TRANSFORMS

from mmseg_ctt.datasets.training_copy.sizes import Scale, largest, needed_scale, reduced_size

LOAD = [
    dict(type='CheckedLoadImageFromFile'),
    dict(type='CheckedLoadAnnotations'),
    dict(type='PhotoMetricDistortion'),
]
CROP = dict(type='RandomCrop', crop_size=(8, 8))


@pytest.mark.parametrize(
    'steps, scale',
    [
        ([dict(type='Resize', scale=(64, 32), keep_ratio=True)], Scale(64, 32)),
        ([dict(type='Resize', scale=(64, 32))], Scale(64, 32, False)),
        (
            [dict(type='RandomResize', scale=(60, 40), ratio_range=(0.5, 2.0), keep_ratio=True)],
            Scale(120, 80),
        ),
        ([dict(type='RandomResize', scale=[(60, 40), (90, 20)])], Scale(90, 40, False)),
        (
            [dict(type='Resize', scale=(64, 32), keep_ratio=True, interpolation='area')],
            Scale(64, 32, True, 'area'),
        ),
        # what depends on the size of the file
        ([dict(type='Resize', scale_factor=0.5)], None),
        ([CROP], None),
        ([CROP, dict(type='Resize', scale=(64, 32))], None),
        ([dict(type='RandomRotate', prob=1, degree=9.0), dict(type='Resize', scale=(6, 3))], None),
        ([dict(type='Resize', scale=(64, 32), backend='pillow')], None),
        ([dict(type='RandomChoiceResize', scales=[(30, 20)])], None),
        ([], None),
    ],
)
def test_needed_scale(steps, scale):
    assert needed_scale([TRANSFORMS.build(step) for step in LOAD + steps]) == scale


def test_one_scale_for_several_pipelines():
    assert largest([Scale(60, 20), Scale(40, 30)]) == Scale(60, 30)
    assert largest([Scale(60, 20), None]) is None
    assert largest([Scale(60, 20), Scale(60, 20, False)]) is None
    assert largest([]) is None


@pytest.mark.parametrize(
    'size, scale, made',
    [
        ((1024, 2048), Scale(1024, 512), (512, 1024)),
        ((375, 500), Scale(320, 240), (240, 320)),
        ((500, 375), Scale(320, 240), (320, 240)),  # portrait: the long edge is at most 320
        ((100, 200), Scale(1024, 512), (100, 200)),  # never enlarged
        ((100, 200), Scale(50, 400, False), (100, 50)),
    ],
)
def test_reduced_size(size, scale, made):
    assert reduced_size(size, scale) == made
    again = reduced_size(made, scale)
    assert again == made  # the pipeline then changes nothing
