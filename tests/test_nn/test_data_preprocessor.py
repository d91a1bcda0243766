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


def test_groups_are_views_of_one_tensor():
    inputs = SemiSegDataPreProcessor(**COLOURS)(toy_batch(), True)['inputs']
    assert (
        inputs['labeled'].untyped_storage().data_ptr()
        == inputs['unlabeled'].untyped_storage().data_ptr()
    )


def test_labels_stay_with_their_images():
    batch = toy_batch(3, 1, order=[3, 2, 0, 1])
    expected = {sample.draw: sample.gt_sem_seg.data.clone() for sample in batch['data_samples'][1:]}
    samples = SemiSegDataPreProcessor(**COLOURS)(batch, True)['data_samples']['labeled']
    assert all(torch.equal(sample.gt_sem_seg.data, expected[sample.draw]) for sample in samples)


@pytest.mark.parametrize('counts,missing', [((3, 0), 'unlabeled'), ((0, 3), 'labeled')])
def test_a_batch_without_one_of_the_sources_is_an_error(counts, missing):
    words = (
        f'no {missing} image, but the method uses labeled, unlabeled: set train_dataloader.dataset.'
        f'{missing} and a positive train_dataloader.sampler.ratio.{missing} .*LabeledUnlabeledSam'
    )
    with pytest.raises(ValueError, match=words):
        SemiSegDataPreProcessor(**COLOURS)(toy_batch(*counts), True)


def test_samples_without_a_source_are_an_error():
    batch = toy_batch()
    for sample in batch['data_samples']:
        sample.set_metainfo(dict(source=None))
    with pytest.raises(ValueError, match='LabeledUnlabeledDataset'):
        SemiSegDataPreProcessor(**COLOURS)(batch, True)


def three_sources():
    batch = toy_batch(1, 3, order=[2, 0, 3, 1])
    batch['data_samples'][0].set_metainfo(dict(source='tagged'))
    return batch


def test_a_source_that_the_method_does_not_use_is_an_error():
    words = (
        'source tagged, but the method uses labeled, unlabeled: set '
        'train_dataloader.sampler.ratio.tagged=0 or remove train_dataloader.dataset.tagged'
    )
    with pytest.raises(ValueError, match=words):
        SemiSegDataPreProcessor(**COLOURS)(three_sources(), True)


@pytest.mark.parametrize('size', [None, (40, 32)])
def test_sources_of_the_method_and_their_order(size):
    names = ('unlabeled', 'tagged', 'labeled')
    preprocessor = SemiSegDataPreProcessor(**COLOURS, sources=list(names), size=size)
    got = preprocessor(three_sources(), True)
    plain = SegDataPreProcessor(**COLOURS, size=size or (32, 32))(three_sources(), True)['inputs']
    assert list(got['inputs']) == list(got['data_samples']) == [*names]
    for name, positions in dict(unlabeled=[2, 3], tagged=[0], labeled=[1]).items():
        assert torch.equal(got['inputs'][name], plain[positions])
        assert [sample.source for sample in got['data_samples'][name]] == [name] * len(positions)


@pytest.mark.parametrize('sources', [(), 'labeled', ('labeled', 'labeled')])
def test_bad_sources(sources):
    with pytest.raises(ValueError, match='data_preprocessor.sources must name different sources'):
        SemiSegDataPreProcessor(**COLOURS, sources=sources)


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
    expected = SegDataPreProcessor(**COLOURS)(toy_batch(1, 2), False)
    assert torch.equal(got['inputs'], expected['inputs'])
    draws = [[sample.draw for sample in made['data_samples']] for made in (got, expected)]
    assert draws[0] == draws[1]
