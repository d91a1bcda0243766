# Copyright (c) mmseg_ctt contributors.
"""Every decode head of mmseg: as a member, in a method with contrast, and in one without.

docs/reference/networks.md has the outcome as a table; this test holds it.
"""

import copy
import re
import sys
from pathlib import Path

import mmseg.models.decode_heads
import pytest
import torch
from networks import NETWORKS, batch_with_edges
from torch import nn
from toy import losses_of, total_of, toy_batch, toy_model
from versions import TORCH

from mmseg_ctt.compat import MissingOps
from mmseg_ctt.nn.member import build_member, forward_member, supervised_losses

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'reference' / 'networks.md'
CONTRAST, PLAIN = 'CrossTeacherTraining', 'FixMatchSeg'
# no toy size: it averages over 49 x 49 pixels; the others are no segmentation heads by themselves
NOT_TRIED = {'LRASPPHead', 'SideAdapterCLIPHead', 'VPDDepthHead', 'BaseDecodeHead'}
PARTS = {'KernelUpdateHead', 'KernelUpdator'}  # of IterativeDecodeHead
COMPILED = {'PSAHead'}
LITE = isinstance(sys.modules.get('mmcv._ext'), MissingOps)
# its own code changes a tensor in place that older versions of PyTorch need afterwards
OLDER = {'DNLHead'} if TORCH < (2, 6) else set()
LEFT_OUT = {*OLDER, *(COMPILED if LITE else ())}
TRIED = [name for name in NETWORKS if name.split(',')[0] not in LEFT_OUT]
REFUSED = ('MaskFormerHead', 'Mask2FormerHead')


def table() -> dict:
    """Cells of the page's table: methods with contrast, other methods."""
    rows = re.findall(r'^\| `(.+?)` \| (.+?) \| (.+?) \|', PAGE.read_text(), re.MULTILINE)
    return {name.replace('`', ''): {CONTRAST: first, PLAIN: other} for name, first, other in rows}


def test_the_table_has_every_head_of_mmseg():
    stock = set(mmseg.models.decode_heads.__all__) - NOT_TRIED - PARTS
    tried = {name for entry in NETWORKS for name in re.findall(r'\w*Head', entry)}
    assert stock <= tried
    assert set(table()) == set(NETWORKS)


@pytest.mark.parametrize('kind', [CONTRAST, PLAIN])
@pytest.mark.parametrize('name', TRIED)
def test_a_step_and_a_prediction(name, kind):
    torch.manual_seed(0)
    if table()[name][kind] == 'refused':
        with pytest.raises(ValueError, match='docs/reference/networks.md'):
            toy_model(kind, segmentor=NETWORKS[name])
        return
    model = toy_model(kind, segmentor=NETWORKS[name])
    losses = losses_of(model, batch_with_edges())
    total_of(losses, model).backward()
    student = model.students[0]
    assert all(torch.isfinite(value).all() for value in losses.values())
    assert any(key.startswith('student0.decode') and value > 0 for key, value in losses.items())
    assert all(p.grad is not None for p in student.decode_head.parameters() if p.requires_grad)
    model.eval()
    with torch.no_grad():
        (sample, _) = model.predict(torch.randn(2, 3, 32, 32))
    assert sample.pred_sem_seg.shape == (32, 32)


@pytest.mark.parametrize('name', [name for name in TRIED if name not in REFUSED])
def test_supervised_losses_equal_those_of_mmseg(name):
    torch.manual_seed(0)
    member = build_member(NETWORKS[name], embedding=False).train()
    for module in member.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0  # mmseg decodes the first head of a cascade twice
    other = copy.deepcopy(member)  # a pass moves the bases of an EMAHead
    samples = [s for s in batch_with_edges()['data_samples'] if 'gt_sem_seg' in s]
    image = torch.randn(len(samples), 3, 32, 32)
    torch.manual_seed(1)  # of the points of PointRend
    ours = supervised_losses(member, forward_member(member, image, embedding=False), samples)
    torch.manual_seed(1)
    stock = other._decode_head_forward_train(other.extract_feat(image), samples)
    stock = {key: value for key, value in stock.items() if 'loss' in key}
    assert {key for key in ours if key.startswith('decode')} == set(stock)
    for key, value in stock.items():
        torch.testing.assert_close(ours[key], value, msg=key)


def test_edges_are_named_where_they_are_missing():
    model = toy_model(PLAIN, segmentor=NETWORKS['PIDHead'])
    with pytest.raises(ValueError, match='GenerateEdge.*labeled.pipeline'):
        losses_of(model, toy_batch())


@pytest.mark.parametrize('name', ['OCRHead', 'DAHead', 'PointHead', 'PIDHead', 'DDRHead'])
def test_teachers_in_eval_mode(name):
    """Some backbones and heads give a single map in eval mode, and several in training mode."""
    torch.manual_seed(0)
    model = toy_model('MeanTeacher', segmentor=NETWORKS[name], teacher_mode='eval')
    assert not model.teachers[0].training
    total_of(losses_of(model, batch_with_edges()), model).backward()
