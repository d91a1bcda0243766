# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from mmseg.models.segmentors.base import BaseSegmentor
from mmseg.structures import SegDataSample
from toy import NUM_CLASSES, toy_model

from mmseg_ctt.nn.label_map import original_size

SIZE = (24, 32)
METAS = dict(
    as_it_is=dict(ori_shape=SIZE),
    larger=dict(ori_shape=(36, 51)),
    smaller=dict(ori_shape=(10, 31)),
    padded=dict(ori_shape=(40, 40), padding_size=[3, 1, 0, 5]),
    padded_by_the_preprocessor=dict(
        ori_shape=(40, 40), padding_size=[9, 9, 9, 9], img_padding_size=[0, 4, 2, 0]
    ),
    horizontal=dict(ori_shape=SIZE, flip=True, flip_direction='horizontal'),
    vertical=dict(ori_shape=(33, 33), flip=True, flip_direction='vertical'),
    not_flipped=dict(ori_shape=SIZE, flip=False, flip_direction='vertical'),
)


@pytest.fixture
def model():
    return toy_model().eval()


def logits_of(images=1, channels_last=False):
    logits = torch.randn(images, NUM_CLASSES, *SIZE, generator=torch.Generator().manual_seed(0))
    logits[:, :2, :8] = 3.0  # equal largest logits: the first class counts
    return logits.contiguous(memory_format=torch.channels_last) if channels_last else logits


def assert_as_stock(model, logits, metas):
    def samples():
        return metas and [SegDataSample(metainfo=meta) for meta in metas]

    stock = BaseSegmentor.postprocess_result(model, logits.clone(), samples())
    for ours, theirs in zip(model.postprocess_result(logits, samples()), stock):
        assert set(ours.keys()) == set(theirs.keys()) == {'seg_logits', 'pred_sem_seg'}
        for key in ours.keys():
            assert ours.get(key).data.dtype == theirs.get(key).data.dtype
            assert torch.equal(ours.get(key).data, theirs.get(key).data)


@pytest.mark.parametrize('channels_last', [False, True])
@pytest.mark.parametrize('name', METAS)
def test_as_mmseg_does(model, name, channels_last):
    assert_as_stock(model, logits_of(channels_last=channels_last), [METAS[name]])


def test_images_of_different_sizes(model):
    assert_as_stock(model, logits_of(3), [METAS[name] for name in ('larger', 'padded', 'vertical')])


def test_without_samples(model):
    assert_as_stock(model, logits_of(2), None)


def test_both_flips():
    meta = dict(ori_shape=SIZE, flip=True, flip_direction='diagonal')
    logits = logits_of()
    assert torch.equal(original_size(logits, meta, False), logits.flip((2, 3)))


def test_channels_last_stays(model):
    """Where it got lost, resizing would take a CPU three times as long."""
    logits = logits_of(2, channels_last=True)
    samples = [SegDataSample(metainfo=dict(ori_shape=(40, 50))) for _ in logits]
    for sample in model.postprocess_result(logits, samples):
        assert sample.seg_logits.data.stride() == (1, 50 * NUM_CLASSES, NUM_CLASSES)
