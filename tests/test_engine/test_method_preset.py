# Copyright (c) mmseg_ctt contributors.
"""One setting changes the method of any config, by any of the ways a config is read."""

import copy
import functools
import subprocess
import sys
import uuid

import pytest
from leaves import CONFIGS, LEAVES, leaf, shrink, write_layout
from mmengine.config import Config
from mmengine.runner import Runner
from mmseg.registry import HOOKS, MODELS
from toy import toy_segmentor
from toy_run import small_segmentor

from mmseg_ctt.engine import merge_options, method_preset, prepare_config, presets
from mmseg_ctt.engine.guards import missing_hook
from mmseg_ctt.engine.method_preset import method_hooks, preset_names, read_preset
from mmseg_ctt.engine.pipeline_steps import stock_steps
from mmseg_ctt.engine.program_changes import changed, split
from mmseg_ctt.methods import SemiSegmentor

NAMES = preset_names()
METHODS = [name for name in NAMES if name != 'supervised']
FOLDER = 'ctt_plus/ctt-plus_deeplabv3plus_mobilenetv2_folder.py'
SUPERVISED = 'supervised/supervised_deeplabv3plus_mobilenetv2_folder.py'
CAMVID = '{0}/{1}_deeplabv3plus_mobilenetv2_camvid_1-8.py'
OF_NETWORK = ('channels_last', 'segmentor')
OF_DATA = ('background', 'guidance')  # they name classes of the data set
# of the square of all methods, which would take minutes
PAIRS = [
    (former, NAMES[(i + step) % len(NAMES)])
    for i, former in enumerate(NAMES)
    for step in (0, 1, 2, 5, 11)
]


def camvid(name: str) -> str:
    return CAMVID.format(name, name.replace('_', '-') if name == 'ctt_plus' else name)


def switched(name: str, **options) -> dict:
    """A leaf, prepared, after settings of the command line."""
    cfg = copy.deepcopy(leaf(name))
    merge_options(cfg, options)
    return prepare_config(cfg)._cfg_dict.to_dict()


def method_part(cfg: dict) -> dict:
    """What a method brings."""
    model = {key: value for key, value in cfg['model'].items() if key not in OF_NETWORK + OF_DATA}
    if 'segmentor' not in cfg['model']:
        model = dict(type=cfg['model']['type'])
    hooks = {key: hook for key, hook in cfg['default_hooks'].items() if key != 'pseudo_labels'}
    watch = cfg['default_hooks'].get('pseudo_labels', {}).get('confidence_threshold')
    loader = cfg['train_dataloader']
    return dict(
        model=model,
        hooks=hooks,
        watch=watch,
        self_training=cfg.get('self_training'),
        ratio=dict(loader['sampler']['ratio']),
        batch_size=loader['batch_size'],
    )


@functools.lru_cache(maxsize=None)
def wanted(name: str) -> dict:
    return method_part(switched(camvid(name)))


def network_of(cfg: dict) -> dict:
    return cfg['model'].get('segmentor', cfg['model'])


# ---- pairs


@pytest.mark.parametrize('former,new', PAIRS)
def test_pairs(former, new):
    """The method is that of the other config of the same data; all else stays."""
    before, after = switched(camvid(former)), switched(camvid(former), method=new)
    found, goal = method_part(after), wanted(new)
    if 'pseudo_labels' not in after['default_hooks']:  # the baseline has no such hook
        goal = dict(goal, watch=None)
    assert found == goal
    assert network_of(after) == network_of(before)
    for key in ('optim_wrapper', 'param_scheduler', 'train_cfg', 'sizes', 'val_dataloader'):
        assert after[key] == before[key]
    # without the steps that make the maps of a method
    datasets = [stock_steps(cfg['train_dataloader']['dataset']) for cfg in (before, after)]
    assert datasets[0] == datasets[1]
    assert after['method'] is None, 'it is applied'


@pytest.mark.parametrize('name', METHODS)
def test_a_preset_is_the_method_of_its_camvid_config(name):
    """Numbers that stand in two files are the same."""
    before, after = switched(camvid(name)), switched(camvid(name), method=name)
    for key in OF_DATA:
        assert before['model'].pop(key, None) or key not in after['model']
        after['model'].pop(key, None)
    assert after == before


@pytest.mark.parametrize('name', METHODS)
@pytest.mark.parametrize('data', ['camvid', 'streets', 'voc', 'folder'])
def test_a_preset_builds_with_every_data_set(name, data, tmp_path):
    """Bases of network, data and schedule and the name of a method are a config."""
    path = tmp_path / 'a.py'
    bases = ['models/deeplabv3plus_mobilenetv2', f'datasets/{data}', 'schedules/sgd_poly_40k']
    files = [str(CONFIGS / '_base_' / f'{base}.py') for base in (*bases, 'default_runtime')]
    path.write_text(f'_base_ = {files}\nmethod = {name!r}\nsizes = dict(max_iters=7)\n')
    cfg = prepare_config(Config.fromfile(path))
    assert cfg.train_cfg.max_iters == 7 and cfg.optim_wrapper.optimizer.type == 'SGD'
    cfg.model.segmentor = small_segmentor()
    model = MODELS.build(cfg.model)
    assert isinstance(model, SemiSegmentor)
    hooks = [hook for hook in cfg.default_hooks.values() if hook.type != 'SegVisualizationHook']
    assert missing_hook(model, [HOOKS.build(hook) for hook in hooks]) is None


def test_every_method_has_a_folder_config():
    for name in NAMES:
        stem = name.replace('_', '-') if name == 'ctt_plus' else name
        path = LEAVES[f'{name}/{stem}_deeplabv3plus_mobilenetv2_folder.py']
        assert f"\nmethod = '{stem}'\n" in path.read_text()
        assert method_part(switched(path.relative_to(CONFIGS).as_posix()))['model']


@pytest.mark.parametrize(
    'former, new', [('ctt_plus', 'stpg'), ('supervised', 'ael'), ('stpg', 'supervised')]
)
def test_a_changed_config_trains(former, new, tmp_path, monkeypatch):
    write_layout('FolderSegDataset', tmp_path / 'data', 'splits/mine')
    monkeypatch.setenv('FOLDER_ROOT', str(tmp_path / 'data'))
    stem = former.replace('_', '-')
    cfg = Config.fromfile(CONFIGS / f'{former}/{stem}_deeplabv3plus_mobilenetv2_folder.py')
    options = {'method': new, 'sizes.num_classes': 3, 'default_hooks.checkpoint': None}
    merge_options(cfg, {**options, 'train_cfg.max_iters': 2, 'train_cfg.val_interval': 100})
    if 'anchor_assignment' in cfg.default_hooks:
        cfg.default_hooks.anchor_assignment.interval = 1  # two iterations are a short run
    shrink(cfg._cfg_dict)
    cfg.train_dataloader.batch_size = 2 if new == 'supervised' else 4
    cfg.work_dir, cfg.experiment_name = str(tmp_path / 'work'), uuid.uuid4().hex
    cfg.visualizer.update(vis_backends=[], name=cfg.experiment_name)
    runner = Runner.from_cfg(cfg)
    runner.val_loop.run = dict
    runner.train()
    assert runner.iter == 2
    kind = read_preset(new).get('model', {}).get('type', 'EncoderDecoder')
    assert type(runner.model).__name__ == kind


# ---- settings of the former method, and those beside `method`


@pytest.fixture
def lines(monkeypatch):
    """What is logged while a method is applied."""
    found = []
    monkeypatch.setattr(method_preset, 'print_log', lambda text, **_: found.append(text))
    return found


def config(tmp_path, base: str, text: str, name: str = 'mine.py'):
    path = tmp_path / name
    path.write_text(f'_base_ = [{str(base)!r}]\n{text}\n')
    return path


BESIDE = """method = 'stpg'
model = dict(bank=dict(size=64), teacher_mode='eval')
default_hooks = dict(teacher_ema=dict(alpha=0.999, buffers=True))
train_dataloader = dict(batch_size=6)
"""


def check_beside(cfg: Config) -> None:
    assert cfg.model.type == 'STPG' and cfg.model.bank.size == 64
    assert cfg.model.teacher_mode == 'eval' and cfg.model.segmentor.backbone
    assert 'consistency' not in cfg.model and 'ramp_up' not in cfg.model
    assert cfg.default_hooks.teacher_ema == dict(type='TeacherEMAHook', alpha=0.999, buffers=True)
    assert 'alignment' not in cfg.default_hooks and 'anchor_assignment' in cfg.default_hooks
    assert cfg.train_dataloader.batch_size == 6


@pytest.fixture
def written(tmp_path):
    """A config that has its method's settings written out."""
    text = """model = dict(ramp_up=0.4, consistency=dict(select='pixel', class_thresholds=dict()))
default_hooks = dict(alignment=dict(type='DistributionAlignmentHook'))
"""
    return config(tmp_path, LEAVES[camvid('ctt')], text, 'written.py')


@pytest.mark.parametrize('base', ['folder', 'written'])
def test_settings_beside_the_method_stay(base, written, tmp_path, lines):
    """Also one that has the value that it had for the former method, in a file or below it."""
    path = config(tmp_path, LEAVES[FOLDER] if base == 'folder' else written, BESIDE)
    check_beside(prepare_config(Config.fromfile(path)))
    above = config(tmp_path, path, 'model = dict(contrast=dict(pool=2))', 'above.py')
    cfg = prepare_config(Config.fromfile(above))
    check_beside(cfg)
    assert cfg.model.contrast.pool == 2
    if base == 'folder':
        assert not lines, 'nothing was set for the former method'
    else:
        assert 'model.ramp_up' in lines[0] and 'default_hooks.alignment' in lines[0]
        assert 'model.bank' not in lines[0]


def test_settings_of_the_former_method_are_named(lines):
    cfg = switched(camvid('ctt_plus'), method='cps')
    assert 'bank' not in cfg['model'] and len(lines) == 1
    assert 'method=cps' in lines[0]
    for key in ('model.bank', 'model.loss_weights', 'default_hooks.queue_warmup'):
        assert key in lines[0]


def test_the_command_line_sets_the_new_method(load_tool):
    options = {'method': 'stpg', 'model.bank.size': 64, 'default_hooks.teacher_ema.alpha': 0.9}
    cfg = load_tool('_common').module.read_config(str(LEAVES[camvid('ctt')]), options)
    assert cfg.model.type == 'STPG' and cfg.default_hooks.teacher_ema.alpha == 0.9


@pytest.mark.parametrize('key', ['backbone.frozen_stages', 'segmentor.backbone.frozen_stages'])
@pytest.mark.parametrize(('former', 'new'), [('ctt', 'supervised'), ('supervised', 'stpg')])
def test_the_command_line_names_the_network_in_either_way(former, new, key, load_tool):
    options = {'method': new, f'model.{key}': 1}
    cfg = load_tool('_common').module.read_config(str(LEAVES[camvid(former)]), options)
    network = cfg.model if new == 'supervised' else cfg.model.segmentor
    assert network.backbone.frozen_stages == 1
    assert ('segmentor' in cfg.model) == (new != 'supervised') == ('backbone' not in cfg.model)


def test_as_the_tools_of_mmseg_read_it(written, tmp_path, monkeypatch):
    """They import the package from the config, after they have read and merged it."""
    path = config(tmp_path, written, BESIDE)
    for options in ({}, {'model.contrast.pool': 2}):
        cfg = method_preset.read_file(path)
        assert cfg.method == 'stpg' and cfg.model.type == 'CrossTeacherTraining'
        cfg.merge_from_dict(options)
        prepare_config(cfg)
        check_beside(cfg)
        assert cfg.model.contrast.pool == options.get('model.contrast.pool', 4)
    cfg = method_preset.read_file(LEAVES[camvid('ctt')])
    cfg.merge_from_dict({'method': 'supervised'})
    assert prepare_config(cfg).model.type == 'EncoderDecoder'
    assert cfg.train_dataloader.sampler.ratio.unlabeled == 0


@pytest.fixture
def read(tmp_path):
    """A plain segmentor with a method, as mmengine alone reads the config."""
    text = 'model = dict(_delete_=True, **_base_.model.segmentor)\nmethod = "ctt-plus"'
    cfg = method_preset.read_file(config(tmp_path, LEAVES[SUPERVISED], text))
    assert cfg.method == 'ctt-plus' and cfg.model.type == 'EncoderDecoder'
    return cfg


def test_what_a_program_replaces_or_removes_stays_so(read):
    for name in ('runtime_info', 'guards', 'live'):
        read.default_hooks.pop(name)
    hook = read.default_hooks.visualization = dict(type='EmptyCacheHook', after_iter=True)
    read.train_dataloader.pop('num_workers')
    read.optim_wrapper.optimizer = dict(type='LBFGS')
    read.optim_wrapper.paramwise_cfg = dict(custom_keys={'a.b': dict(lr_mult=2)})
    model = read.model = dict(type='FCN', module=None, head=dict(k=1))
    prepare_config(read)
    hooks = read.default_hooks
    assert not {'runtime_info', 'guards', 'live'} & set(hooks) and 'teacher_ema' in hooks
    assert hooks.visualization == hook and 'num_workers' not in read.train_dataloader
    assert read.optim_wrapper.optimizer == dict(type='LBFGS')
    assert read.optim_wrapper.paramwise_cfg.custom_keys['a.b'] == dict(lr_mult=2)
    assert read.model == model


def test_a_part_that_a_program_replaces_by_one_without_type_is_whole(read):
    read.optim_wrapper.type, given = 'AmpOptimWrapper', dict(optimizer=dict(type='SGD', lr=0.1))
    before = dict(read.to_dict())
    read.optim_wrapper = given
    found = dict(changed(before, read.to_dict()))
    assert split(found)[1] == {('optim_wrapper',): given}
    prepare_config(read)
    assert set(read.optim_wrapper) == {'optimizer'} and set(read.optim_wrapper.optimizer) == {
        'type',
        'lr',
    }


def test_a_program_wraps_and_changes_the_network(read):
    """As tools/test.py of mmseg with --tta; the method goes around the network inside."""
    read.model.backbone.frozen_stages = 1
    read.model.data_preprocessor.pad_val = 7
    read.model.decode_head.pop('norm_cfg')
    read.tta_model.module = read.model
    read.model = read.tta_model
    prepare_config(read)
    assert read.model.type == 'SegTTAModel' and set(read.model) == {'type', 'module'}
    inner = read.model.module
    assert inner.type == 'CrossTeacherTraining' and 'backbone' not in inner
    assert inner.segmentor.data_preprocessor.pad_val == 7
    assert inner.segmentor.backbone.frozen_stages == 1
    assert 'norm_cfg' not in inner.segmentor.decode_head


def test_a_program_that_reads_the_config_before_the_package(tmp_path):
    path = config(tmp_path, LEAVES[SUPERVISED], 'method = "ctt-plus"')
    code = (
        'from mmengine.config import Config\n'
        f'cfg = Config.fromfile({str(path)!r})\n'
        'cfg.default_hooks.pop("guards")\n'
        'cfg.model = dict(type="FCN", head=dict(k=1))\n'
        'from mmseg_ctt.engine import prepare_config\n'
        'prepare_config(cfg)\n'
        'assert "guards" not in cfg.default_hooks and "teacher_ema" in cfg.default_hooks\n'
        'assert cfg.model == dict(type="FCN", head=dict(k=1)), cfg.model\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True)


def test_in_memory():
    cfg = Config(dict(method='stpg', model=dict(type='MeanTeacher', segmentor=toy_segmentor())))
    assert prepare_config(cfg).model.type == 'STPG' and cfg.default_hooks.teacher_ema


def test_a_written_config_stays_what_it_is(tmp_path):
    """The config of a run has no method that is still to be applied; it takes another again."""
    cfg = copy.deepcopy(leaf(FOLDER))
    prepare_config(cfg).dump(tmp_path / 'run.py')
    again = prepare_config(Config.fromfile(tmp_path / 'run.py'))
    assert again._cfg_dict.to_dict() == cfg._cfg_dict.to_dict()
    merge_options(again, dict(method='cps'))
    assert again.model.type == 'CrossPseudoSupervision' and 'bank' not in again.model


def test_steps_of_the_former_method_leave_a_written_config(tmp_path):
    before = method_preset.read_file(LEAVES[FOLDER])
    prepare_config(before).dump(tmp_path / 'before.py')
    cfg = Config.fromfile(tmp_path / 'before.py')
    merge_options(cfg, dict(method='dtc'))
    prepare_config(cfg).dump(tmp_path / 'run.py')
    pipeline = cfg.train_dataloader.dataset.labeled.pipeline
    assert [step.type for step in pipeline[-2:]] == ['GenerateSignedDistance', 'PackSemiSegInputs']
    again = Config.fromfile(tmp_path / 'run.py')
    merge_options(again, dict(method='cps'))
    pipelines = [
        prepare_config(made).train_dataloader.dataset.labeled.pipeline for made in (again, before)
    ]
    assert pipelines[0] == pipelines[1] and pipelines[0][-1].type == 'PackSegInputs'


def test_a_whole_new_model_takes_the_place_of_the_method(tmp_path):
    text = 'model = dict(_delete_=True, **_base_.model.segmentor)'
    cfg = Config.fromfile(config(tmp_path, LEAVES[FOLDER], text))
    assert cfg.model.type == 'EncoderDecoder' and cfg.method is None


def test_a_hook_of_the_preset_is_switched_off(tmp_path):
    cfg = Config.fromfile(config(tmp_path, LEAVES[FOLDER], 'default_hooks = dict(alignment=None)'))
    assert 'alignment' not in prepare_config(cfg).default_hooks


@pytest.mark.parametrize('labels, batch', [(3, 6), (1, 2)])
def test_a_batch_keeps_its_labelled_images(labels, batch):
    cfg = copy.deepcopy(leaf(FOLDER))
    cfg.train_dataloader.update(batch_size=labels * 3, sampler=dict(cfg.train_dataloader.sampler))
    cfg.train_dataloader.sampler.ratio = dict(labeled=1, unlabeled=2)
    merge_options(cfg, dict(method='supervised'))
    assert cfg.train_dataloader.batch_size == labels
    merge_options(cfg, dict(method='cps'))
    assert cfg.train_dataloader.batch_size == batch
    assert cfg.train_dataloader.sampler.ratio == dict(labeled=1, unlabeled=1)


UNIMATCH = 'unimatch/unimatch_deeplabv3plus_voc_1-8.py'


def test_hooks_of_methods_are_those_of_the_presets():
    known = ['alignment', 'anchor_assignment', 'past_models', 'queue_warmup', 'teacher_ema']
    assert list(method_hooks()) == known


@pytest.mark.parametrize('new', ['fixmatch', 'supervised', 'unimatch'])
def test_partners_of_the_former_method_are_not_drawn(new, lines):
    """8 labelled and 8 of 16 unlabelled images are seen; the other 8 are pasted onto these."""
    cfg = copy.deepcopy(leaf(UNIMATCH))
    merge_options(cfg, dict(method=new))
    loader = prepare_config(cfg).train_dataloader
    unlabeled = 0 if new == 'supervised' else 1
    assert loader.sampler.ratio == dict(labeled=1, unlabeled=unlabeled)
    assert loader.batch_size == 8 + 8 * unlabeled
    assert 'train_dataloader.sampler.ratio' in lines[0]


def test_partners_and_ratios_that_are_given_stay():
    halves = [dict(type='CutMixing', partner='second_half')]
    kept = dict(labeled=1, unlabeled=2)
    for options in (
        {'model.strong_augmentation': halves},
        {'train_dataloader.sampler.ratio': kept},
    ):
        cfg = copy.deepcopy(leaf(UNIMATCH))
        merge_options(cfg, dict(method='fixmatch', **options))
        loader = prepare_config(cfg).train_dataloader
        assert loader.sampler.ratio == kept and loader.batch_size == 24


# ---- mistakes

MISTAKES = {
    'unknown': ('method = "cttt"', "method='cttt' is not known"),
    'no name': ('method = 3', 'method=3 is not known'),
    'type beside it': ('method = "cps"\nmodel = dict(type="STPG")', 'remove model.type, or set'),
    'type alone': ('model = dict(type="STPG")', "set method='stpg' in its place"),
    'unused': ('method = "supervised"\nmodel = dict(bank=dict(size=3))', 'model.bank would be un'),
    'no images': (
        'train_dataloader = dict(dataset=dict(unlabeled=None))',
        'needs images without labels',
    ),
}


@pytest.mark.parametrize('name', MISTAKES)
@pytest.mark.parametrize('base', [FOLDER, camvid('ctt')])
def test_mistakes(name, base, tmp_path):
    text, message = MISTAKES[name]
    with pytest.raises(ValueError, match=message):
        cfg = Config.fromfile(config(tmp_path, LEAVES[base], text))
        merge_options(cfg, dict(method='cps'))


def test_no_network(tmp_path):
    base = CONFIGS / '_base_' / 'default_runtime.py'
    with pytest.raises(ValueError, match='has no network'):
        Config.fromfile(config(tmp_path, base, 'method = "cps"'))


def test_model_type_on_the_command_line(load_tool, capsys):
    train = load_tool('train')
    code = train.exit_code(str(LEAVES[FOLDER]), '--cfg-options', 'model.type=STPG')
    error = capsys.readouterr().err
    assert code == 2 and error.count('\n') == 1
    assert "set method='stpg'" in error and 'CrossTeacherTraining' in error


def test_a_kind_of_the_method_may_take_its_place(tmp_path):
    """A class of one's own that derives from the method of the config."""

    @MODELS.register_module(name='MyMeanTeacher', force=True)
    class MyMeanTeacher(MODELS.get('MeanTeacher')):
        pass

    text = 'model = dict(type="MyMeanTeacher")'
    try:
        path = config(tmp_path, LEAVES[camvid('mean_teacher')], text)
        assert Config.fromfile(path).model.type == 'MyMeanTeacher'
        with pytest.raises(ValueError, match='give the whole model, with _delete_=True'):
            Config.fromfile(config(tmp_path, LEAVES[camvid('ctt')], text))
    finally:
        MODELS.module_dict.pop('MyMeanTeacher')


def test_reading_is_that_of_mmengine():
    assert Config.fromfile is presets.read_config_file


def test_a_foreign_config_may_have_a_variable_of_that_name(tmp_path):
    (tmp_path / 'a.py').write_text("method = 'theirs'\n")
    assert Config.fromfile(tmp_path / 'a.py').method == 'theirs'


def test_a_config_that_does_not_import_the_package(tmp_path, load_tool):
    """It replaces the list of imports; the tools and the runner apply its method all the same."""
    text = "method = 'cps'\ncustom_imports = dict(_delete_=True, imports=['toy'])"
    cfg = load_tool('_common').module.read_config(str(config(tmp_path, LEAVES[FOLDER], text)))
    assert cfg.model.type == 'CrossPseudoSupervision' and cfg.method is None
