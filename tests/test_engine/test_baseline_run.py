# Copyright (c) mmseg_ctt contributors.
"""Scores of a baseline that has been resumed, also from an early checkpoint."""

import json

import pytest
from mmengine.config import Config

from mmseg_ctt.engine.baseline_run import BaselineRun


@pytest.fixture
def add_start(tmp_path):
    """Add a start to a work folder, with the scores that it has logged."""

    def add_start(stamp, scores, resumed=True, log_steps=()):
        folder = tmp_path / stamp / 'vis_data'
        folder.mkdir(parents=True)
        rows = [dict(loss=1.0, step=step) for step in log_steps]
        rows += [dict(mIoU=value, step=step) for step, value in scores.items()]
        rows.sort(key=lambda row: row['step'])
        (folder / 'scalars.json').write_text('\n'.join(json.dumps(row) for row in rows))
        Config(dict(resume=resumed)).dump(folder / 'config.py')

    return add_start


def test_scores_of_a_branch_that_was_given_up(add_start, tmp_path):
    """The second start went on from iteration 2 of the first one, another from 3 of the second."""
    run = BaselineRun(tmp_path, lambda cfg: True)
    assert run.newest() is None and run.score('mIoU') is None and run.curve('mIoU') == []
    add_start('20260101_000000', {1: 10.0, 2: 20.0, 3: 30.0, 4: 40.0}, resumed=False)
    assert run.score('mIoU') == (40.0, 4)
    add_start('20260101_000001', {3: 31.0, 4: 41.0, 5: 51.0})
    assert run.curve('mIoU') == [(10.0, 1), (20.0, 2), (31.0, 3), (41.0, 4), (51.0, 5)]
    add_start('20260101_000002', {})
    assert run.score('mIoU') == (51.0, 5), 'a start that has logged nothing gives up nothing'
    add_start('20260101_000003', {}, log_steps=[4])
    assert run.score('mIoU') == (31.0, 3)
    assert run.score_at('mIoU', 3) == 31.0 and run.score_at('mIoU', 4) is None
    add_start('20260102_000000', {1: 11.0}, resumed=False)
    assert run.curve('mIoU') == [(11.0, 1)]
