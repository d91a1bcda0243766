# Copyright (c) mmseg_ctt contributors.
import math

import pytest

from mmseg_ctt.functional import cosine_ramp, linear_ramp, sigmoid_ramp


@pytest.mark.parametrize('progress', [0, 0.05, 0.1, 0.19, 0.2, 0.7, 1])
def test_ramps(progress):
    t = min(progress / 0.2, 1)
    assert linear_ramp(progress, 0.2) == pytest.approx(t)
    assert sigmoid_ramp(progress, 0.2) == pytest.approx(math.exp(-5 * (1 - t) ** 2))
    assert cosine_ramp(progress, 0.2) == pytest.approx(math.sin(math.pi * t / 2) ** 2)


@pytest.mark.parametrize('ramp', [linear_ramp, sigmoid_ramp, cosine_ramp])
def test_without_a_ramp_the_weight_is_full(ramp):
    assert ramp(0.0, 0.0) == ramp(0.5, 0.0) == ramp(1.0) == ramp(2.0, 0.3) == 1
    assert ramp(-0.1, 0.3) == ramp(0.0, 0.3) < ramp(0.1, 0.3) < ramp(0.2, 0.3) < 1
