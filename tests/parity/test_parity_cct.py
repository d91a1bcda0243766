# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of CCT gives on stored inputs (``oracles/cct``)."""

import pytest
import torch.nn.functional as F
from released_code import close, every_case

from mmseg_ctt import functional


@every_case('cct', 'get_r_adv')
def test_adversarial_direction(case, record_property):
    data = case.load()
    weights = [data[f'conv{i}_{name}'] for i in (1, 2) for name in ('weight', 'bias')]

    def predict(feature):
        hidden = F.conv2d(feature, weights[0], weights[1], padding=1).relu()
        return F.conv2d(hidden, weights[2], weights[3])

    target, images = predict(data.x).softmax(1), len(data.x)
    got = functional.adversarial_direction(
        predict,
        data.x,
        target,
        data.noise - 0.5,
        eps=data.eps,
        xi=data.xi,
        num_iterations=data.iterations,
        guard=1e-8 * images,  # the released gradient is that of a mean over images
    )
    record_property('r_adv', close(got, data.r_adv, data.tolerance(1e-3)))
    after = functional.pixel_consistency(predict(data.x + got), target, 'kl').sum() / images
    assert after.item() == pytest.approx(data.kl_after, rel=data.tolerance(1e-3))
