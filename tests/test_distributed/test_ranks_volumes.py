# Copyright (c) mmseg_ctt contributors.
"""Slices of one volume on several ranks."""

import numpy as np
import pytest
from ranks import on_ranks
from toy_slice_samples import CLASSES, case_samples, expected_scores, write_cases

from mmseg_ctt.evaluation.volumes import VolumeMetric


def test_scores_are_those_of_one_process(tmp_path):
    """Each rank has every second slice; the sampler repeats the first, their number being odd."""
    paths = write_cases(tmp_path)
    samples = [*case_samples(paths[0], 'z', 0), *case_samples(paths[1], 'x', 1)]
    samples += case_samples(paths[1], 'x', 1)[-1:]  # another one that comes twice

    def body(rank):
        metric = VolumeMetric(collect_dir=str(tmp_path / 'parts'))
        metric.dataset_meta = dict(classes=CLASSES)
        for sample in [*samples, samples[0]][rank::2]:
            metric.process(None, [sample])
        return metric.evaluate(len(samples)), metric.table

    (values, table), (other, none) = on_ranks(body)
    assert values == other and none is None and table.cases == ('a', 'b')
    expected = expected_scores()
    np.testing.assert_allclose(table.values, np.stack([expected['a'], expected['b']]))
    assert values['volume/mASD'] == pytest.approx(table.values[..., 3].mean())
