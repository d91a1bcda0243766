# Copyright (c) mmseg_ctt contributors.
"""Configs of the locally adaptive loss are those of the baseline, and of CTT, with another loss."""

import copy

import pytest
from leaves import LEAVES, leaf, network

NAMES = sorted(name for name in LEAVES if name.startswith('lal/'))


@pytest.mark.parametrize('name', NAMES)
def test_only_the_loss_differs(name):
    other = 'ctt/ctt' if name.startswith('lal/lal-ctt') else 'supervised/supervised'
    given = copy.deepcopy(leaf(name)._cfg_dict)
    baseline = copy.deepcopy(leaf(f'{other}_{name.partition("_")[2]}')._cfg_dict)
    losses = [network(cfg).decode_head.pop('loss_decode') for cfg in (given, baseline)]
    assert losses == [dict(type='LocallyAdaptiveLoss'), dict(type='PixelCrossEntropyLoss')]
    assert given == baseline
