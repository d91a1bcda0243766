# Copyright (c) mmseg_ctt contributors.
"""Sizes that pipelines and networks follow, and hooks that are switched off."""

import copy
import uuid
from pathlib import Path

import pytest
from leaves import CONFIGS, dicts, leaf, network, write_layout
from mmengine.config import Config
from mmengine.runner import Runner
from toy_data import toy_config

from mmseg_ctt.engine import prepare_config
from mmseg_ctt.engine.pipeline_steps import stock_steps

FOLDER = 'ctt_plus/ctt-plus_deeplabv3plus_mobilenetv2_folder.py'
VOC = 'ctt/ctt_deeplabv3plus_voc_1-8.py'
STREETS = 'ctt_plus/ctt-plus_deeplabv3plus_streets_1-8.py'
MINE = f"""# CTT on my images.
_base_ = ['{CONFIGS / FOLDER}']
sizes = dict(scale=(96, 64), crop_size=(32, 64), num_classes=3, max_iters=1)
train_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
default_hooks = dict(alignment=None, checkpoint=None)
visualizer = dict(vis_backends=[])
model = dict(segmentor=dict(backbone=dict(init_cfg=None)))
experiment_name = '{uuid.uuid4().hex}'
"""
BASELINE = """_base_ = ['mine.py']
model = dict(_delete_=True, **_base_.model.segmentor)
train_dataloader = dict(batch_size=2, sampler=dict(ratio=dict(unlabeled=0)))
default_hooks = dict(teacher_ema=None, queue_warmup=None)
"""


@pytest.fixture
def mine(tmp_path, monkeypatch) -> Path:
    """A user's config of ten lines, and files of its layout."""
    write_layout('FolderSegDataset', tmp_path / 'data', 'splits/mine')
    monkeypatch.setenv('FOLDER_ROOT', str(tmp_path / 'data'))
    path = tmp_path / 'mine.py'
    path.write_text(MINE)
    return path


def check_mine(cfg):
    """Numbers of the user's config stand everywhere and nothing else does."""
    steps = [
        node for node in dicts(cfg._cfg_dict) if node.get('type') in ('Resize', 'RandomResize')
    ]
    assert {step['scale'] for step in steps if 'scale' in step} == {(96, 64)}
    crops = {node['crop_size'] for node in dicts(cfg.train_dataloader) if 'crop_size' in node}
    assert crops == {tuple(network(cfg).data_preprocessor.size)} == {(32, 64)}
    assert network(cfg).decode_head.num_classes == 3 and cfg.train_cfg.max_iters == 1
    assert not any(cfg.sizes.values())
    assert 'alignment' not in cfg.default_hooks


def test_a_config_of_ten_lines(mine, load_tool):
    check_mine(load_tool('_common').module.read_config(str(mine)))


def test_with_mmengine_alone(mine, tmp_path):
    """What mmseg's own tools/train.py does."""
    cfg = Config.fromfile(mine)
    cfg.work_dir = str(tmp_path / 'work')
    runner = Runner.from_cfg(cfg)
    assert cfg.sizes.num_classes == 3, "the caller's config stays as it is"
    check_mine(runner.cfg)
    runner.val_loop.run = dict
    runner.train()
    check_mine(Config.fromfile(tmp_path / 'work' / 'mine.py'))  # of the run
    assert runner.iter == 1 and runner.model.num_classes == 3
    sample = runner.train_dataloader.dataset[0]
    assert sample['inputs'].shape == (3, 32, 64)
    assert runner.val_dataloader.dataset[0]['inputs'].shape == (3, 64, 96)


def test_baseline_of_the_same_sizes(mine, tmp_path):
    path = tmp_path / 'baseline.py'
    path.write_text(BASELINE)
    cfg = prepare_config(Config.fromfile(path))
    check_mine(cfg)
    assert cfg.model.type == 'EncoderDecoder'
    assert not {'teacher_ema', 'queue_warmup'} & set(cfg.default_hooks)


def test_from_the_command_line(load_tool):
    read = load_tool('_common').module.read_config
    options = {'sizes.crop_size': (96, 128), 'sizes.scale': [160, 120], 'sizes.num_classes': 4}
    cfg = read(str(CONFIGS / FOLDER), options)
    assert network(cfg).data_preprocessor.size == (96, 128)
    assert cfg.test_pipeline[1].scale == (160, 120), 'a tuple, which mmcv asks for'
    assert network(cfg).decode_head.num_classes == 4


def test_a_config_takes_sizes_again():
    cfg = copy.deepcopy(leaf(FOLDER))
    for size in ((96, 128), (64, 64)):
        cfg.sizes.crop_size = size
        prepare_config(cfg)
        assert network(cfg).data_preprocessor.size == size
    before = cfg._cfg_dict.to_dict()
    assert prepare_config(cfg)._cfg_dict.to_dict() == before


@pytest.mark.parametrize('end', [80001, 80000, 70000, None])
def test_a_schedule_ends_with_the_run(end):
    cfg = copy.deepcopy(leaf(VOC))
    cfg.param_scheduler[0].update(end=end)
    cfg.sizes.max_iters = 20000
    prepare_config(cfg)
    assert cfg.train_cfg.max_iters == 20000
    moved = {80001: 20001, 80000: 20000, 70000: 70000, None: None}
    assert cfg.param_scheduler[0]['end'] == moved[end]


def test_a_run_that_is_shorter_than_the_warm_up():
    """The message names both keys, and what it proposes works."""
    cfg = copy.deepcopy(leaf(STREETS))
    begin = cfg.param_scheduler[1].begin
    cfg.sizes.max_iters = begin + 1
    prepare_config(cfg)
    assert cfg.train_cfg.max_iters == begin + 1
    for end in ({}, dict(end=begin + 1)):
        cfg.param_scheduler[1].update(end)
        cfg.sizes.max_iters = begin
        with pytest.raises(ValueError) as error:
            prepare_config(copy.deepcopy(cfg))
        directly = copy.deepcopy(cfg)
        directly.pop('sizes')
        directly.train_cfg.max_iters = begin
        directly.param_scheduler[1].pop('end', None)
        with pytest.raises(ValueError, match=f'^a run of {begin} iterations'):
            prepare_config(directly)
        for words in (
            f'a run of {begin} iterations (sizes.max_iters, train_cfg.max_iters)',
            f'param_scheduler.1.begin={begin}',
            'set param_scheduler=[]',
        ):
            assert words in str(error.value)
    cfg.param_scheduler = []
    prepare_config(cfg)
    assert cfg.train_cfg.max_iters == begin


def test_numbers_that_are_no_sizes_stay():
    cfg = prepare_config(copy.deepcopy(leaf(VOC)))
    cfg.sizes.crop_size = (128, 128)
    steps = copy.deepcopy(cfg.train_dataloader.dataset.labeled.pipeline)
    prepare_config(cfg)
    changed = cfg.train_dataloader.dataset.labeled.pipeline
    assert [old == new for old, new in zip(steps, changed)].count(False) == 1
    del network(cfg).data_preprocessor['size']  # padded to a divisor, say
    cfg.sizes.crop_size = (64, 64)
    assert 'size' not in network(prepare_config(cfg)).data_preprocessor


def test_every_head_follows():
    cfg = dict(
        model=dict(
            decode_head=[dict(num_classes=2), dict(num_classes=2)],
            auxiliary_head=[
                dict(num_classes=2),
                dict(num_classes=2, boundary_threshold=0.1),  # STDC: edges
                dict(kernel_update_head=[dict(num_classes=2)]),  # K-Net
            ],
            backbone=dict(num_classes=1000),
        ),
        sizes=dict(num_classes=7),
    )
    model = prepare_config(cfg)['model']
    plain, edges, nested = model['auxiliary_head']
    heads = [*model['decode_head'], plain, *nested['kernel_update_head'], edges]
    assert [head['num_classes'] for head in heads] == [7, 7, 7, 7, 2]
    assert model['backbone']['num_classes'] == 1000


@pytest.mark.parametrize(
    'name,sizes,error,words',
    [
        (FOLDER, dict(crop=(32, 32)), ValueError, ['sizes', "'crop'", 'crop_size']),
        (FOLDER, dict(crop_size=32), ValueError, ['sizes.crop_size', 'pair', '32']),
        (FOLDER, dict(crop_size=(32, 0)), ValueError, ['sizes.crop_size', 'positive']),
        (FOLDER, dict(scale=(1.5, 2)), ValueError, ['sizes.scale', '1.5']),
        (FOLDER, dict(ratio_range=0.5), ValueError, ['sizes.ratio_range', 'pair', '(0.5, 2.0)']),
        (FOLDER, dict(ratio_range=(2, 0.5)), ValueError, ['sizes.ratio_range', 'smaller']),
        (VOC, dict(ratio_range=(0.5, 2)), ValueError, ['sizes.ratio_range', 'RandomResize']),
        (FOLDER, dict(num_classes='5'), ValueError, ['sizes.num_classes', "'5'"]),
        (FOLDER, dict(num_classes=True), ValueError, ['sizes.num_classes']),
        (STREETS, dict(crop_size=(32, 32)), ValueError, ['sizes.crop_size', 'RandomCrop']),
        (VOC, dict(scale=(32, 32)), ValueError, ['sizes.scale', 'Resize']),
        (FOLDER, (32, 32), TypeError, ['sizes', 'dict']),
    ],
)
def test_sizes_that_cannot_be(name, sizes, error, words):
    cfg = copy.deepcopy(leaf(name))
    cfg.sizes = sizes
    with pytest.raises(error) as raised:
        prepare_config(cfg)
    assert all(word in str(raised.value) for word in words), raised.value


def test_configs_without_sizes(root, tmp_path):
    cfg = toy_config(root, tmp_path / 'work')
    before = stock_steps(cfg._cfg_dict.to_dict())
    once = prepare_config(cfg)._cfg_dict.to_dict()
    assert prepare_config(cfg)._cfg_dict.to_dict() == once
    assert stock_steps(once) == before  # steps that load and check, and nothing else


def test_hooks_of_mmengine_stay_none():
    """It adds one of its own where the name is missing."""
    cfg = copy.deepcopy(leaf(STREETS))
    cfg.default_hooks.update(timer=None, guards=None)
    hooks = prepare_config(cfg).default_hooks
    assert hooks['timer'] is None and 'guards' not in hooks


def test_settings_of_a_hook_that_is_not_there(load_tool):
    options = {'default_hooks.teacher_ema.alpha': 0.999}
    with pytest.raises(ValueError, match='default_hooks.teacher_ema.*0.999.*no such hook'):
        load_tool('_common').module.read_config(
            str(CONFIGS / 'cps/cps_deeplabv3plus_streets_1-8.py'), options
        )
