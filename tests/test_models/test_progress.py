# Copyright (c) mmseg_ctt contributors.
import uuid

import pytest
from mmengine.logging import MessageHub

from mmseg_ctt.models.progress import training_progress


@pytest.mark.parametrize('done,total,want', [(0, 10, 0), (3, 12, 0.25), (10, 10, 1), (12, 10, 1)])
def test_share_of_the_iterations(done, total, want):
    hub = MessageHub.get_instance(uuid.uuid4().hex)  # the current one from now on
    assert training_progress() == 0  # no run is under way
    hub.update_info('iter', done)
    hub.update_info('max_iters', total)
    assert training_progress() == want
