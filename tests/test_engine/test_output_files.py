# Copyright (c) mmseg_ctt contributors.
"""Label images of an evaluation."""

import numpy as np
import pytest
import torch
from mmseg.evaluation import IoUMetric
from PIL import Image

import mmseg_ctt  # noqa: F401  # extends the metric


@pytest.mark.parametrize(
    'number, shift, mode', [(300, 0, 'I;16'), (255, 1, 'I;16'), (255, 0, 'L'), (21, 1, 'L')]
)
def test_ids_are_those_of_the_prediction(tmp_path, number, shift, mode):
    metric = IoUMetric(output_dir=str(tmp_path), format_only=True)
    metric.dataset_meta = dict(classes=[f'class{k}' for k in range(number)])
    ids = torch.arange(number)[None]
    sample = dict(pred_sem_seg=dict(data=ids[None]), img_path='/x/a.jpg')
    metric.process({}, [dict(sample, reduce_zero_label=bool(shift))])
    with Image.open(tmp_path / 'a.png') as image:
        assert image.mode == mode and np.array_equal(np.array(image), ids.numpy() + shift)
