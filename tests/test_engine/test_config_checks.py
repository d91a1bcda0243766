# Copyright (c) mmseg_ctt contributors.
"""Checks of a config before a run: what they refuse is in tests/test_tools/test_mistakes.py."""

import copy

import pytest
from leaves import LEAVES, leaf

from mmseg_ctt.engine import prepare_config
from mmseg_ctt.engine.config_checks import check_config
from mmseg_ctt.engine.pipeline_checks import check_pipelines, crop_sizes, pipelines
from mmseg_ctt.engine.run_checks import channels_line, few_values_line

LOAD, PACK = dict(type='LoadImageFromFile'), dict(type='PackSegInputs')


@pytest.mark.parametrize('name', sorted(LEAVES))
def test_configs_of_the_package_pass(name):
    assert check_config(prepare_config(copy.deepcopy(leaf(name)))) == []


def run(*steps, **parts):
    """A config of sources by name, with pipelines of the given steps, and of val."""
    data = {name: dict(type='A', pipeline=[LOAD, *added, PACK]) for name, added in parts.items()}
    val = dict(pipeline=[LOAD, *steps, PACK])
    return dict(
        train_dataloader=dict(dataset=dict(data, type='B')), val_dataloader=dict(dataset=val)
    )


CLAHE = dict(type='CLAHE')


def test_sources_in_wrappers_have_pipelines_too():
    cfg = run(CLAHE, labeled=[], unlabeled=[CLAHE])
    data = cfg['train_dataloader']['dataset']
    data['labeled'] = dict(type='RepeatDataset', times=2, dataset=data['labeled'])
    key = 'train_dataloader.dataset.labeled.dataset.pipeline'
    assert key in pipelines(cfg)
    with pytest.raises(ValueError, match=f'has CLAHE, and {key} has not'):
        check_pipelines(cfg, {})


def test_a_fixed_step_is_in_all_pipelines_or_in_none():
    check_pipelines(run(CLAHE, labeled=[CLAHE], unlabeled=[dict(type='mmseg.CLAHE')]), {})
    for cfg in (run(labeled=[CLAHE], unlabeled=[CLAHE]), run(CLAHE, labeled=[CLAHE], unlabeled=[])):
        with pytest.raises(ValueError, match='has CLAHE, and .* has not'):
            check_pipelines(cfg, {})
    with pytest.raises(ValueError, match='CLAHE has other settings in val_dataloader'):
        check_pipelines(run(dict(CLAHE, clip_limit=3), labeled=[CLAHE]), {})


def test_a_step_at_random_is_an_augmentation():
    check_pipelines(run(labeled=[dict(type='RandomApply', transforms=[CLAHE])]), {})
    nested = dict(type='TransformBroadcaster', transforms=[CLAHE])
    with pytest.raises(ValueError, match='has CLAHE'):
        check_pipelines(run(labeled=[nested]), {})


def test_a_source_that_is_not_drawn_may_differ():
    cfg = run(CLAHE, labeled=[CLAHE], unlabeled=[])
    cfg['train_dataloader']['sampler'] = dict(ratio=dict(labeled=1, unlabeled=0))
    check_pipelines(cfg, {})
    assert set(pipelines(cfg)) == {
        'train_dataloader.dataset.labeled.pipeline',
        'val_dataloader.dataset.pipeline',
    }


def test_a_plain_training_set():
    cfg = dict(train_dataloader=dict(dataset=dict(type='A', pipeline=[LOAD, dict(
        type='RandomCrop', crop_size=8)])))  # fmt: skip
    assert crop_sizes(cfg) == {
        'crop_size of RandomCrop in train_dataloader.dataset.pipeline': (8, 8)
    }


def test_other_errors_are_not_explained():
    assert few_values_line(ValueError('another'), {}) is None
    assert channels_line(RuntimeError('another'), None) is None


@pytest.mark.parametrize(
    'size, ratio, needed', [(2, (1, 1), 4), (3, (1, 2), 6), (4, (1, 1), 6), (1, (1, 0), 2)]
)
def test_the_batch_that_is_named_is_larger_and_divisible(size, ratio, needed):
    error = ValueError('Expected more than 1 value per channel when training, got (1, 2, 1, 1)')
    sources = dict(labeled=dict(type='A'), unlabeled=dict(type='A'))
    loader = dict(batch_size=size, dataset=sources, sampler=dict(ratio=ratio))
    line = few_values_line(error, dict(train_dataloader=loader, model=dict(segmentor={})))
    assert f'Set train_dataloader.batch_size={needed},' in line
