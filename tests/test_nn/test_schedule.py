# Copyright (c) mmseg_ctt contributors.
import uuid

import pytest
from mmengine.logging import MessageHub

from mmseg_ctt.nn.schedule import ramp_up, training_progress


def run_at(done, total):
    hub = MessageHub.get_instance(uuid.uuid4().hex)  # the current one from now on
    hub.update_info('iter', done)
    hub.update_info('max_iters', total)


@pytest.mark.parametrize('done,total,want', [(0, 10, 0), (3, 12, 0.25), (10, 10, 1), (12, 10, 1)])
def test_share_of_the_iterations(done, total, want):
    MessageHub.get_instance(uuid.uuid4().hex)
    assert training_progress() == 0  # no run is under way
    run_at(done, total)
    assert training_progress() == want


@pytest.mark.parametrize(
    'done,share,want',
    [(0, 0.4, 0), (1, 0.4, 0.25), (4, 0.4, 1), (9, 0.4, 1), (5, 1, 0.5), (0, 0, 1), (5, 0, 1)],
)
def test_ramp_up(done, share, want):
    MessageHub.get_instance(uuid.uuid4().hex)
    assert ramp_up(share) == 1  # no run is under way: losses as they are
    run_at(done, 10)
    assert ramp_up(share) == pytest.approx(want)
