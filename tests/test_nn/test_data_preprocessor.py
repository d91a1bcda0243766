# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from mmseg.models.data_preprocessor import SegDataPreProcessor
from toy import toy_batch

from mmseg_ctt.nn.data_preprocessor import SemiSegDataPreProcessor

COLOURS = dict(mean=[120.0, 110.0, 100.0], std=[60.0, 50.0, 40.0], bgr_to_rgb=True)


@pytest.mark.parametrize('order', [[0, 1, 2, 3, 4], [4, 1, 3, 0, 2], [2, 3, 4, 0, 1]])
def test_groups_from_any_order(order):
    batch = toy_batch(2, 3, order=order)
    got = SemiSegDataPreProcessor(**COLOURS)(batch, True)
    plain = SegDataPreProcessor(**COLOURS, size=(32, 32))(toy_batch(2, 3, order=order), True)
    assert set(got) == {'inputs', 'data_samples'}
    for name, numbers in (
        ('labeled', [i for i in order if i < 2]),
        ('unlabeled', [i for i in order if i >= 2]),
    ):
        images, samples = got['inputs'][name], got['data_samples'][name]
        assert [sample.draw[1] for sample in samples] == numbers
        assert {sample.source for sample in samples} == {name}
        assert images.shape == (len(numbers), 3, 32, 32) and images.dtype == torch.float32
        for image, number in zip(images, numbers):
            assert torch.equal(image, plain['inputs'][order.index(number)])


def test_both_groups_are_views_of_one_tensor():
    inputs = SemiSegDataPreProcessor(**COLOURS)(toy_batch(), True)['inputs']
    assert (
        inputs['labeled'].untyped_storage().data_ptr()
        == inputs['unlabeled'].untyped_storage().data_ptr()
    )


def test_labels_stay_with_their_images():
    batch = toy_batch(3, 1, order=[3, 2, 0, 1])
    want = {one.draw: one.gt_sem_seg.data.clone() for one in batch['data_samples'][1:]}
    samples = SemiSegDataPreProcessor(**COLOURS)(batch, True)['data_samples']['labeled']
    assert all(torch.equal(one.gt_sem_seg.data, want[one.draw]) for one in samples)


@pytest.mark.parametrize('counts,missing', [((3, 0), 'unlabeled'), ((0, 3), 'labeled')])
def test_a_batch_of_one_kind_is_an_error(counts, missing):
    with pytest.raises(ValueError, match=f'no {missing} image.*LabeledUnlabeledSampler'):
        SemiSegDataPreProcessor(**COLOURS)(toy_batch(*counts), True)


def test_samples_without_a_source_are_an_error():
    batch = toy_batch()
    for one in batch['data_samples']:
        one.set_metainfo(dict(source=None))
    with pytest.raises(ValueError, match='LabeledUnlabeledDataset'):
        SemiSegDataPreProcessor(**COLOURS)(batch, True)


def unequal():
    batch, other = toy_batch(1, 1), toy_batch(1, 1, side=24)
    return dict(
        inputs=[batch['inputs'][0], other['inputs'][1]],
        data_samples=[batch['data_samples'][0], other['data_samples'][1]],
    )


def test_unequal_sizes_are_an_error_unless_padding_is_set():
    with pytest.raises(ValueError, match=r'unequal size \[\(24, 24\), \(32, 32\)\].*size_divisor'):
        SemiSegDataPreProcessor(**COLOURS)(unequal(), True)
    got = SemiSegDataPreProcessor(**COLOURS, size=(32, 40))(unequal(), True)
    assert got['inputs']['unlabeled'].shape == (1, 3, 32, 40)


def test_one_batch_does_not_fix_the_size_of_the_next():
    preprocessor = SemiSegDataPreProcessor(**COLOURS)
    for side in (32, 24, 40):
        got = preprocessor(toy_batch(1, 1, side=side), True)
        assert got['inputs']['unlabeled'].shape == (1, 3, side, side)
    with pytest.raises(ValueError, match='unequal size'):
        preprocessor(unequal(), True)


def test_testing_is_that_of_mmseg():
    batch = toy_batch(1, 2)
    got = SemiSegDataPreProcessor(**COLOURS)(batch, False)
    want = SegDataPreProcessor(**COLOURS)(toy_batch(1, 2), False)
    assert torch.equal(got['inputs'], want['inputs'])
    assert [one.draw for one in got['data_samples']] == [one.draw for one in want['data_samples']]
