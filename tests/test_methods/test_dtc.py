# Copyright (c) mmseg_ctt contributors.
"""Dual-task consistency: a step by hand, binary heads, distance maps of the loader."""

import logging

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from family import RECIPES, ready, step
from mmengine.runner import Runner
from mmseg.structures import SegDataSample
from record_losses import run_losses, toy_run
from reference import dtc as reference
from toy import losses_of, prepared, toy_batch, toy_model, toy_segmentor
from toy_data import toy_config, toy_method, write_mask, write_toy_data

from mmseg_ctt.engine import prepare_config
from mmseg_ctt.methods.dtc import segmentor as module
from mmseg_ctt.methods.dtc.level_set import LevelSetHead

KIND = 'DualTaskConsistency'
METAS = [dict(ori_shape=(32, 32), img_shape=(32, 32))]


def binary(channels=1, **head):
    """The toy segmentor for two classes."""
    cfg = toy_segmentor(num_classes=2)
    cfg['decode_head'].update(head)
    if channels == 1:
        cfg['decode_head'].update(out_channels=1, threshold=0.5)
    return cfg


def binary_batch(ignored=True, **given):
    batch = toy_batch(**given)
    for sample in batch['data_samples']:
        if 'gt_sem_seg' in sample:
            sample.gt_sem_seg.data %= 2
            if ignored:
                sample.gt_sem_seg.data[:, :3] = 255
    return batch


def steep(model):
    """Level sets whose values lie on both sides of what the transform resolves."""
    torch.manual_seed(3)
    model.level_set.conv.weight.data.normal_(std=0.02)
    return model


# ---- a step by hand


@pytest.mark.parametrize('mode', ['default', 'released'])
@pytest.mark.parametrize('channels', [1, 2, 4])
def test_a_step(channels, mode):
    segmentor = toy_segmentor() if channels == 4 else binary(channels)
    model = steep(toy_model(KIND, segmentor=segmentor, mode=mode))
    batch = binary_batch() if channels < 4 else toy_batch()
    data = prepared(model, batch)
    losses = model(**data, mode='loss')
    images = torch.cat([data['inputs']['labeled'], data['inputs']['unlabeled']])
    (output,) = model.forward_member('student0', images)
    with torch.no_grad():
        level_set = F.conv2d(output.embedding, model.level_set.conv.weight)
        level_set += model.level_set.conv.bias.view(-1, 1, 1)
        z, logits = (
            F.interpolate(m, (32, 32), mode='bilinear') for m in (level_set, output.logits)
        )
        z = z.tanh().numpy()
        p = (logits.sigmoid() if channels == 1 else logits.softmax(1)[:, channels == 2 :]).numpy()
    label = torch.cat([s.gt_sem_seg.data for s in data['data_samples']['labeled']]).numpy()
    known = label != 255
    target = np.stack([label == k for k in (range(4) if channels == 4 else [1])], axis=1)
    kind = dict(empty='zeros', boundary='zero') if mode == 'released' else {}
    distance = np.array(
        [[reference.signed_distance(t, k, **kind) for t in ts] for ts, k in zip(target, known)]
    )
    valid = np.concatenate([known, np.ones((2, 32, 32), bool)])
    want = dict(
        dice=reference.squared_dice_loss(p[:2], target, known),
        distance=0.3 * reference.distance_loss(z[:2], distance, known),
        consistency=reference.dual_task_consistency(z, p, 1500, valid),
    )
    for term, value in want.items():
        assert losses[f'student0.loss_{term}'].item() == pytest.approx(value, rel=1e-4), term
    agree = ((z < 0) == (p > 0.5)).all(axis=1)[valid].mean()
    assert losses['student0.agreement_ratio'].item() == pytest.approx(agree, rel=1e-6)
    own = losses['student0.decode.loss_ce']
    assert own == 0 if mode == 'released' else own > 0


def test_the_cross_entropy_of_one_channel_is_that_of_a_sigmoid():
    model = toy_model(KIND, segmentor=binary())
    data = prepared(model, binary_batch())
    losses = model(**data, mode='loss')
    with torch.no_grad():
        (output,) = model.forward_member(
            'student0', torch.cat([data['inputs']['labeled'], data['inputs']['unlabeled']])
        )
        logits = F.interpolate(output.logits[:2], (32, 32), mode='bilinear')[:, 0]
    label = torch.cat([s.gt_sem_seg.data for s in data['data_samples']['labeled']])
    kept = label != 255
    want = F.binary_cross_entropy_with_logits(logits[kept], label[kept].float())
    torch.testing.assert_close(losses['student0.decode.loss_ce'], want)


def test_a_background_has_no_level_set():
    model = toy_model(KIND, signed_distance=dict(background=2))
    assert model.level_set.classes.tolist() == [0, 1, 3]
    maps = prepared(model)['data_samples']['labeled'][0].signed_distance
    assert maps.data.shape == (3, 32, 32)
    assert model.level_set.conv.out_channels == 3
    assert step(model)['student0.loss_distance'] > 0


def test_the_agreement_gives_gradient_to_both_heads():
    model = steep(toy_model(KIND))
    losses_of(model, toy_batch())['student0.loss_consistency'].backward()
    for conv in (model.level_set.conv, model.students[0].decode_head.conv_seg):
        assert conv.weight.grad.abs().sum() > 0


def test_ignored_pixels_give_no_term_a_gradient():
    model = steep(toy_model(KIND))
    batch = toy_batch()
    for sample in batch['data_samples'][:2]:
        sample.gt_sem_seg.data[..., 16:] = 255
    data, forward, kept = prepared(model, batch), model.forward_member, []

    def forward_member(*args):
        outputs = forward(*args)
        kept.extend((output.logits, output.embedding) for output in outputs)
        for maps in kept:
            for map_ in maps:
                map_.retain_grad()
        return outputs

    model.forward_member = forward_member
    losses = model(**data, mode='loss')
    for term in ('dice', 'distance', 'consistency'):
        model.zero_grad()
        losses[f'student0.loss_{term}'].backward(retain_graph=True)
    for map_ in kept[0]:
        assert not map_.grad[..., 5:].any() and map_.grad[..., :4].any()


def test_the_level_set_runs_in_float32_under_autocast():
    head, embedding = LevelSetHead(8, [1, 2]), torch.randn(2, 8, 4, 4)
    want = head(embedding, (8, 8), False)
    with torch.autocast('cpu', torch.bfloat16):
        got = head(embedding, (8, 8), False)
    assert torch.equal(got, want) and got.dtype == torch.float32


# ---- settings


def refused(error=ValueError, **given):
    with pytest.raises(error) as caught:
        toy_model(KIND, **given)
    assert '\n' not in str(caught.value)
    return str(caught.value)


def test_bad_settings():
    weights = dict(distance=0, consistency=0)
    assert refused(loss_weights=weights).startswith('model.loss_weights: distance and consistency')
    assert refused(steepness=-1).startswith('model.steepness must be at least 0')
    assert refused(TypeError, steepness='steep').startswith('model.steepness must be a number')
    sentence = refused(segmentor=binary(), signed_distance=dict(background=None))
    assert sentence.startswith('model.signed_distance.background must be 0 for decode_head.out_ch')
    assert 'background=7 is none of 4' in refused(signed_distance=dict(background=7))
    assert "got 'none'" in refused(signed_distance=dict(empty='none'))


@pytest.mark.parametrize('kind', ['MeanTeacher', 'FixMatchSeg'])
def test_other_methods_still_refuse_one_channel(kind):
    with pytest.raises(ValueError, match=r'out_channels=1 \(sigmoid\)'):
        toy_model(kind, segmentor=binary())


def test_one_channel_of_one_class_is_refused():
    segmentor = toy_segmentor(num_classes=1)
    assert 'out_channels=1' in refused(segmentor=segmentor)


@pytest.mark.parametrize('term', ['dice', 'distance', 'consistency'])
def test_a_term_that_is_off(term):
    model = toy_model(KIND, loss_weights={term: 0})
    losses = step(model)
    assert f'student0.loss_{term}' not in losses
    assert all(w.grad is not None for w in model.parameters() if w.requires_grad)


def test_dice_that_counts_twice_is_a_warning(monkeypatch):
    lines = []
    monkeypatch.setattr(module, 'print_log', lambda line, _, level: lines.append((line, level)))
    head = dict(loss_decode=dict(type='SquaredDiceLoss'))
    toy_model(KIND, segmentor=binary(**head))
    ((line, level),) = lines
    assert level == logging.WARNING and 'Dice counts twice' in line
    toy_model(KIND, segmentor=binary(**head), loss_weights=dict(dice=0))
    assert len(lines) == 1


def test_maps_of_another_background_are_refused():
    model = toy_model(KIND)
    model.toy_steps = toy_model(KIND, signed_distance=dict(background=0)).toy_steps
    with pytest.raises(ValueError, match='have 3 signed distance maps and the model has 4'):
        losses_of(model, toy_batch())


def test_samples_without_maps():
    model = toy_model(KIND)
    model.toy_steps = {}
    with pytest.raises(ValueError, match='source labeled has no map signed_distance'):
        losses_of(model, toy_batch())


# ---- in a run


@pytest.mark.parametrize(
    'given, want',
    [
        ({}, {}),
        (dict(mode='released'), dict(empty='zeros', boundary='zero')),
        (
            dict(mode='released', signed_distance=dict(empty='ones', background=None)),
            dict(empty='ones', boundary='zero', background=None),
        ),
    ],
)
def test_the_step_of_the_pipeline_has_the_settings_of_the_model(given, want, tmp_path):
    cfg = toy_config(tmp_path, tmp_path / 'work', model=toy_method(KIND, **given))
    pipeline = prepare_config(cfg).train_dataloader.dataset.labeled.pipeline
    assert pipeline[-2] == dict(type='GenerateSignedDistance', **want)
    assert pipeline[-1].type == 'PackSemiSegInputs' and pipeline[-1].maps == ['signed_distance']
    model = toy_model(KIND, **given)
    built = model.toy_steps['labeled'][0]
    assert (built.empty, built.boundary) == (
        want.get('empty', 'ones'),
        want.get('boundary', 'inside'),
    )


def test_no_maps_where_their_loss_is_off(tmp_path):
    model = toy_method(KIND, loss_weights=dict(distance=0))
    cfg = prepare_config(toy_config(tmp_path, tmp_path / 'work', model=model))
    assert cfg.train_dataloader.dataset.labeled.pipeline[-1].type == 'PackSegInputs'


def test_a_run_with_one_channel(tmp_path):
    """Training, validation and the metrics of mmseg."""
    root = write_toy_data(tmp_path / 'data')
    for seed, stem in enumerate(('l0', 'l1', 'l2')):
        write_mask(root / 'ann' / f'{stem}.png', seed, num_classes=2)
    cfg = toy_config(root, tmp_path / 'work', model=toy_method(KIND, segmentor=binary()))
    meta = dict(classes=('a', 'b'), palette=[[0, 0, 0], [9, 9, 9]])
    data = cfg.train_dataloader.dataset
    for leaf in (data.labeled, data.unlabeled, cfg.val_dataloader.dataset):
        leaf.metainfo = meta
        leaf.pipeline = [s for s in leaf.pipeline if s.type != 'CheckSegMap']
    cfg.test_dataloader = cfg.val_dataloader
    runner = Runner.from_cfg(cfg)
    losses = run_losses(runner)
    assert all(np.isfinite(list(values.values())).all() for values in losses.values())
    metrics = runner.val_loop.run()
    assert metrics['mIoU'] > 0


@pytest.mark.parametrize('threshold', [0.5, 0.47])
def test_predictions_of_one_channel_are_those_of_mmseg(threshold):
    model = toy_model(KIND, segmentor=binary()).eval()
    member = model.students[0]
    member.decode_head.threshold = threshold
    member.decode_head.conv_seg.bias.data.fill_(-0.3)
    member.decode_head.conv_seg.weight.data.normal_()
    image = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        want = member.predict(image, [SegDataSample(metainfo=METAS[0])])[0]
        found = [
            model.predict(image, [SegDataSample(metainfo=METAS[0])])[0],
            model.predict(image)[0],
            model.predict_members(image, [SegDataSample(metainfo=METAS[0])])['ensemble'][0],
        ]
    for got in found:
        torch.testing.assert_close(got.seg_logits.data, want.seg_logits.data)
        assert torch.equal(got.pred_sem_seg.data.long(), want.pred_sem_seg.data.long())
    assert 0 < want.pred_sem_seg.data.float().mean() < 1


def test_losses_fall(tmp_path):
    """Distances are learnt within some iterations of a toy run."""
    root = write_toy_data(tmp_path / 'data')
    losses = run_losses(toy_run(KIND, root, tmp_path / 'work', iterations=30))
    first, last = (
        np.mean([losses[i]['student0.loss_distance'] for i in numbers])
        for numbers in (range(1, 6), range(26, 31))
    )
    assert last < 0.9 * first


def test_recipes_have_both_modes():
    modes = {ready(recipe).mode for recipe in RECIPES.values() if recipe.kind == KIND}
    assert modes == {'default', 'released'}
