# Copyright (c) mmseg_ctt contributors.
"""Steps that make the maps of a method, in the pipelines of any config."""

import copy

import pytest
from mmengine.config import Config
from mmseg.registry import MODELS, TRANSFORMS
from toy import toy_segmentor
from toy_data import toy_config, toy_pipeline, toy_set

from mmseg_ctt.datasets.map_steps import MapStep
from mmseg_ctt.datasets.packing import PackSemiSegInputs
from mmseg_ctt.engine import prepare_config
from mmseg_ctt.engine.map_steps import use_map_steps, with_steps, without_steps
from mmseg_ctt.engine.pipeline_steps import stock_steps
from mmseg_ctt.lab.benchmark.synthetic import SyntheticSegDataset
from mmseg_ctt.methods import SemiSegmentor

LOAD, PACK = dict(type='LoadAnnotations'), dict(type='PackSegInputs')
MADE = dict(type='MakeHeights')
PACKED = dict(type='PackSemiSegInputs', maps=['height', 'depth'])


@TRANSFORMS.register_module(force=True)
class MakeHeights(MapStep):
    """Two maps, of which a method reads something."""

    maps = ('height', 'depth')

    def __init__(self, factor: int = 1) -> None:
        self.factor = factor

    def transform(self, results):
        for name in self.maps:
            self.add(results, name, results['gt_seg_map'] * float(self.factor))
        return results


@TRANSFORMS.register_module(force=True)
class PackMine(PackSemiSegInputs):
    """A packing step of the user's own."""


class Reading(SemiSegmentor):
    """A method with maps of both sources."""

    pipeline_steps = dict(labeled=[MADE], other=[MADE])

    def step(self, labeled, unlabeled):
        return {}


@pytest.fixture
def reading(monkeypatch):
    monkeypatch.setitem(MODELS.module_dict, 'Reading', Reading)
    return dict(type='Reading', segmentor=toy_segmentor())


def steps(pipeline, added=(MADE,)):
    return [dict(step) for step in with_steps(pipeline, added, 'p')]


def test_before_the_packing_step():
    assert steps([LOAD, PACK]) == [LOAD, MADE, PACKED]
    given = dict(PACK, meta_keys=('img_path',))
    assert steps([LOAD, given])[-1] == dict(PACKED, meta_keys=('img_path',))
    assert steps([LOAD, dict(type='mmseg.PackSegInputs')]) == [LOAD, MADE, PACKED]


def test_a_second_time_changes_nothing():
    once = steps([LOAD, PACK])
    assert steps(once) == once


def test_a_step_that_is_there_stays_in_its_place_with_the_settings_of_the_model():
    crop = dict(type='RandomCrop')
    given = [LOAD, dict(MADE, factor=3), crop, PACK]
    assert steps(given, [dict(MADE, factor=2)]) == [LOAD, dict(MADE, factor=2), crop, PACKED]


def test_maps_that_are_packed_already():
    given = [LOAD, dict(type='PackSemiSegInputs', maps=('weight', 'depth'))]
    assert steps(given)[-1]['maps'] == ['weight', 'depth', 'height']
    given = [LOAD, dict(type='PackMine', maps='weight')]
    assert steps(given)[-1] == dict(type='PackMine', maps=['weight', 'height', 'depth'])


@pytest.mark.parametrize('pipeline', [[LOAD], [LOAD, MADE], []])
def test_nothing_packs_the_maps(pipeline):
    with pytest.raises(ValueError) as caught:
        steps(pipeline)
    assert str(caught.value).startswith('p has no PackSegInputs') and '\n' not in str(caught.value)


def test_the_way_back():
    given = [LOAD, PACK]
    assert without_steps(with_steps(given, [MADE], 'p'), [MADE]) == given
    assert without_steps(given, [MADE]) == given
    mine = [LOAD, MADE, dict(type='PackMine', maps=['weight', 'depth'])]
    assert without_steps(mine, [MADE]) == [LOAD, dict(type='PackMine', maps=['weight'])]


def test_sources_and_nested_data_sets(reading, tmp_path):
    cfg = toy_config(tmp_path, tmp_path / 'work')
    plain = copy.deepcopy(cfg.train_dataloader.dataset.to_dict())
    inner = toy_set(tmp_path, True)
    wrapped = dict(type='RepeatDataset', times=2, dataset=copy.deepcopy(inner))
    cfg.model = reading
    cfg.train_dataloader.dataset.labeled = dict(type='ConcatDataset', datasets=[inner, wrapped])
    use_map_steps(cfg)
    first, second = cfg.train_dataloader.dataset.labeled.datasets
    want = [*toy_pipeline(True)[:-1], MADE, PACKED]
    for leaf in (first, second.dataset):
        assert [dict(step) for step in leaf.pipeline] == want
    assert cfg.train_dataloader.dataset.unlabeled == plain['unlabeled']
    before = copy.deepcopy(cfg._cfg_dict.to_dict())
    use_map_steps(cfg)
    assert cfg._cfg_dict.to_dict() == before


def test_a_run_is_prepared_with_them(reading, tmp_path):
    made = prepare_config(toy_config(tmp_path, tmp_path / 'work', model=reading))
    types = [step.type for step in made.train_dataloader.dataset.labeled.pipeline]
    assert types[-2:] == ['MakeHeights', 'PackSemiSegInputs']
    assert 'MakeHeights' not in [s.type for s in made.val_dataloader.dataset.pipeline]


def test_other_models_stay_as_they_are(tmp_path):
    for model in (None, toy_segmentor()):
        cfg = toy_config(tmp_path, tmp_path / 'work')
        cfg.model = model
        before = copy.deepcopy(cfg._cfg_dict.to_dict())
        use_map_steps(cfg)
        assert cfg._cfg_dict.to_dict() == before
    without = Config(dict(model=dict(type='DualTaskConsistency')))
    use_map_steps(without)
    assert set(without) == {'model'}


def test_stock_mmseg_runs_the_pipeline_without_them():
    assert stock_steps(with_steps([LOAD, PACK], [MADE], 'p')) == [LOAD, PACK]


def test_synthetic_images_have_the_maps():
    data = SyntheticSegDataset(3, (16, 32), map_steps=dict(labeled=[dict(MADE, factor=2)]))
    labeled, unlabeled = (data[i]['data_samples'] for i in (0, len(data) - 1))
    assert (labeled.depth.data == 2 * labeled.gt_sem_seg.data).all()
    assert 'depth' not in unlabeled
