# Copyright (c) mmseg_ctt contributors.
"""Every config loads and says what it is, builds, and those of each data set train on its files."""

import copy
import math
import re
import uuid
from pathlib import Path
from typing import Dict, List, Set

import mmengine.runner.checkpoint
import pytest
import torch
from leaves import (
    CONFIGS,
    FOLDERS,
    LEAVES,
    bases_of,
    dicts,
    is_thin,
    layout_of,
    leaf,
    levels,
    network,
    parsed,
    shrink,
    write_layout,
    write_maps,
)
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import revert_sync_batchnorm
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmengine.visualization import Visualizer
from mmseg.registry import DATASETS, HOOKS, MODELS
from toy import NUM_CLASSES, losses_of, total_of, toy_batch

from mmseg_ctt.datasets import LabeledUnlabeledSampler
from mmseg_ctt.datasets.sampler import ratio_by_source
from mmseg_ctt.datasets.sources import source_names
from mmseg_ctt.engine import prepare_config
from mmseg_ctt.engine.guards import missing_hook
from mmseg_ctt.methods import SemiSegmentor, registered_methods
from mmseg_ctt.methods.feature_learning import FeatureLearning
from mmseg_ctt.nn.loss_maps import map_names


def is_variant(name: str) -> bool:
    """Whether a leaf is the method of its folder with one or two other settings, by its name."""
    folder, _, file = name.rpartition('/')
    return file.startswith(f'{folder.replace("_plus", "-plus")}-')


OWN = [name for name in LEAVES if not is_thin(name) or is_variant(name)]
DATA = CONFIGS / '_base_' / 'datasets'
STREETS = 'ctt_plus/ctt-plus_deeplabv3plus_streets_1-8.py'
CAMVID = 'ctt_plus/ctt-plus_deeplabv3plus_mobilenetv2_camvid_1-8.py'


def sources(cfg: Config) -> list:
    """Configs of all plain data sets."""
    train = cfg.train_dataloader.dataset
    found = [train[name] for name in source_names(train)]
    return [*found, cfg.val_dataloader.dataset, cfg.test_dataloader.dataset]


def stands_beside(name: str) -> bool:
    """Whether a leaf is an ablation, a variant, or a stage behind the method of its folder."""
    stage = re.search('ablations|stage2|finetune|-frozen_|-lora_', name)
    return bool(stage) or is_variant(name)


def period(cfg: Config) -> int:
    """Images after which the ratio of the sources repeats."""
    loader = cfg.train_dataloader
    return sum(ratio_by_source(loader.sampler.ratio, source_names(loader.dataset)).values())


# ---- what a leaf says


@pytest.mark.parametrize('name', LEAVES)
def test_leaf(name):
    assert re.match(r'# \w.{20,}', LEAVES[name].read_text()), 'the header says what the config is'
    assert levels(LEAVES[name]) <= 2
    cfg = leaf(name)
    assert 'mmseg_ctt' in cfg.custom_imports.imports
    assert 'custom_hooks' not in cfg, 'a list that belongs to the user'
    assert cfg.train_dataloader.batch_size % period(cfg) == 0
    unlabeled = cfg.train_dataloader.dataset.get('unlabeled')
    if unlabeled and unlabeled.type != 'TaggedImageDataset':
        assert 'seg_map_path' not in unlabeled.data_prefix
    first = sources(cfg)[0]
    classes = DATASETS.get(first.type).METAINFO.get('classes')
    classes = classes or (first.get('metainfo') or {}).get('classes')
    if classes:
        assert (cfg.sizes.num_classes or network(cfg).decode_head.num_classes) == len(classes)
    crops = {node.crop_size for node in dicts(cfg.train_dataloader) if 'crop_size' in node}
    assert cfg.sizes.crop_size or crops <= {tuple(network(cfg).data_preprocessor.size)}
    if is_thin(name) and not stands_beside(name):  # differs from its neighbour in the split
        (base,) = bases_of(LEAVES[name])
        assert cfg.model == parsed(base).model


def test_no_method_inherits_another():
    for name, path in LEAVES.items():
        for base in bases_of(path):
            same = name.split('/')[0] == base.relative_to(CONFIGS).parts[0]
            if '_base_' not in base.parts and not same:
                assert 'ablations' in name and base.parent.name == 'supervised', name
        # methods without masks have heads of their own in the place of the model's, and those that
        # learn features alone have a metric
        method = registered_methods().get(leaf(name).model.type)
        own_head = not leaf(name).train_dataloader.dataset.get('labeled')
        own_metric = method is not None and not method.trains_heads
        kept = '_delete_' in path.read_text() and not own_head and not own_metric
        assert not kept or re.search('^supervised/|/stage2/|/finetune/', name), (
            f'{name} undoes what it inherits'
        )


@pytest.mark.parametrize(
    'name', ['default_runtime', *(f'datasets/{p.stem}' for p in DATA.glob('*'))]
)
def test_bases_leave_no_names_behind(name):
    """A top-level name that nothing reads is one that can be changed without effect."""
    known = {'sizes', 'test_pipeline', *parsed_keys('default_runtime')}
    own = parsed_keys(name)
    assert own - known <= {f'{part}_dataloader' for part in ('train', 'val', 'test')}


def parsed_keys(base: str) -> Set[str]:
    return set(parsed(CONFIGS / '_base_' / f'{base}.py').keys())


@pytest.mark.parametrize('name', sorted(path.stem for path in DATA.glob('*.py')))
def test_data_root_from_the_environment(name, monkeypatch):
    files = [DATA / f'{name}.py', *bases_of(DATA / f'{name}.py')]
    text = ''.join(path.read_text() for path in files)
    variable, default = re.search(r'{{\$(\w+_ROOT):([^}]+)}}', text).groups()
    monkeypatch.delenv(variable, raising=False)
    assert {source.data_root for source in sources(Config.fromfile(DATA / f'{name}.py'))} == {
        default
    }
    monkeypatch.setenv(variable, '/elsewhere')
    roots = {source.data_root for source in sources(Config.fromfile(DATA / f'{name}.py'))}
    assert roots == {'/elsewhere'}


def test_every_method_has_a_folder():
    folders: Dict[str, Set[str]] = {}
    for name in LEAVES:
        folders.setdefault(leaf(name).model.type, set()).add(name.split('/')[0])
    assert set(registered_methods()) == set(folders) - {'EncoderDecoder'}
    for kind in registered_methods():
        assert any(
            {leaf(name).model.type for name in LEAVES if re.match(f'{folder}/[^/]+$', name)}
            == {kind}
            for folder in folders[kind]
        ), f'no folder is of {kind} alone'


@pytest.mark.parametrize('folder', FOLDERS)
def test_names_begin_with_the_method(folder):
    begin = folder.replace('_plus', '-plus')
    stems = [path.stem for path in CONFIGS.joinpath(folder).glob('*.py')]
    assert stems and all(stem.startswith((f'{begin}_', f'{begin}-')) for stem in stems)


# ---- hooks by name


def test_every_hook_has_one_name():
    names: Dict[str, Set[str]] = {}
    for name in LEAVES:
        for key, hook in leaf(name).default_hooks.items():
            if hook is not None:
                names.setdefault(hook.type, set()).add(key)
    assert all(len(keys) == 1 for keys in names.values()), names
    assert names['TeacherEMAHook'] == {'teacher_ema'} and names['GuardHook'] == {'guards'}


@pytest.mark.parametrize('name', OWN)
def test_hooks_are_changed_by_name(name, load_tool):
    common = load_tool('_common').module
    options = {'default_hooks.guards': None, 'default_hooks.checkpoint.interval': 7}
    averages = (leaf(name).default_hooks.get('teacher_ema') or {}).get('type')
    if averages:
        options['default_hooks.teacher_ema.alpha'] = 0.999
    hooks = common.read_config(str(LEAVES[name]), options).default_hooks
    assert 'guards' not in hooks and hooks.checkpoint.interval == 7
    assert not averages or HOOKS.build(hooks.teacher_ema).alpha == 0.999


@pytest.mark.parametrize('hook', sorted(leaf(CAMVID).default_hooks))
def test_a_hook_is_switched_off(hook, tmp_path, monkeypatch):
    """A run without the hook, or one sentence where the method needs it."""
    cfg = small_config(CAMVID, tmp_path, monkeypatch)
    kind = HOOKS.get(cfg.default_hooks[hook].type)
    cfg.merge_from_dict({f'default_hooks.{hook}': None, 'train_cfg.max_iters': 1})
    cfg.train_cfg.val_interval = 100
    runner = Runner.from_cfg(cfg)
    assert not any(isinstance(present, kind) for present in runner.hooks)
    if hook in ('teacher_ema', 'queue_warmup'):
        with pytest.raises(ValueError, match=f'default_hooks.{hook}=dict'):
            runner.train()
    else:
        runner.val_loop.run = dict
        runner.train()
        assert runner.iter == 1


# ---- every model takes a step


@pytest.mark.parametrize('name', OWN)
def test_model_takes_a_step(name):
    cfg = copy.deepcopy(leaf(name))
    if re.search('folder|la.d|volumes|drive', name):
        cfg.sizes.num_classes = NUM_CLASSES
    shrink(prepare_config(cfg)._cfg_dict)
    cfg.model.pop('use_tags', None)  # the images of the batch have none
    torch.manual_seed(0)
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).train()
    Visualizer.get_instance('configs')  # a hook asks for the one of the run
    assert missing_hook(model, [HOOKS.build(hook) for hook in cfg.default_hooks.values()]) is None
    semi = isinstance(model, SemiSegmentor)
    assert semi == ('segmentor' in cfg.model)
    number = getattr(model, 'group_size', 2)
    halves = getattr(getattr(model, 'strong_augmentation', None), 'halves', False)
    unlabeled = (2 * number if halves else number) if semi else 0
    losses = losses_of(model, with_loss_maps(toy_batch(number, unlabeled), model))
    assert all(torch.isfinite(value).all() for value in losses.values())
    total = total_of(losses, model)
    total.backward()
    trained = model.students if semi else model
    assert total > 0 and any(weight.grad is not None for weight in trained.parameters())


def with_loss_maps(batch: dict, model) -> dict:
    """The batch with maps of ones that the losses of a model read."""
    networks = model.students if isinstance(model, SemiSegmentor) else [model]
    for made in batch['data_samples']:
        for name in map_names(networks[0]) if 'gt_sem_seg' in made else ():
            made.set_data({name: PixelData(data=torch.ones(1, *made.gt_sem_seg.shape))})
    return batch


# ---- two iterations on files of every data set's own layout


def small_config(name: str, tmp_path: Path, monkeypatch) -> Config:
    """A leaf on tiny files of its layout, two iterations and one validation long."""
    cfg = copy.deepcopy(leaf(name))
    kind, root = layout_of(name), tmp_path / 'data'
    split = cfg.train_dataloader.dataset.get('split')
    write_layout(kind, root, split or 'splits/unused')
    for source in sources(cfg):
        source.data_root = str(root)
    write_maps(cfg, root)
    shrink(cfg._cfg_dict)
    cfg.sizes.update(crop_size=None, ratio_range=None, max_iters=None)  # of shrink and below
    if kind in ('FolderSegDataset', 'la2d'):
        cfg.sizes.num_classes = 3
    cfg.train_dataloader.batch_size = 2 * period(cfg)
    if 'old_classes' in cfg.model:
        cfg.model.old_checkpoint = False  # there is no step before
        cfg.custom_hooks = [dict(type='RandomIsMeant')]
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.param_scheduler = cfg.param_scheduler[-1:]  # without warm-up, which is longer than this
    for scheduler in cfg.param_scheduler:
        scheduler.pop('begin', None)
    cfg.work_dir, cfg.experiment_name = str(tmp_path / 'work'), uuid.uuid4().hex
    cfg.default_hooks.checkpoint.interval = 100
    cfg.visualizer.update(vis_backends=[], name=cfg.experiment_name)
    monkeypatch.setattr(
        mmengine.runner.checkpoint.CheckpointLoader,
        'load_checkpoint',
        lambda *_, **__: pytest.fail('weights were to be loaded'),
    )
    return cfg


def data_and_network(name: str) -> str:
    """Of a leaf; transformers of all sizes and splits are one."""
    name = re.sub('^.*?_(deeplab|dinov)', r'\1', name)
    return re.sub('^dinov.*_([a-z0-9]+)_[^_]*$', r'\1', name)


def one_of_each() -> List[str]:
    """A leaf of every data set and network, of another method each."""
    by_data: Dict[str, List[str]] = {}
    for name in OWN:
        if not stands_beside(name):
            by_data.setdefault(data_and_network(name), []).append(name)
    return [names[i % len(names)] for i, names in enumerate(by_data.values())]


class Losses(Hook):
    """The losses of each iteration."""

    def __init__(self):
        self.values = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.values.append({key: float(value) for key, value in outputs.items()})


ALL_LABELS = [name for name in LEAVES if name.endswith('_all.py')]


@pytest.mark.parametrize('name', [*one_of_each(), *ALL_LABELS, STREETS])
def test_two_iterations(name, tmp_path, monkeypatch):
    runner = Runner.from_cfg(small_config(name, tmp_path, monkeypatch))
    losses, metrics = Losses(), {}
    runner.register_hook(losses)
    validate = runner.val_loop.run
    runner.val_loop.run = lambda: metrics.update(validate())
    runner.train()
    first, second = losses.values
    assert first != second and first['loss'] > 0 and second['loss'] > 0
    assert all(math.isfinite(value) for value in (*first.values(), *second.values()))
    assert isinstance(runner.train_dataloader.sampler, LabeledUnlabeledSampler)
    model = runner.model
    score = model.scores[0] if isinstance(model, FeatureLearning) else 'mIoU'
    assert score in metrics
    if isinstance(model, SemiSegmentor):
        assert int(model.num_updates) == (2 if model.followers() else 0)
        assert {f'{member}/{score}' for member in model.member_names} < set(metrics)
    else:
        drawn = {
            key: count for key, count in runner.train_dataloader.sampler.ratio.items() if count
        }
        assert drawn == dict(labeled=1)


@pytest.mark.parametrize('data,classes', [('ade20k', 150), ('coco', 81)])
def test_two_iterations_of_a_small_network(data, classes, tmp_path, monkeypatch):
    """Data sets whose configs have networks that need a further library."""
    folders = ('models/deeplabv3plus_r18-small', f'datasets/{data}', 'schedules/adamw_poly')
    bases = [f'{CONFIGS}/_base_/{name}.py' for name in (*folders, 'default_runtime')]
    text = f'_base_ = {bases}\nmethod = "fixmatch"\nsizes = dict(num_classes={classes})\n'
    (tmp_path / 'own.py').write_text(text)
    monkeypatch.setitem(LEAVES, 'own', tmp_path / 'own.py')
    runner = Runner.from_cfg(small_config('own', tmp_path, monkeypatch))
    losses, metrics = Losses(), {}
    runner.register_hook(losses)
    validate = runner.val_loop.run
    runner.val_loop.run = lambda: metrics.update(validate())
    runner.train()
    assert all(math.isfinite(value) for value in losses.values[1].values()) and 'mIoU' in metrics
    labeled = runner.train_dataloader.dataset.sources['labeled']
    assert len(labeled.metainfo['classes']) == classes
    label = labeled[0]['data_samples'].gt_sem_seg.data
    assert label[label != 255].max() < classes
