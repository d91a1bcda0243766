# Copyright (c) mmseg_ctt contributors.
"""Usual mistakes in a config: one line with the key, from train.py and from check_setup.py."""

import logging
import re
import warnings
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmseg.registry import MODELS, TRANSFORMS
from toy import toy_segmentor
from toy_data import evaluation_loader, toy_config, write_image, write_mask

from mmseg_ctt.engine import prepare_config

LABELED, UNLABELED = (
    f'train_dataloader.dataset.{name}.pipeline' for name in ('labeled', 'unlabeled')
)
VAL = 'val_dataloader.dataset'
NORMALIZE = dict(type='Normalize', mean=[1.0] * 3, std=[1.0] * 3)


def pipeline(cfg, key):
    for name in key.split('.'):
        cfg = cfg[name]
    return cfg


def without(key, step):
    def change(cfg):
        steps = pipeline(cfg, key)
        steps[:] = [node for node in steps if node['type'] != step]

    return change


def add(key, step):
    return lambda cfg: pipeline(cfg, key).insert(-1, step)


def everywhere(step, but=()):
    def change(cfg):
        for key in (LABELED, UNLABELED, f'{VAL}.pipeline', 'test_dataloader.dataset.pipeline'):
            if key not in but:
                add(key, dict(step))(cfg)
        for name in ('mean', 'std'):
            cfg.model.segmentor.data_preprocessor.pop(name)

    return change


def load_before_labels(cfg):
    steps = pipeline(cfg, LABELED)
    steps.insert(1, steps.pop(3))


def plain(cfg):
    """The supervised baseline."""
    cfg.model = cfg.model.segmentor
    cfg.model.data_preprocessor.size = (32, 32)
    cfg.default_hooks = dict(logger=cfg.default_hooks.logger)
    cfg.train_dataloader.batch_size = 2
    cfg.train_dataloader.sampler.ratio = (1, 0)


def both(*changes):
    def change(cfg):
        for make in changes:
            make(cfg)

    return change


def setting(key, value):
    """Set an entry; the parts on the way to it exist, or are made."""

    def change(cfg):
        *path, last = key.split('.')
        for name in path:
            cfg = cfg[int(name)] if name.isdigit() else cfg.setdefault(name, {})
        cfg[last] = value

    return change


def best(score):
    return dict(type='SafeCheckpointHook', interval=1, save_best=score)


HEAD = 'model.segmentor.decode_head'
CHECKPOINT = 'default_hooks.checkpoint'
SCHEDULE = [dict(type='PolyLR', by_epoch=False, end='abc')]
SIZE = 'model.segmentor.data_preprocessor'
CE = dict(type='CrossEntropyLoss', loss_name='ce')
# change of the config, row of check_setup.py, words of the message
MISTAKES = {
    'loss name': (setting(f'{HEAD}.loss_decode', CE), 'model', [f'{HEAD}.loss_decode.loss_name']),
    'grey images and the mean of colours': (
        setting('image_loading', dict(color_type='grayscale')),
        'settings',
        ["color_type='grayscale'", 'image_loading.color_type', f'{LABELED[:-9]}'],
    ),
    'best score of a member that is not there': (
        setting('default_hooks.checkpoint', best('teacher7/mIoU')),
        'model',
        ['default_hooks.checkpoint.save_best', 'teacher7/mIoU', 'student0/mIoU'],
    ),
    'a segmentor inside the baseline': (
        both(plain, setting('model.segmentor', dict(backbone=dict(init_cfg=None)))),
        'settings',
        ['model.segmentor: model.type', 'is the segmentor itself', 'set model.backbone'],
    ),
    'best score of a member of the baseline': (
        both(plain, setting('default_hooks.checkpoint', best('teacher0/mIoU'))),
        'model',
        ['default_hooks.checkpoint.save_best', 'aAcc, mAcc, mIoU'],
    ),
    'loss name of the baseline': (
        both(setting(f'{HEAD}.loss_decode', CE), plain),
        'model',
        ['model.decode_head.loss_decode.loss_name'],
    ),
    'size and divisor': (
        setting(
            SIZE, {**toy_segmentor()['data_preprocessor'], 'size': (32, 32), 'size_divisor': 8}
        ),
        'settings',
        ['size=(32, 32)', 'size_divisor=8'],
    ),
    'size below the crop': (
        setting(f'{SIZE}.size', (16, 32)),
        'settings',
        ['data_preprocessor.size=(16, 32)', '(32, 32)', LABELED],
    ),
    'size that is no pair': (setting(f'{SIZE}.size', 32), 'settings', ['data_preprocessor.size']),
    'negative crop': (
        setting(f'{LABELED}.4.crop_size', (-32, 32)),
        'settings',
        [f'crop_size of RandomCrop in {LABELED}', '(-32, 32)'],
    ),
    'outer preprocessor': (
        setting('model.data_preprocessor', dict(pad_val=7)),
        'settings',
        [
            'model.data_preprocessor.pad_val=7 is unused',
            'model.segmentor.data_preprocessor.pad_val',
        ],
    ),
    'mean without std': (setting(f'{SIZE}.std', None), 'settings', ['mean=', 'std=']),
    'fused and foreach': (
        setting('optim_wrapper.optimizer', dict(type='AdamW', fused=True, foreach=True)),
        'settings',
        ['fused=True and foreach=True'],
    ),
    'val_interval': (setting('train_cfg.val_interval', 0), 'settings', ['train_cfg.val_interval']),
    'schedule by epochs': (
        setting('param_scheduler', [dict(type='PolyLR', power=0.9)]),
        'settings',
        ['param_scheduler.0', 'by_epoch=False'],
    ),
    'custom key of no weight': (
        setting('optim_wrapper.paramwise_cfg', dict(custom_keys={'bckbone': dict(lr_mult=2)})),
        'model',
        ['custom_keys.bckbone', 'does nothing'],
    ),
    'factor of no weight decay': (
        setting('optim_wrapper.paramwise_cfg', dict(norm_decay_mult=0.0)),
        'settings',
        ['paramwise_cfg.norm_decay_mult', 'optim_wrapper.optimizer has no weight_decay'],
    ),
    'factor of no name': (
        setting('optim_wrapper.paramwise_cfg', dict(custom_keys={'backbone': dict(lr_mul=2)})),
        'model',
        ['custom_keys.backbone', 'lr_mul'],
    ),
    'normalised twice': (add(LABELED, NORMALIZE), 'settings', [LABELED, 'data_preprocessor']),
    'normalised in part': (
        both(everywhere(NORMALIZE, but=[UNLABELED]), plain),
        'settings',
        ['train_dataloader.dataset.labeled', UNLABELED, 'Normalize'],
    ),
    'normalised everywhere': (
        everywhere(NORMALIZE),
        'settings',
        [LABELED, 'Normalize', 'data_preprocessor', '0 to 255'],
    ),
    'scaled everywhere': (
        everywhere(dict(type='Rerange', max_value=1)),
        'settings',
        [LABELED, 'Rerange', '0 to 255'],
    ),
    'grey in part': (
        setting(f'{UNLABELED}.0.color_type', 'grayscale'),
        'settings',
        [UNLABELED, 'color_type', "'color'"],
    ),
    'no PackSegInputs': (
        without(UNLABELED, 'PackSegInputs'),
        'samples',
        [UNLABELED, 'PackSegInputs'],
    ),
    'no LoadImageFromFile': (
        without(UNLABELED, 'LoadImageFromFile'),
        'samples',
        [UNLABELED, 'LoadImageFromFile'],
    ),
    'no LoadAnnotations': (
        both(without(LABELED, 'LoadAnnotations'), without(LABELED, 'CheckSegMap')),
        'samples',
        [LABELED, 'LoadAnnotations'],
    ),
    'crop before labels': (
        both(without(LABELED, 'CheckSegMap'), load_before_labels),
        'samples',
        [LABELED, 'LoadAnnotations before'],
    ),
    'no LoadAnnotations in val': (
        without(f'{VAL}.pipeline', 'LoadAnnotations'),
        'samples',
        [f'{VAL}.pipeline', 'LoadAnnotations'],
    ),
    'no masks in val': (
        setting(f'{VAL}.data_prefix', dict(img_path='val')),
        'val',
        [VAL, 'seg_map_path'],
    ),
    'other zero label in val': (
        setting(f'{VAL}.reduce_zero_label', True),
        'samples',
        [f'{VAL}.reduce_zero_label=True'],
    ),
    'labels of another ignored id': (
        both(setting(f'{SIZE}.seg_pad_val', 254), setting(f'{HEAD}.ignore_index', 254)),
        'model',
        [f'{HEAD}.ignore_index=254', 'train_dataloader.dataset.ignore_index is 255'],
    ),
    'scores of another ignored id': (
        setting('val_evaluator.ignore_index', 254),
        'model',
        [
            'val_evaluator (IoUMetric).ignore_index=254',
            'train_dataloader.dataset.ignore_index is 255',
        ],
    ),
    'unknown setting of the checkpoint hook': (
        setting(CHECKPOINT, dict(type='SafeCheckpointHook', intervall=3)),
        'hooks',
        [CHECKPOINT, "unknown settings ['intervall']", 'interval'],
    ),
    "unknown setting of mmengine's checkpoint hook": (
        setting(f'{CHECKPOINT}.intervall', 3),
        'hooks',
        [CHECKPOINT, "unknown settings ['intervall']"],
    ),
    'unknown setting of a custom hook': (
        setting('custom_hooks', [dict(type='EMAHook', momentm=0.1)]),
        'hooks',
        ['custom_hooks.0', "['momentm']", 'momentum'],
    ),
    'best score without a rule': (
        setting(CHECKPOINT, best('mIuO')),
        'settings',
        ['default_hooks.checkpoint.save_best', 'mIuO'],
    ),
    'images of no name': (
        setting(f'{VAL}.data_prefix.img_pth', 'val'),
        'val',
        [f'{VAL}.data_prefix', "['img_pth']", 'img_path'],
    ),
    'masks of no name': (
        setting(f'{LABELED[:-9]}.data_prefix.seg_map_pth', 'ann'),
        'labeled',
        [f'{LABELED[:-9]}.data_prefix', "['seg_map_pth']"],
    ),
    'unknown setting of the metric': (
        setting('val_evaluator.iou_metric', ['mDice']),
        'settings',
        ['val_evaluator', "['iou_metric']", 'iou_metrics'],
    ),
    'unknown metric': (
        setting('val_evaluator.iou_metrics', ['mIoU', 'foo']),
        'settings',
        ['val_evaluator.iou_metrics', "'foo'", 'mDice'],
    ),
    'unknown metric as a text': (
        setting('test_evaluator', [dict(type='IoUMetric', iou_metrics='foo')]),
        'settings',
        ['test_evaluator.0.iou_metrics', "'foo'", 'mDice'],
    ),
    'limit of the gradients of no name': (
        setting('optim_wrapper.clip_grad', dict(max_nrm=1)),
        'settings',
        ['optim_wrapper.clip_grad', "['max_nrm']", 'max_norm'],
    ),
    'kind of limit of the gradients': (
        setting('optim_wrapper.clip_grad', dict(type='nrm', max_norm=1)),
        'settings',
        ['optim_wrapper.clip_grad.type', "'nrm'"],
    ),
    'no limit of the gradients': (
        setting('optim_wrapper.clip_grad', dict(norm_type=1)),
        'settings',
        ['optim_wrapper.clip_grad', "['max_norm']"],
    ),
    'unknown setting of the loader': (
        setting('train_dataloader.batchsize', 8),
        'batch',
        ['train_dataloader', "['batchsize']", 'batch_size'],
    ),
    'batch as a text': (
        setting('train_dataloader.batch_size', 'eight'),
        'batch',
        ['train_dataloader.batch_size', "'eight'"],
    ),
    'workers as a text': (
        setting('val_dataloader.num_workers', 'two'),
        'batch',
        ['val_dataloader.num_workers', "'two'"],
    ),
    'rate as a text': (
        setting('optim_wrapper.optimizer.lr', 'abc'),
        'settings',
        ['optim_wrapper.optimizer.lr', "'abc'"],
    ),
    'accumulation as a text': (
        setting('optim_wrapper.accumulative_counts', 'x'),
        'settings',
        ['optim_wrapper.accumulative_counts', "'x'"],
    ),
    'end of a schedule as a text': (
        setting('param_scheduler', SCHEDULE),
        'settings',
        ['param_scheduler.0.end', "'abc'"],
    ),
    'seed as a text': (setting('randomness.seed', 'abc'), 'settings', ['randomness.seed', "'abc'"]),
    'setting of a part as a text': (
        setting('model.consistency', dict(confidence_threshold='abc')),
        'model',
        ['model.consistency.confidence_threshold', "'abc'"],
    ),
    'setting of a hook as a text': (
        setting('default_hooks.teacher_ema.alpha', 'x'),
        'hooks',
        ['default_hooks.teacher_ema.alpha', "'x'"],
    ),
    'setting of a head as a text': (
        setting(f'{HEAD}.dropout_ratio', 'abc'),
        'model',
        [f'{HEAD}.dropout_ratio', "'abc'"],
    ),
    'level of the log': (setting('log_level', 'LOUD'), 'settings', ['log_level', "'LOUD'", 'INFO']),
    'unknown setting of the environment': (
        setting('env_cfg', dict(cudnn_benchmrk=True)),
        'settings',
        ['env_cfg', "['cudnn_benchmrk']", 'cudnn_benchmark'],
    ),
    'padding as a class': (setting(f'{SIZE}.seg_pad_val', 0), 'model', ['seg_pad_val=0', HEAD]),
}


@pytest.fixture
def root(root: Path) -> Path:
    for seed in (20, 21):  # validation images of their own
        write_image(root / 'val' / f'v{seed}.jpg', seed)
        write_mask(root / 'ann' / f'v{seed}.png', seed)
    return root


@pytest.fixture
def write(tmp_path, root):
    """A config file with one change."""

    def write(change) -> Path:
        tested = evaluation_loader(root)
        cfg = toy_config(root, tmp_path / 'work', val_dataloader=tested, test_dataloader=tested)
        change(cfg)
        cfg.dump(tmp_path / 'toy.py')
        return tmp_path / 'toy.py'

    return write


@pytest.fixture
def train(load_tool, monkeypatch):
    """Train; a step of the optimiser is a failure of the test."""
    monkeypatch.setattr(
        OptimWrapper, 'update_params', lambda *_, **__: pytest.fail('an iteration was done')
    )
    return lambda *arguments: load_tool('train').call(*arguments)


@pytest.fixture
def check(load_tool, capsys):
    """Row of check_setup.py and its whole text."""
    state = torch.get_rng_state()

    def check(config, row, *arguments):
        capsys.readouterr()  # of the training before
        with warnings.catch_warnings():
            code = load_tool('misc/check_setup').exit_code(config, *arguments)
        text, errors = capsys.readouterr()
        rows = [line for line in text.splitlines() if line[9:22].strip() == row]
        return code, rows[0] if code < 2 else errors.splitlines()[-1], text

    yield check
    logging.disable(logging.NOTSET)
    torch.set_rng_state(state)


@pytest.mark.parametrize('name', MISTAKES)
def test_mistake_is_one_line_before_the_first_step(name, write, train, check, load_tool):
    change, row, words = MISTAKES[name]
    config = write(change)
    with pytest.raises((ValueError, TypeError)) as error:
        train(config)
    message = load_tool('_common').module.one_line(error.value)
    assert all(word in message for word in words), message
    code, line, text = check(config, row)
    assert (code, line.split()[0]) in ((1, 'PROBLEM'), (2, 'error:')), text
    assert all(word in line for word in words), line


OPTIONS = {
    'modle.bank.size=4': 'nothing reads modle.bank.size.* did you mean model.bank.size?',
    'trian_dataloader.batch_size=3': 'did you mean train_dataloader.batch_size?',
}


@pytest.mark.parametrize('option', OPTIONS)
def test_option_that_changes_nothing(option, write, train, check):
    config = write(lambda cfg: None)
    with pytest.raises(ValueError, match=OPTIONS[option]):
        train(config, '--cfg-options', option)
    code, line, _ = check(config, 'settings', '--cfg-options', option)
    assert code == 2 and re.search(OPTIONS[option], line)


def test_ranks_of_no_job(write, load_tool, capsys):
    check = load_tool('misc/check_setup')
    assert check.exit_code(write(lambda cfg: None), '--gpus', 0) == 2
    assert 'argument --gpus: must be positive, got 0' in capsys.readouterr().err


def test_part_of_a_stage(write, train, check):
    words = 'the config has val_cfg and val_evaluator, and val_dataloader is None.*val_cfg=None'
    config = write(setting('val_dataloader', None))
    with pytest.raises(ValueError, match=words):
        train(config)
    code, line, _ = check(config, 'settings')
    assert code == 1 and re.search(words, line)


def test_option_without_a_value(write, load_tool, capsys):
    assert load_tool('train').exit_code(write(lambda cfg: None), '--cfg-options', 'foo') == 2
    assert "--cfg-options takes KEY=VALUE, got 'foo'" in capsys.readouterr().err


def test_a_baseline_may_be_normalised_everywhere(write, check):
    """The rule about one pipeline alone would not notice if it refused all."""
    code, _, text = check(write(both(everywhere(NORMALIZE), plain)), 'settings')
    assert code == 0, text


# ---- batch


class OneValue(torch.nn.BatchNorm2d):
    """Batch norm after pooling to a single pixel."""

    def forward(self, x):
        return x + super().forward(x.mean((2, 3), keepdim=True))


@pytest.fixture
def pooled(monkeypatch):
    import toy

    build = toy.ToyBackbone.__init__

    def with_pooling(self, width=8, **settings):
        build(self, width, **settings)
        self.norm = OneValue(width)

    monkeypatch.setattr(toy.ToyBackbone, '__init__', with_pooling)


@pytest.mark.parametrize('change, needed', [(lambda cfg: None, 4), (plain, 2)])
def test_batch_of_one_image_a_pass(change, needed, pooled, write, train, check):
    """check_setup.py takes the batch of the run; what the line says to set works."""
    config = write(change)
    options = ['--cfg-options', f'train_dataloader.batch_size={needed // 2}']
    words = f'train_dataloader.batch_size={needed // 2} is too small', 'sampler.ratio'
    with pytest.raises(ValueError) as error:
        train(config, *options)
    assert all(word in str(error.value) for word in words)
    assert f'Set train_dataloader.batch_size={needed},' in str(error.value)
    code, line, _ = check(config, 'step', '--step', *options)
    assert code == 1 and all(word in line for word in words)
    options[1] = f'train_dataloader.batch_size={needed}'
    code, line, _ = check(config, 'step', '--step', *options)
    assert code == 0 and f' {needed} images, loss ' in line


def test_other_channels_name_the_layer(write, train, check):
    config = write(setting(f'{HEAD}.in_channels', 16))
    with pytest.raises(ValueError, match=f'{HEAD}.convs.0.conv expects 16 channels and gets 8'):
        train(config)
    assert f'{HEAD}.convs.0.conv' in check(config, 'step', '--step')[1]


def test_baseline_without_size(write, train, check):
    config = write(both(plain, setting('model.data_preprocessor.size', None)))
    with pytest.raises(ValueError, match='data_preprocessor: .*size_divisor: set one of them'):
        train(config)
    code, line, _ = check(config, 'step', '--step')
    assert code == 1 and 'size_divisor: set one of them' in line


# ---- others


def test_amp_wrapper_on_a_cpu(write, train, check, monkeypatch):
    monkeypatch.setattr('mmseg_ctt.engine.precision.get_device', lambda: 'cpu')
    config = write(setting('optim_wrapper.type', 'AmpOptimWrapper'))
    with pytest.raises(ValueError, match='AmpOptimWrapper" needs a GPU'):
        train(config)
    code, line, _ = check(config, 'hooks')  # the job may run on another machine
    assert code == 0 and 'needs a GPU' in line


def test_foreach_replaces_our_fused(write, load_tool):
    change = setting('optim_wrapper.optimizer', dict(type='AdamW', lr=1e-3, foreach=True))
    load_tool('train').call(write(change))


def test_decay_of_no_weight_is_usual_in_mmseg(write, check):
    keys = dict(pos_block=dict(decay_mult=0.0), query_embed=dict(lr_mult=1.0, decay_mult=0.0))
    decay = setting('optim_wrapper.optimizer', dict(type='SGD', lr=0.1, weight_decay=0.01))
    config = write(both(decay, setting('optim_wrapper.paramwise_cfg', dict(custom_keys=keys))))
    code, _, text = check(config, 'model')
    assert code == 0, text


def test_save_best_of_no_score(write, train):
    hook = dict(type='SafeCheckpointHook', interval=1, save_best='miou')
    config = write(setting('default_hooks.checkpoint', hook))
    with pytest.raises(ValueError, match="save_best='miou' is no score.*aAcc, mAcc, mIoU"):
        train(config)


@pytest.mark.parametrize('best', ['mIoU', 'student1/mAcc', 'auto', ['aAcc', 'mIoU']])
def test_save_best_of_a_score(write, load_tool, best, tmp_path):
    hook = dict(type='SafeCheckpointHook', interval=1, save_best=best)
    load_tool('train').call(write(setting('default_hooks.checkpoint', hook)))
    assert list((tmp_path / 'work').glob('best_*.pth'))


def test_starting_weights_that_do_not_fit(write, train, check, tmp_path):
    torch.save({'net.a.weight': torch.zeros(3)}, tmp_path / 'a.pth')
    init = dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pth'))
    config = write(setting('model.segmentor.backbone.init_cfg', init))
    with pytest.raises(ValueError, match='model.segmentor.backbone.init_cfg: .*0 of 6 weights'):
        train(config)
    code, line, _ = check(config, 'checkpoints')
    assert code == 1 and 'model.segmentor.backbone.init_cfg' in line and '0 of 6' in line


def test_the_console_says_that_all_starting_weights_fit(write, load_tool, tmp_path, capfd):
    weights = MODELS.build(toy_segmentor()['backbone']).state_dict()
    torch.save(weights, tmp_path / 'a.pth')
    init = dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pth'))
    load_tool('train').call(write(setting('model.segmentor.backbone.init_cfg', init)))
    line = f'model.segmentor.backbone.init_cfg: {tmp_path / "a.pth"} has 6 of 6 weights'
    console = capfd.readouterr()
    assert (console.out + console.err).count(line) == 1


def test_starting_weights_are_counted(write, check, tmp_path):
    torch.save({'norm.weight': torch.zeros(8), 'norm.bias': torch.zeros(8)}, tmp_path / 'a.pth')
    init = dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pth'))
    code, line, text = check(
        write(setting('model.segmentor.backbone.init_cfg', init)), 'checkpoints'
    )
    assert code == 0 and 'backbone.init_cfg: 2 of 6 weights' in line
    assert '\n1 warning\n- model.segmentor.backbone.init_cfg: ' in text


def test_warnings_in_the_log_and_in_check_setup(write, load_tool, check, tmp_path):
    config = write(
        both(
            setting(f'{HEAD}.loss_decode', dict(type='CrossEntropyLoss')),
            setting(f'{SIZE}.mean', [0.485, 0.456, 0.406]),
            setting(f'{SIZE}.std', [0.229, 0.224, 0.225]),
            setting('optim_wrapper.optimizer.weight_decay', 0.1),
            setting(
                'optim_wrapper.paramwise_cfg', dict(custom_keys=dict(bckbone=dict(decay_mult=0.0)))
            ),
        )
    )
    load_tool('train').call(config)
    (log,) = (tmp_path / 'work').glob('*/*.log')
    lines = [line for line in log.read_text().splitlines() if 'WARNING' in line]
    _, _, text = check(config, 'model')
    assert '\n3 warnings\n' in text, text
    said = (
        'avg_non_ignore=True',
        'multiply mean and std by 255',
        'custom_keys.bckbone does nothing',
    )
    for words in said:
        assert len([line for line in lines if words in line]) == 1 and words in text


@pytest.mark.parametrize(
    'change, words',
    [
        (setting('train_cfg.max_iters', '40'), "train_cfg.max_iters='40' is text"),
        (setting('optim_wrapper.optimizer.lr', '1e-3'), "optim_wrapper.optimizer.lr='1e-3'"),
        (setting('model.segmentor.test_cfg', dict(mode='sliding')), 'test_cfg.mode must be one of'),
        (setting('model.segmentor.test_cfg', dict(mode='slide')), 'test_cfg.crop_size must be'),
        (
            setting(
                'model.segmentor.test_cfg', dict(mode='slide', crop_size=(8, 8), stride=(9, 8))
            ),
            r'stride=\(9, 8\) is larger than crop_size',
        ),
    ],
)
def test_settings_that_every_tool_refuses(write, change, words):
    with pytest.raises(ValueError, match=words):
        prepare_config(Config.fromfile(write(change)))


def test_two_classes_of_one_name(write, train):
    config = write(lambda cfg: None)
    config.write_text(config.read_text().replace("'class3'", "'class2'"))
    with pytest.raises(ValueError, match="names the class 'class2' twice"):
        train(config)


# ---- tools/_common.py


def test_refusals_of_the_packages_below_are_one_line(load_tool, capsys):
    common = load_tool('_common').module
    for registry, cfg, words in (
        (TRANSFORMS, dict(type='RandomCrop', crop_size=(-1, 1)), 'crop_size[0] > 0'),
        (MODELS, dict(type='ResNet', depth=19), 'invalid depth 19'),
    ):
        with pytest.raises(SystemExit) as exit, common.errors_in_one_line():
            registry.build(cfg)
        line = capsys.readouterr().err
        assert exit.value.code == 2
        assert line.startswith('error: ') and words in line and line.count('\n') == 1


@pytest.mark.parametrize('error', [AssertionError('a fault here'), KeyError('key'), IndexError()])
def test_faults_of_this_package_keep_their_traceback(load_tool, error):
    with pytest.raises(type(error)), load_tool('_common').module.errors_in_one_line():
        raise error
