# Copyright (c) mmseg_ctt contributors.
import uuid

import pytest
from mmengine.logging import MessageHub


@pytest.fixture(autouse=True)
def no_run() -> None:
    """No run is under way, whatever ran before: schedules read the current message hub."""
    MessageHub.get_instance(uuid.uuid4().hex)
