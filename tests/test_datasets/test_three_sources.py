# Copyright (c) mmseg_ctt contributors.
"""A third source of images, from the data set to the batch that a method gets."""

from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmseg.registry import DATASETS, MODELS
from torch import nn
from torch.utils.data import DataLoader
from toy_data import (
    LABELED,
    SPLIT,
    UNLABELED,
    toy_config,
    toy_pipeline,
    toy_semi,
    toy_set,
    write_image,
    write_mask,
)

from mmseg_ctt.datasets import LabeledUnlabeledSampler
from mmseg_ctt.datasets import sampler as sampler_file
from mmseg_ctt.datasets.frequency import source
from mmseg_ctt.datasets.sources import source_config, source_names
from mmseg_ctt.engine.guards import duplicate_images
from mmseg_ctt.lab.experiments.fingerprint import split_checksum
from mmseg_ctt.nn.data_preprocessor import SemiSegDataPreProcessor

TAGGED = ('t0', 't1')
STEMS = (*LABELED, *UNLABELED, *TAGGED)
RATIO = dict(labeled=1, unlabeled=2, tagged=1)
SOURCES = tuple(RATIO)


@pytest.fixture
def root(root: Path) -> Path:
    for seed, stem in enumerate(TAGGED, 30):
        write_image(root / 'img' / f'{stem}.jpg', seed)
    (root / SPLIT / 'tagged.txt').write_text(''.join(f'{stem}\n' for stem in TAGGED))
    return root


def settings(root, labels=False, **changes):
    return {**toy_semi(root), 'tagged': toy_set(root, labels), **changes}


def build(root, *args, **changes):
    return DATASETS.build(settings(root, *args, **changes))


def stem(sample):
    return Path(sample.img_path).stem


def content(image, sample):
    """Everything a sample says, for comparison by byte."""
    return image.numpy().tobytes(), sample.source, sample.draw, stem(sample)


def batches(dataset, count, batch_size=4, workers=0, start=0, ratio=RATIO):
    sampler = LabeledUnlabeledSampler(dataset, ratio=ratio, seed=4)
    sampler.advance_to(start)
    loader = DataLoader(
        dataset, batch_size, sampler=sampler, num_workers=workers, collate_fn=pseudo_collate
    )
    return list(islice(loader, count))


def contents(made):
    return [
        content(image, sample)
        for batch in made
        for image, sample in zip(batch['inputs'], batch['data_samples'])
    ]


# ---- data set


def test_images_are_numbered_source_by_source(root):
    dataset = build(root)
    assert tuple(dataset.sources) == SOURCES
    assert dataset.num_images == dict(labeled=3, unlabeled=3, tagged=2) and len(dataset) == 8
    assert dataset.first_index == dict(labeled=0, unlabeled=3, tagged=6)
    samples = [dataset[i]['data_samples'] for i in range(8)]
    assert [stem(sample) for sample in samples] == [*STEMS]
    assert [sample.source for sample in samples] == ['labeled'] * 3 + ['unlabeled'] * 3 + [
        'tagged'
    ] * 2
    assert [sample.draw for sample in samples] == [(0, i) for i in range(8)]
    assert ['gt_sem_seg' in sample for sample in samples] == [True] * 3 + [False] * 5


def test_order_of_the_config_does_not_count(root, tmp_path):
    """mmengine sorts the keys when it writes a config, and a run may start from that file."""
    cfg = Config(dict(dataset=settings(root, another=toy_set(root, False, ann_file='a.txt'))))
    (root / 'a.txt').write_text('a0\n')
    write_image(root / 'img' / 'a0.jpg', 40)
    reordered = dict(reversed(cfg.dataset.items()))
    cfg.dump(tmp_path / 'config.py')
    for given in (cfg.dataset, reordered, Config.fromfile(tmp_path / 'config.py').dataset):
        made = DATASETS.build(given)
        assert list(made.sources) == ['labeled', 'unlabeled', 'another', 'tagged']
        assert source_names(given) == list(made.sources)


def test_a_source_that_is_none_is_left_out(root):
    assert list(build(root, tagged=None).sources) == ['labeled', 'unlabeled']
    dataset = build(root, labeled=None, unlabeled=None)
    assert list(dataset.sources) == ['tagged'] and stem(dataset[0]['data_samples']) == 't0'
    assert (dataset.labeled, dataset.num_labeled, dataset.num_unlabeled) == (None, 0, 0)
    assert len(dataset.metainfo['classes']) == 4


def test_masks_follow_from_the_pipeline(root):
    with pytest.raises(
        FileNotFoundError, match=r'mask .*t0.png.* of train_dataloader.dataset.tagged'
    ):
        build(root, labels=True)
    for seed, name in enumerate(TAGGED):
        write_mask(root / 'ann' / f'{name}.png', seed)
    dataset = build(root, labels=True)
    assert 'gt_sem_seg' in dataset[6]['data_samples'] and dataset.masked == ('labeled', 'tagged')
    without = {**toy_set(root, False), 'pipeline': toy_pipeline(True)}
    with pytest.raises(ValueError, match='dataset.tagged has no masks: set .*seg_map_path'):
        build(root, tagged=without)


@pytest.mark.parametrize('scanned', [True, False])
def test_masks_of_a_third_source_are_checked(root, scanned):
    write_mask(root / 'ann' / 't0.png', 1)
    write_mask(root / 'ann' / 't1.png', 1, num_classes=9)
    if scanned:
        with pytest.raises(ValueError, match='t1.png holds ids outside 0..3'):
            build(root, labels=True)
    else:
        dataset = build(root, labels=True, scan_masks=1)
        with pytest.raises(ValueError, match='t1.png holds ids outside 0..3'):
            dataset[7]


def test_classes_are_those_of_the_first_source_with_masks(root):
    for seed, name in enumerate(TAGGED):
        write_mask(root / 'ann' / f'{name}.png', seed)
    nameless = {**toy_set(root, False), 'type': 'BaseSegDataset'}
    nameless.pop('metainfo')
    dataset = build(root, labels=True, labeled=None, unlabeled=nameless)
    assert dataset.metainfo['classes'] == dataset.sources['tagged'].metainfo['classes']
    other = {**toy_set(root, False), 'metainfo': dict(classes=('a', 'b', 'c', 'd'))}
    with pytest.raises(ValueError, match='tagged has other classes than .*dataset.labeled'):
        build(root, tagged=other)


def test_overlap_of_a_third_source(root):
    (root / SPLIT / 'tagged.txt').write_text('t0\nu1\n')
    with pytest.raises(ValueError, match='in both .*dataset.tagged.*unlabeled|unlabeled and .*tag'):
        build(root)


@pytest.mark.parametrize('damage, error', [('none', FileNotFoundError), ('empty', ValueError)])
def test_list_of_a_third_source(root, damage, error):
    path = root / SPLIT / 'tagged.txt'
    path.unlink() if damage == 'none' else path.write_text('')
    with pytest.raises(error, match=r'list .*tagged.txt of train_dataloader.dataset.tagged'):
        build(root)


def test_next_image_of_the_same_source(root):
    (root / 'img' / 't1.jpg').write_bytes(b'no image at all')
    dataset = build(root, skip_unreadable=True)
    sample = dataset[7]['data_samples']
    assert (stem(sample), sample.source, dataset.unreadable.value) == ('t0', 'tagged', 1)


# ---- what reads the config


def test_config_of_a_source(root):
    cfg = Config(dict(train_dataloader=dict(dataset=settings(root))))
    made = source_config(cfg.train_dataloader.dataset, 'tagged')
    assert made['ann_file'] == f'{SPLIT}/tagged.txt'
    assert 'ann_file' not in cfg.train_dataloader.dataset.tagged  # the config is unchanged
    found = source(cfg, 'tagged')
    assert [Path(found.get_data_info(i)['img_path']).stem for i in range(2)] == [*TAGGED]
    with pytest.raises(ValueError, match='train_dataloader.dataset.boxes is missing'):
        source(cfg, 'boxes')


def test_checksums(root):
    """Those of configs with two sources are as release 0.1 has computed them."""

    def checksum(**changes):
        return split_checksum(dict(train_dataloader=dict(dataset=settings(root, **changes))))

    assert checksum(tagged=None) == 'ba800d668173'
    assert checksum(tagged=None, unlabeled=None) == 'f9aa05048158'
    three = checksum()
    assert three not in ('ba800d668173', 'f9aa05048158')
    (root / SPLIT / 'tagged.txt').write_text('t0\n')
    assert checksum() != three


@pytest.mark.parametrize('first, second', [('l1', 'tagged'), ('u1', 'tagged'), ('l1', 'unlabeled')])
def test_duplicates_of_every_pair(root, first, second):
    assert duplicate_images(build(root)) is None
    (root / 'img' / 'copy.jpg').write_bytes((root / 'img' / f'{first}.jpg').read_bytes())
    with open(root / SPLIT / f'{second}.txt', 'a') as lines:
        lines.write('copy\n')
    line = duplicate_images(build(root))
    owner = 'labeled' if first == 'l1' else 'unlabeled'
    assert line.startswith(f'1 {second} images have the content of {owner} ones')
    assert 'copy.jpg' in line and f'{first}.jpg' in line


# ---- loader and preprocessor


def test_workers_give_the_same_bytes(root):
    alone = contents(batches(build(root), 5))
    assert len(alone) == 20
    assert contents(batches(build(root), 5, workers=2)) == alone


def test_two_ranks_together_give_the_samples_of_one(root, monkeypatch):
    alone = contents(batches(build(root), 6))
    parts = []
    for rank in (0, 1):
        monkeypatch.setattr(sampler_file, 'get_dist_info', lambda rank=rank: (rank, 2))
        parts.append(batches(build(root), 3))
    together = contents([batch for pair in zip(*parts) for batch in pair])
    assert together == alone


@pytest.mark.parametrize('start', [4, 12])
def test_resumed_loader(root, start):
    alone = contents(batches(build(root), 6))
    assert contents(batches(build(root), 6 - start // 4, start=start)) == alone[start:]


def preprocessor(**changes):
    return SemiSegDataPreProcessor(
        mean=[120.0] * 3, std=[60.0] * 3, **{'sources': SOURCES, **changes}
    )


def test_a_batch_is_grouped_by_source(root):
    (batch,) = batches(build(root), 1, batch_size=8)
    images = {sample.draw: image.clone() for *_, image, sample in zip(*batch.values())}
    got = preprocessor()(batch, True)
    assert list(got['inputs']) == list(got['data_samples']) == [*SOURCES]
    for name, count in dict(labeled=2, unlabeled=4, tagged=2).items():
        normalised, samples = got['inputs'][name], got['data_samples'][name]
        assert normalised.shape == (count, 3, 32, 32) and len(samples) == count
        assert {sample.source for sample in samples} == {name}
        for image, sample in zip(normalised, samples):
            assert torch.equal(image, (images[sample.draw].float() - 120) / 60)


def test_order_is_that_of_the_method(root):
    (batch,) = batches(build(root), 1)
    got = preprocessor(sources=['tagged', 'labeled', 'unlabeled'])(batch, True)
    assert list(got['inputs']) == ['tagged', 'labeled', 'unlabeled']
    assert [sample.source for sample in got['data_samples']['tagged']] == ['tagged']


# ---- runs


@MODELS.register_module()
class PixelMeans(BaseModel):
    """A method that uses three sources: a squared error of a weighted mean of each."""

    def __init__(self, data_preprocessor: dict) -> None:
        super().__init__(data_preprocessor)
        self.weight = nn.Parameter(torch.ones(3, 1, 1))

    def forward(self, inputs, data_samples, mode='tensor'):
        if mode != 'loss':
            return data_samples
        return {
            f'loss_{name}': (images * self.weight).mean().square() + torch.rand(()) * 1e-3
            for name, images in inputs.items()
        }


class Recorder(Hook):
    def __init__(self, last=None):
        self.losses, self.samples, self.last = {}, {}, last

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        number = runner.iter + 1
        self.losses[number] = {name: float(value.detach()) for name, value in outputs.items()}
        self.samples[number] = contents([data_batch])
        if number == self.last:
            raise KeyboardInterrupt


def trained(root, work_dir, model, last=None, resume=None, ratio=RATIO, **changes):
    cfg = toy_config(
        root,
        work_dir,
        **model,
        train_cfg=dict(type='ResumableTrainLoop', max_iters=6, val_interval=100),
        val_dataloader=None,
        val_evaluator=None,
        val_cfg=None,
        resume=resume is not None,
        load_from=resume,
    )
    cfg.default_hooks.checkpoint.interval = 3
    cfg.train_dataloader.update(dataset=settings(root, **changes), batch_size=8)
    cfg.train_dataloader.sampler.ratio = ratio
    runner = Runner.from_cfg(cfg)
    recorder = Recorder(last)
    runner.register_hook(recorder, priority='LOWEST')
    if last is None:
        runner.train()
    else:
        with pytest.raises(KeyboardInterrupt):
            runner.train()
    return recorder


def three_source_model():
    return dict(
        model=dict(
            type='PixelMeans',
            data_preprocessor=dict(
                type='SemiSegDataPreProcessor', mean=[120.0] * 3, std=[60.0] * 3, sources=SOURCES
            ),
        ),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.05, momentum=0.9)),
        custom_hooks=[],
    )


def test_resumed_run_is_the_uninterrupted_run(root, tmp_path):
    whole = trained(root, tmp_path / 'whole', three_source_model())
    first = trained(root, tmp_path / 'parts', three_source_model(), last=4)
    second = trained(
        root,
        tmp_path / 'parts',
        three_source_model(),
        resume=str(tmp_path / 'parts' / 'iter_3.pth'),
    )
    assert set(whole.losses[1]) == {'loss', *(f'loss_{name}' for name in SOURCES)}
    assert first.losses == {i: whole.losses[i] for i in (1, 2, 3, 4)}
    assert second.losses == {i: whole.losses[i] for i in (4, 5, 6)}
    assert {**first.samples, **second.samples} == whole.samples
    names = Counter(sample[1] for number in whole.samples for sample in whole.samples[number])
    assert names == dict(labeled=12, unlabeled=24, tagged=12)


def test_a_method_of_two_sources_refuses_a_third(root, tmp_path):
    words = (
        'images of the source tagged, but the method uses labeled, unlabeled: set '
        'train_dataloader.sampler.ratio.tagged=0 or remove train_dataloader.dataset.tagged'
    )
    with pytest.raises(ValueError, match=words):
        trained(root, tmp_path / 'work', {})


def test_a_method_of_three_sources_needs_the_third(root, tmp_path):
    words = 'no tagged image, but the method uses .*: set train_dataloader.dataset.tagged and a'
    with pytest.raises(ValueError, match=words):
        trained(root, tmp_path / 'work', three_source_model(), ratio=(1, 1, 0))


@pytest.mark.parametrize('ratio', [None, dict(labeled=1, unlabeled=1, tagged=0)])
def test_a_source_that_is_not_drawn_changes_nothing(root, tmp_path, ratio):
    expected = trained(root, tmp_path / 'two', {}, ratio=(1, 1), tagged=None, last=2)
    made = trained(root, tmp_path / 'three', {}, ratio=ratio, last=2)
    assert made.losses == expected.losses and made.samples == expected.samples
