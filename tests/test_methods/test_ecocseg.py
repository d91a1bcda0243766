# Copyright (c) mmseg_ctt contributors.
"""ECOCSeg: codes, reliable bits and the loss against restatements, a step by hand, mistakes."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from no_sync import record
from reference import class_codes as reference
from toy import (
    NUM_CLASSES,
    losses_of,
    prepared,
    ready_model,
    toy_batch,
    toy_model,
    toy_segmentor,
    whole_segmentor,
)
from toy_data import toy_config
from toy_run import shake

from mmseg_ctt.deploy.export import export_member
from mmseg_ctt.methods.ecocseg import CodeHead
from mmseg_ctt.methods.ecocseg.consistency import CodeConsistency
from mmseg_ctt.methods.ecocseg.functional import (
    _column_distance,
    code_distance,
    code_loss,
    distance_scores,
    likelihood_scores,
    max_min_code,
    reliable_bits,
    words_of,
)
from mmseg_ctt.methods.ecocseg.head import with_code

KIND, K, M = 'ECOCSeg', 4, 7


def numbers(*shape, seed=0):
    return 2 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


CODE = max_min_code(K, M)
ROWS = CODE.tolist()


def pixels(map_):
    """Rows of the channels of each pixel."""
    return map_.movedim(1, -1).flatten(0, -2).tolist()


# ---- codes


@pytest.mark.parametrize('shape', [(4, 7), (6, 5), (3, 12), (21, 40)])
def test_code(shape):
    code = max_min_code(*shape, trials=40)
    assert (
        code.shape == shape and code.dtype == torch.int8 and set(code.flatten().tolist()) == {-1, 1}
    )
    assert code_distance(code) == reference.word_distance(code.tolist()) > 0
    assert int(_column_distance(code[None])) == reference.column_distance(code.tolist())
    assert torch.equal(code, max_min_code(*shape, trials=40))
    assert not torch.equal(code, max_min_code(*shape, trials=40, seed=1))
    assert code_distance(max_min_code(*shape, trials=200)) >= code_distance(code)


def test_no_code():
    with pytest.raises(ValueError, match='2 bits was found in which 5 words differ'):
        max_min_code(5, 2)


def test_scores():
    bits = numbers(2, M, 3, 2)
    near, likely = distance_scores(bits, CODE), likelihood_scores(bits, CODE)
    for row, distances, logits in zip(pixels(bits), pixels(near), pixels(likely)):
        want = [-reference.soft_distance(row, word) for word in ROWS]
        assert distances == pytest.approx(want, abs=1e-5)
        posterior = torch.tensor([reference.log_likelihood(row, word) for word in ROWS])
        torch.testing.assert_close(torch.tensor(logits).softmax(0), posterior.softmax(0))
    assert -M <= near.min() and near.max() <= 0


# ---- reliable bits


@pytest.mark.parametrize('max_words', [1, 2, 8])
@pytest.mark.parametrize('threshold', [0.5, 0.8, 0.9])
def test_reliable_bits(threshold, max_words):
    bits = numbers(2, M, 6, 5, seed=1)
    scores = distance_scores(bits, CODE)
    found, number = reliable_bits(bits, scores, CODE, torch.tensor(threshold), max_words)
    for row, ranks, got, count in zip(
        pixels(bits), pixels(scores), pixels(found), number.flatten().tolist()
    ):
        assert (got, count) == reference.reliable(row, ranks, ROWS, threshold, max_words)
    if threshold == 0.8 and max_words == 8:
        assert set(number.unique().tolist()) >= {0, 1, 2}
    assert record(lambda: reliable_bits(bits, scores, CODE, threshold)) == []


def test_other_bits():
    bits = numbers(2, M, 6, 5, seed=1)
    scores = distance_scores(bits, CODE)
    label = scores.argmax(1)
    own = CodeConsistency(K, 0.8).targets(bits, scores, CODE, label)
    none = CodeConsistency(K, 0.8, other_bits='none').targets(bits, scores, CODE, label)
    some = (none != 0).any(1, keepdim=True)
    assert some.any() and not some.all()
    want = torch.where(none != 0, none, bits.sign().to(none.dtype)) * some
    assert torch.equal(own, want)
    partly = (none == 0) & some
    assert (own[partly] == bits.sign()[partly]).all() and partly.any()


# ---- loss


@pytest.mark.parametrize('all_words', [False, True])
def test_loss(all_words):
    bits = numbers(2, M, 6, 5, seed=2).requires_grad_()
    scores = distance_scores(bits, CODE)
    target, _ = reliable_bits(bits, scores, CODE, torch.tensor(0.8))
    target[:, :, 0] = 1  # no word of the code
    target[:, 2, 1] = 0
    label = scores.argmax(1)
    for index in range(3):
        weights = tuple(float(index == i) for i in range(3))
        got = code_loss(bits, target, CODE, label, weights, 0.5, all_words)
        want = [
            reference.loss(row, signs, ROWS, k, 0.5, all_words)[index]
            for row, signs, k in zip(pixels(bits), pixels(target), label.flatten().tolist())
        ]
        assert got.flatten().tolist() == pytest.approx(want, abs=1e-5)
    code_loss(bits, target, CODE, label).sum().backward()
    assert torch.isfinite(bits.grad).all() and not bits.grad[target == 0].any()


def test_loss_of_bits_that_are_zero():
    bits = torch.zeros(1, M, 2, 2, requires_grad=True)
    loss = code_loss(
        bits, CODE[:1, :, None, None].expand(-1, -1, 2, 2), CODE, torch.zeros(1, 2, 2).long()
    )
    loss.sum().backward()
    assert torch.isfinite(bits.grad).all()


def test_words_of_labels():
    label = torch.tensor([[[2, 255], [0, 3]]])
    words = words_of(label, CODE)
    assert words[0, :, 0, 0].tolist() == ROWS[2] and not words[0, :, 0, 1].any()


# ---- head


def test_head_is_a_head():
    """Class logits are those of its bits; on labels it learns the words."""
    model = ready_model(KIND)
    student, data = model.students[0].eval(), prepared(model)
    x, samples = data['inputs']['labeled'], data['data_samples']['labeled']
    features = student.extract_feat(x)
    logits, bits = student.decode_head.forward_with_embedding(features)
    assert torch.equal(bits, student.decode_head.head(features)) and bits.shape[1] == 8
    assert torch.equal(logits, distance_scores(bits, student.decode_head.code))
    loss = student.loss(x, samples)['decode.loss_code']
    label = torch.cat([sample.gt_sem_seg.data for sample in samples])
    up = F.interpolate(bits, (32, 32), mode='bilinear', align_corners=False)
    code = student.decode_head.code
    want = code_loss(up, words_of(label, code), code, label).mean()
    torch.testing.assert_close(loss, want)


def test_code_of_a_config():
    bits = [[0, 0, 1], [0, 1, 0], [1, 0, 0], [1, 1, 1]]
    segmentor = dict(decode_head=dict(code=dict(code=bits, scores='likelihood')))
    model = toy_model(KIND, segmentor=segmentor)
    assert model.code_head.code.tolist() == [[2 * bit - 1 for bit in word] for word in bits]
    assert torch.equal(model.teachers[0].decode_head.code, model.code_head.code)
    assert isinstance(model.code_head, CodeHead) and model.code_head.embedding_dim == 3
    losses = losses_of(model, toy_batch())
    assert all(torch.isfinite(value) for value in losses.values())


@pytest.mark.parametrize(
    'head, error, words',
    [
        (dict(code=dict(code=[[0, 1], [1, 0]])), ValueError, 'has 2 words for 4 classes'),
        (dict(code=dict(code=[[0, 1]] * 4)), ValueError, 'two equal words'),
        (dict(code=dict(code=[[0, 2]] * 4)), TypeError, 'a list of bits, 0 or 1'),
        (dict(code=dict(code=3)), TypeError, 'a list of bits, 0 or 1'),
        (dict(code=dict(num_bits=0)), ValueError, 'num_bits must be at least 1'),
        (dict(code=dict(num_bits=1)), ValueError, 'take more bits'),
        (dict(code=dict(words=3)), ValueError, "decode_head.code has unknown settings .'words'"),
        (dict(code=dict(loss_weights=dict(ce=1))), ValueError, "unknown parts .'ce'"),
        (dict(code=4), TypeError, 'decode_head.code must be a dict'),
        (
            dict(loss_decode=dict(type='PixelCrossEntropyLoss', class_weight=[1.0] * 4)),
            ValueError,
            'class weights and a sampler would be unused',
        ),
        (dict(sampler=dict(type='OHEMPixelSampler')), ValueError, 'a sampler would be unused'),
    ],
)
def test_mistakes_of_the_head(head, error, words):
    with pytest.raises(error, match=words) as found:
        toy_model(KIND, segmentor=dict(decode_head=head))
    assert '\n' not in str(found.value)


def test_a_cascade_is_refused():
    heads = [toy_segmentor()['decode_head']] * 2
    segmentor = toy_segmentor(type='CascadeEncoderDecoder', num_stages=2, decode_head=heads)
    with pytest.raises(ValueError, match='must be the config of one head for ECOCSeg'):
        toy_model(KIND, segmentor=segmentor)


# ---- step


def test_step_by_hand():
    """Without mixing: losses of both views to the bits of the teacher."""
    model = ready_model(KIND, strong_augmentation=[], feature_perturbation=[])
    data = prepared(model)
    labeled, weak = data['inputs']['labeled'], data['inputs']['unlabeled']
    truth = torch.cat([sample.gt_sem_seg.data for sample in data['data_samples']['labeled']])
    code = model.code_head.code
    # passes of the same images as in the step, since batch norm reads them
    (on_teacher,) = model.forward_member('teacher0', weak, gradient=None)
    on_labeled, on_views = model.forward_member('student0', labeled, torch.cat([weak, weak]))

    def up(map_):
        return F.interpolate(map_, (32, 32), mode='bilinear', align_corners=False)

    scores = up(on_teacher.logits)
    bits = up(on_teacher.embedding)
    target, number = reliable_bits(bits, scores, code, torch.tensor(0.55))
    target = torch.where((target == 0) & (number > 0)[:, None], bits.sign().to(target), target)
    label = scores.argmax(1)
    unsup = [
        code_loss(up(view), target, code, label).mean() for view in on_views.embedding.split(2)
    ]
    losses = model(**data, mode='loss')
    torch.testing.assert_close(losses['student0.loss_unsup'], 0.5 * sum(unsup) / 2)
    sup = code_loss(up(on_labeled.embedding), words_of(truth, code), code, truth).mean()
    torch.testing.assert_close(losses['student0.decode.loss_code'], 0.5 * sup)
    assert losses['student0.confident_ratio'] == (number > 0).float().mean()


@pytest.mark.parametrize('num_bits', [4, 8])
def test_a_task_on_masks_learns_bits(num_bits):
    """Also with as many bits as classes, where class logits have the shape of bits."""
    task = dict(type='RotationTask', rotations='all', supervise=0.5)
    segmentor = dict(decode_head=dict(code=dict(num_bits=num_bits)))
    model = toy_model(KIND, segmentor=segmentor, auxiliary_tasks=[task]).eval()
    losses, data = losses_of(model, toy_batch()), prepared(model)
    values = []
    for turns in range(4):
        samples = [sample.new() for sample in data['data_samples']['labeled']]
        for sample in samples:
            label = torch.rot90(sample.gt_sem_seg.data, turns, (1, 2))
            sample.gt_sem_seg = PixelData(data=label)
        image = torch.rot90(data['inputs']['labeled'], turns, (2, 3))
        features = model.students[0].extract_feat(image)
        values.append(model.code_head.loss(features, samples, None)['loss_code'])
    want = 0.5 * torch.stack(values).mean()
    torch.testing.assert_close(losses['student0.loss_rotation_supervised'], want)


def test_the_head_learns_bits_in_any_method():
    head = with_code(toy_segmentor())['decode_head']
    head.update(num_bits=NUM_CLASSES)
    model = ready_model('MeanTeacher', segmentor=toy_segmentor(decode_head=head)).eval()
    data = prepared(model)
    found = losses_of(model, toy_batch())['student0.decode.loss_code']
    inputs = data['inputs']['labeled'], data['data_samples']['labeled']
    torch.testing.assert_close(found, model.students[0].loss(*inputs)['decode.loss_code'])


def test_class_thresholds_follow_the_best_word():
    thresholds = dict(momentum=0.0)
    consistency = dict(confidence_threshold=0.9, class_thresholds=thresholds)
    model = ready_model(KIND, consistency=consistency)
    losses_of(model, toy_batch())
    assert model.consistency.class_thresholds.updates.max() == 1


def test_class_thresholds_are_certainties_of_bits():
    """A pixel is confident where its bits are as certain as those of its class in the mean."""
    code = torch.tensor([[1, 1, 1, 1], [-1, -1, -1, -1]], dtype=torch.int8)
    logits = torch.tensor([0.1, 0.3, 3.0, 5.0]).view(1, 1, 1, 4).expand(1, 4, 1, 4).contiguous()
    thresholds = dict(momentum=0.0)
    consistency = CodeConsistency(2, 0.99, thresholds, max_words=1)
    label = torch.tensor([[[0, 0, 0, 255]]])
    scores = torch.tensor([5.0, -5.0]).view(1, 2, 1, 1).expand(1, 2, 1, 4)
    targets = consistency.targets(logits, scores, code, label)
    mean = logits[0, 0, 0, :3].sigmoid().mean()
    torch.testing.assert_close(
        consistency.class_thresholds.confidence, torch.stack([mean, mean * 0])
    )
    assert (targets[0, 0, 0] != 0).tolist() == [False, False, True, False]


# ---- export


@pytest.mark.parametrize('kind', ['FCNHead', 'DeepLabV2Head'])
@pytest.mark.parametrize('scores', ['distance', 'likelihood'])
def test_export(kind, scores, tmp_path):
    """Linear class logits are a plain head of stock mmseg; others need this package."""
    head = dict(code=dict(num_bits=6, scores=scores))
    if kind == 'DeepLabV2Head':
        head = dict(head, type=kind, in_channels=8, in_index=1, num_classes=K, dilations=(2, 3))
        head['loss_decode'] = dict(type='PixelCrossEntropyLoss')
        segmentor = toy_segmentor(decode_head=head)
    else:
        segmentor = whole_segmentor(dict(decode_head=head))
    given = dict(type=KIND, segmentor=segmentor)
    cfg = toy_config(tmp_path / 'data', tmp_path / 'work', model=given)
    model = shake(MODELS.build(Config(dict(model=cfg.model)).model)).eval()
    if (kind, scores) == ('DeepLabV2Head', 'distance'):
        with pytest.raises(ValueError, match='DeepLabV2Head.* exists only in mmseg_ctt'):
            export_member(cfg, dict(state_dict=model.state_dict(), meta={}))
        return
    made = export_member(cfg, dict(state_dict=model.state_dict(), meta={}))
    types = str(made.config.model)
    assert ('CodeHead' in types) == (scores == 'distance')
    assert any('mmseg_ctt is installed' in note for note in made.notes) == (scores == 'distance')
    plain = MODELS.build(made.config.model).eval()
    plain.load_state_dict(made.checkpoint['state_dict'])
    image = torch.randn(1, 3, 32, 32)
    metas = [dict(ori_shape=(32, 32), img_shape=(32, 32))]
    torch.testing.assert_close(plain.inference(image, metas), model.inference(image, metas))
