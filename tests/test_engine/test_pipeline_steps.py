# Copyright (c) mmseg_ctt contributors.
"""Loading steps that check replace those of stock mmseg, in every pipeline of a run."""

import copy
import inspect

import pytest
from mmcv.transforms import LoadAnnotations as OtherLoadAnnotations
from mmengine.config import Config
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import TRANSFORMS
from toy_data import toy_config

from mmseg_ctt.engine import prepare_config
from mmseg_ctt.engine.pipeline_steps import CHECKED, checked_steps, stock_steps, use_checked_steps

OWN = 'CheckedLoadAnnotations'
LOAD, CHECKED_LOAD = dict(type='LoadAnnotations'), dict(type=OWN)
PLAIN_IMAGE, IMAGE = dict(type='LoadImageFromFile'), dict(type='CheckedLoadImageFromFile')
PACK = dict(type='PackSegInputs')


def steps(pipeline):
    return checked_steps(copy.deepcopy(pipeline))


@pytest.mark.parametrize('kind', ['LoadAnnotations', 'mmseg.LoadAnnotations', LoadAnnotations])
def test_stock_step_by_any_name(kind):
    made = steps([IMAGE, dict(type=kind, imdecode_backend='cv2'), PACK])
    assert made[1] == dict(type=OWN, imdecode_backend='cv2') and made[2] == PACK


@pytest.mark.parametrize('kind', ['mmcv.LoadAnnotations', OtherLoadAnnotations, 'LoadMine', OWN])
def test_other_steps_stay(kind):
    pipeline = [IMAGE, dict(type=kind), PACK]
    assert steps(pipeline) == pipeline


def test_check_behind_the_step_is_part_of_it():
    check = dict(type='CheckSegMap', num_classes=3, ignore_index=9)
    own = dict(type=OWN, num_classes=3, ignore_index=9)
    assert steps([IMAGE, LOAD, check, PACK])[1:] == [own, PACK]
    mine = [dict(type='LoadMine'), check, PACK]
    assert steps(mine) == mine  # a loading step of the user's own needs it
    apart = steps([LOAD, PACK, check])
    assert apart == [CHECKED_LOAD, PACK, check]


def test_every_nested_pipeline():
    inner = dict(type='FolderSegDataset', pipeline=[PLAIN_IMAGE, LOAD, PACK])
    tta = [IMAGE, dict(type='TestTimeAug', transforms=[[dict(type='Resize')], [LOAD], [PACK]])]
    wrapped = dict(type='RepeatDataset', times=2, dataset=dict(inner))
    cfg = Config(
        dict(
            train_dataloader=dict(
                dataset=dict(
                    type='LabeledUnlabeledDataset',
                    labeled=dict(type='ConcatDataset', datasets=[inner, wrapped]),
                    unlabeled=dict(type='FolderSegDataset', pipeline=[IMAGE, PACK]),
                )
            ),
            val_dataloader=dict(dataset=dict(inner, palette=[[1, 2, 3]])),
            test_dataloader=dict(dataset=dict(inner, pipeline=tuple(tta))),
            other=dict(pipeline=[LOAD]),
        )
    )
    use_checked_steps(cfg)
    first, second = cfg.train_dataloader.dataset.labeled.datasets
    pipelines = [first.pipeline, second.dataset.pipeline, cfg.val_dataloader.dataset.pipeline]
    assert all(pipeline == [IMAGE, CHECKED_LOAD, PACK] for pipeline in pipelines)
    assert cfg.train_dataloader.dataset.unlabeled.pipeline == [IMAGE, PACK]
    assert cfg.test_dataloader.dataset.pipeline[1]['transforms'][1] == [CHECKED_LOAD]
    assert isinstance(cfg.test_dataloader.dataset.pipeline, tuple)
    assert cfg.other.pipeline == [LOAD] and cfg.val_dataloader.dataset.palette == [[1, 2, 3]]
    before = copy.deepcopy(cfg._cfg_dict.to_dict())
    use_checked_steps(cfg)
    assert cfg._cfg_dict.to_dict() == before


def test_a_run_is_prepared_with_them(root, tmp_path):
    cfg = prepare_config(toy_config(root, tmp_path / 'work'))
    for dataset in (
        cfg.train_dataloader.dataset.labeled,
        cfg.val_dataloader.dataset,
        cfg.test_dataloader.dataset,
    ):
        types = [step.type for step in dataset.pipeline]
        assert types[1] == OWN and 'CheckSegMap' not in types and 'LoadAnnotations' not in types


def test_config_without_loaders():
    cfg = dict(model=dict(), train_dataloader=None)
    use_checked_steps(cfg)
    assert cfg == dict(model=dict(), train_dataloader=None)


def test_way_back():
    pipeline = [
        PLAIN_IMAGE,
        dict(type='LoadAnnotations', imdecode_backend='cv2'),
        dict(type='TestTimeAug', transforms=[[LOAD], [PACK]]),
    ]
    checked = steps([*pipeline[:2], dict(type='CheckSegMap', num_classes=3), pipeline[2]])
    assert checked != pipeline and stock_steps(checked) == pipeline
    assert stock_steps([LOAD, dict(type='CheckSegMap'), PACK]) == [LOAD, PACK]


@pytest.mark.parametrize('stock, own', CHECKED.items())
def test_a_checked_step_takes_what_the_stock_step_takes(stock, own):
    kind = TRANSFORMS.get(own)
    assert issubclass(kind, TRANSFORMS.get(stock))
    arguments = inspect.signature(kind.__init__).parameters.values()
    assert any(argument.kind == argument.VAR_KEYWORD for argument in arguments)
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    required = [a.name for a in arguments if a.default is a.empty and a.kind not in variable]
    assert required == ['self']
