# Copyright (c) mmseg_ctt contributors.
"""Bad input, each with the one line of its error. More in test_tools/test_train_cli.py."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmseg.registry import MODELS
from PIL import Image
from toy import toy_segmentor
from toy_data import LABELED, SPLIT, toy_config, toy_ctt, write_lists
from versions import SAFE_GLOBALS

from mmseg_ctt.methods.ctt.segmentor import CrossTeacherTraining

DATA = 'train_dataloader.dataset'
LABELED_STEPS, UNLABELED_STEPS = f'{DATA}.labeled.pipeline', f'{DATA}.unlabeled.pipeline'
OPTIM = 'optim_wrapper'


class Code:
    """Pickled as a call of any function."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def config(tmp_path: Path, root: Path) -> Path:
    hooks = dict(
        checkpoint=dict(type='SafeCheckpointHook', interval=2), guards=dict(type='GuardHook')
    )
    cfg = toy_config(root, tmp_path / 'work', default_hooks=hooks)
    cfg.dump(tmp_path / 'toy.py')
    return tmp_path / 'toy.py'


@pytest.fixture
def call(load_tool, capsys):
    """Exit code of a script and its error, or its output."""

    def call(script: str, *arguments: object) -> tuple:
        code = load_tool(script).exit_code(*arguments)
        printed = capsys.readouterr()
        assert 'Traceback' not in printed.err
        lines = [line for line in printed.err.splitlines() if line.startswith('error: ')]
        assert len(lines) == (code != 0), printed.err
        return code, lines[-1] if lines else printed.out

    return call


def refused(answer: tuple, words: list, limit: int = 900) -> None:
    code, line = answer
    assert code == 2 and all(word in line for word in words), line
    assert len(line) < limit, line


# ---- lists, images and masks


def in_list(name, *lines, encoding='utf-8'):
    def write(root):
        (root / SPLIT / f'{name}.txt').write_bytes('\n'.join(lines).encode(encoding))

    return write


def list_is_a_folder(root):
    (root / SPLIT / 'labeled.txt').unlink()
    (root / SPLIT / 'labeled.txt').mkdir()


def same_list_twice(root):
    write_lists(root / SPLIT, LABELED, LABELED)


def two_of_one_stem(root):
    shutil.copy(root / 'img' / 'l0.jpg', root / 'img' / 'l0.png')


def no_folder(root):
    shutil.rmtree(root / 'img')


def image(stem, data):
    return lambda root: (root / 'img' / f'{stem}.jpg').write_bytes(data)


def folder_instead_of(name):
    def make(root):
        (root / name).unlink()
        (root / name).mkdir()

    return make


def half_of(name):
    def cut(root):
        data = (root / name).read_bytes()
        (root / name).write_bytes(data[: len(data) // 2])

    return cut


def mask(stem, array):
    return lambda root: Image.fromarray(array).save(root / 'ann' / f'{stem}.png')


def floats_in_mask(root):
    Image.fromarray(np.ones((32, 48), np.float32)).save(root / 'ann' / 'l1.png', format='TIFF')


FILES = {  # what is done to the data, words of the line
    'images with their masks': (
        in_list('labeled', 'img/l0.jpg ann/l0.png'),
        ['labeled', 'img/l0.jpg ann/l0.png', 'make_split.py import'],
    ),
    'a table': (in_list('labeled', 'image,mask', 'l0.jpg,l0.png'), ['labeled', 'image,mask']),
    'a list of another data set': (in_list('unlabeled', 'aachen_000000'), ['aachen_000000']),
    'a list in UTF-16': (in_list('labeled', *LABELED, encoding='utf-16'), ['labeled.txt']),
    'a binary file as list': (
        lambda root: (root / SPLIT / 'labeled.txt').write_bytes(bytes(range(256))),
        ['labeled.txt'],
    ),
    'a folder as list': (list_is_a_folder, ['labeled.txt']),
    'one list twice': (
        same_list_twice,
        [f'3 images are in both {DATA}.labeled and {DATA}.unlabeled'],
    ),
    'two images of one stem': (two_of_one_stem, ['l0.jpg', 'l0.png']),
    'no image folder': (no_folder, ['/img does not exist']),
    'an empty image': (image('l0', b''), ['img/l0.jpg', 'cannot be read']),
    'a text as image': (image('l0', b'<html>404 not found</html>'), ['img/l0.jpg']),
    'a folder as image': (folder_instead_of('img/l1.jpg'), ['l1']),
    'a folder as mask': (folder_instead_of('ann/l1.png'), ['ann/l1.png']),
    'an empty mask': (
        lambda root: (root / 'ann' / 'l1.png').write_bytes(b''),
        ['ann/l1.png', 'cannot be read'],
    ),
    'half a mask': (half_of('ann/l2.png'), ['ann/l2.png', 'cannot be read']),
    'a colour mask': (
        mask('l0', np.zeros((32, 48, 3), np.uint8)),
        ['ann/l0.png', 'single-channel'],
    ),
    'a mask of floats': (floats_in_mask, ['ann/l1.png', 'float32']),
    'a mask of grey values': (
        mask('l0', np.arange(1536, dtype=np.uint8).reshape(32, 48) // 8 * 8),
        ['ann/l0.png', '0..3', 'and '],
    ),
    'a mask turned by 90 degrees': (
        mask('l1', np.zeros((48, 32), np.uint8)),
        ['ann/l1.png', '48 high and 32 wide'],
    ),
}


@pytest.fixture
def no_iteration(monkeypatch):
    monkeypatch.setattr(
        CrossTeacherTraining, 'loss', lambda *_: pytest.fail('an iteration has begun')
    )


@pytest.mark.parametrize('name', FILES)
def test_files(name, root, config, call, no_iteration):
    spoil, words = FILES[name]
    spoil(root)
    refused(call('train', config), words)


# ---- settings

SETTINGS = {  # options of train.py, words of the line
    'unknown model': (['model.type=CrossTeacherTrainin'], ['CrossTeacherTrainin']),
    'unknown member': (['model.test_cfg.predict_on=teacher7'], ['predict_on', 'teacher7']),
    'unknown backbone': (['model.segmentor.backbone.type=ResNeXd'], ['ResNeXd']),
    'unknown transform': ([f'{LABELED_STEPS}.0.type=LoadImage'], ['LoadImage']),
    'unknown data set': ([f'{DATA}.labeled.type=VOC'], ['VOC']),
    'unknown hook': (['default_hooks.teacher_ema.type=EMA'], ['EMA']),
    'no EMA': (
        ['default_hooks.teacher_ema=None'],
        ['updates the teachers', 'add default_hooks.teacher_ema=dict(type="TeacherEMAHook")'],
    ),
    'no warm-up': (['default_hooks.queue_warmup=None'], ['switches the contrast on']),
    'unknown optimiser': ([f'{OPTIM}.optimizer.type=SDG'], ['SDG']),
    'unknown loop': (['train_cfg.type=Loop'], ['Loop']),
    'unknown argument of the model': (['model.temperature=1'], ['temperature']),
    'unknown argument of the optimiser': ([f'{OPTIM}.optimizer.rate=1'], ['rate']),
    'unknown loss weight': (['model.loss_weights.cts=1'], ['cts', 'model.loss_weights']),
    'unknown supervision graph': (
        ['model.supervision=both'],
        ['model.supervision', 'both', 'cross'],
    ),
    'setting of version 0.1': (['model.teaching=cross'], ['version 0.1', 'model.supervision']),
    'hook setting of version 0.1': (
        ['default_hooks.guards.confident=9'],
        ['version 0.1', 'default_hooks.guards.confident_iters'],
    ),
    'one pair in cross supervision': (['model.num_pairs=1'], ['num_pairs >= 2', 'got 1']),
    'unknown teacher mode': (['model.teacher_mode=test'], ['model.teacher_mode', 'test']),
    'unknown confidence': (['model.contrast.confidence=peer'], ['model.contrast.confidence']),
    'empty bank': (['model.bank.size=0'], ['model.bank.size', 'got 0']),
    'budget above the bank': (['model.bank.budget=9'], ['bank.budget', 'model.bank.size', 'got 9']),
    'unknown ranking': (['model.bank.ranking=best'], ['bank.ranking', 'best']),
    'ratio of three': (['train_dataloader.sampler.ratio=(1,1,1)'], ['sampler.ratio', '(1, 1, 1)']),
    'ratio of nothing': (['train_dataloader.sampler.ratio=(0,0)'], ['sampler.ratio', '(0, 0)']),
    'no labelled image drawn': (
        ['train_dataloader.sampler.ratio=(0,1)'],
        ['no labeled image', 'sampler.ratio'],
    ),
    'no unlabelled image drawn': (
        ['train_dataloader.sampler.ratio=(1,0)'],
        ['no unlabeled image', 'sampler.ratio'],
    ),
    'another sampler': (
        ['train_dataloader.sampler.type=InfiniteSampler'],
        ['InfiniteSampler', 'ratio'] if sys.version_info >= (3, 10) else ['ratio'],
    ),
    'batch of nothing': (['train_dataloader.batch_size=0'], ['batch_size']),
    'negative workers': (['train_dataloader.num_workers=-1'], ['num_workers']),
    'labels of unlabelled images': (
        [f'{UNLABELED_STEPS}.0.type=LoadAnnotations'],
        ['unlabeled.pipeline', 'LoadAnnotations'],
    ),
    'crops of two sizes': (
        [f'{UNLABELED_STEPS}.2.crop_size=(16,16)'],
        ['(16, 16)', '(32, 32)', 'data_preprocessor.size'],
    ),
    'no class names': ([f'{DATA}.labeled.metainfo=None'], ['class names', 'meta.json']),
    'classes of the data': (
        ['model.segmentor.decode_head.num_classes=7'],
        ['num_classes=7', '4 classes'],
    ),
    'no iteration': (['train_cfg.max_iters=0'], ['max_iters']),
    'EMA out of range': (
        ['default_hooks.teacher_ema.alpha=99'],
        ['default_hooks.teacher_ema.alpha', '99'],
    ),
    'statistics that nothing updates': (
        ['default_hooks.teacher_ema.buffers=False', 'model.teacher_mode=eval'],
        ['default_hooks.teacher_ema.buffers', 'teacher_mode'],
    ),
    'warm-up without an interval': (
        ['default_hooks.queue_warmup.interval=0'],
        ['default_hooks.queue_warmup.interval'],
    ),
    'optimiser of an unknown part': (
        [f'{OPTIM}.part_optimizers.critic.type=Adam'],
        [f'{OPTIM}.part_optimizers', "['critic']", 'known are []'],
    ),
    'teachers in the optimiser': (
        [f'{OPTIM}.constructor=DefaultOptimWrapperConstructor'],
        ['StudentOptimWrapperConstructor'],
    ),
    'no list of the validation': (
        ['val_dataloader.dataset.ann_file=splits/no.txt'],
        ['splits/no.txt'],
    ),
}


@pytest.mark.parametrize('name', SETTINGS)
def test_settings(name, config, call, no_iteration):
    options, words = SETTINGS[name]
    refused(call('train', config, '--cfg-options', *options), words)


CONFIGS = {
    'bad syntax': ('model = dict(type=', ['toy.py']),
    'missing base': ("_base_ = ['absent.py']", ['absent.py']),
    'no model': ('work_dir = "w"', ['model']),
    'missing import': ("custom_imports = dict(imports=['no_such_module'])", ['no_such_module']),
}


@pytest.mark.parametrize('name', CONFIGS)
def test_configs(name, config, call):
    text, words = CONFIGS[name]
    config.write_text(text)
    refused(call('train', config), words, limit=5000)  # mmengine shows the module search path


def test_amp_and_launchers_where_they_cannot_work(config, call, monkeypatch):
    monkeypatch.setattr('mmengine.device.get_device', lambda: 'cpu')
    monkeypatch.setattr('mmseg_ctt.engine.precision.get_device', lambda: 'cpu')
    for words in ([config, '--amp'], ['--amp', config], [config, '--amp', 'fp16']):
        refused(call('train', *words), ['mixed precision (amp) in float16 needs a GPU', 'bf16'])
    refused(call('train', config, '--launcher', 'pytorch'), ['RANK'])
    refused(call('train', config, '--launcher', 'slurm'), ['srun'])


# ---- checkpoints


def weights_of(cfg: dict) -> dict:
    with DefaultScope.overwrite_default_scope('mmseg'):
        return MODELS.build(cfg).state_dict()


def truncated(path):
    torch.save(dict(state_dict=weights_of(toy_ctt())), path)
    os.truncate(path, path.stat().st_size // 2)


def another_model(path):
    state = {f'net.{key}': value for key, value in weights_of(toy_segmentor()).items()}
    torch.save(dict(state_dict=state), path)


def other_classes(path):
    torch.save(
        dict(state_dict=weights_of({**toy_ctt(), 'segmentor': toy_segmentor(num_classes=7)})), path
    )


def code(path):
    torch.save(dict(state_dict=weights_of(toy_ctt()), meta=Code(path.parent / 'ran')), path)


CHECKPOINTS = {  # how it is made, words of the line
    'no such file': (lambda path: None, ['a.pth', 'does not exist']),
    'empty': (lambda path: path.write_bytes(b''), ['a.pth', 'truncated']),
    'truncated': (truncated, ['a.pth', 'truncated']),
    'text': (lambda path: path.write_text('<html>404 not found</html>'), ['checkpoint']),
    'foreign code': (code, ['holds code']),
    'another model': (another_model, ['a.pth', 'of another model']),
    'a number': (lambda path: torch.save(3, path), ['a.pth']),
}


def marked(names):
    """Kinds of checkpoints; an older PyTorch runs the code of one."""
    code = pytest.param('foreign code', marks=SAFE_GLOBALS)
    return [code if name == 'foreign code' else name for name in names]


def no_trace(path):
    assert not (path.parent / 'ran').exists(), 'the code in the checkpoint has run'


@pytest.mark.parametrize('name', marked([*CHECKPOINTS, 'other classes']))
def test_checkpoints_of_test(name, config, call, tmp_path):
    make, words = {
        **CHECKPOINTS,
        'other classes': (
            other_classes,
            ['of another model', '(7, 8, 1, 1) there and (4, 8, 1, 1) here'],
        ),
    }[name]
    make(tmp_path / 'a.pth')
    refused(call('test', config, tmp_path / 'a.pth'), words)
    no_trace(tmp_path / 'a.pth')


@pytest.mark.parametrize('name', marked(CHECKPOINTS))
@pytest.mark.parametrize('way', ['start', 'resume'])
def test_checkpoints_of_train(name, way, config, call, tmp_path, no_iteration):
    make, words = CHECKPOINTS[name]
    make(tmp_path / 'a.pth')
    if way == 'start':
        answer = call('train', config, '--cfg-options', f'load_from={tmp_path / "a.pth"}')
    else:
        answer = call('train', config, '--resume', tmp_path / 'a.pth')
        words = ['weights only'] if name == 'another model' else words
    refused(answer, words)
    no_trace(tmp_path / 'a.pth')


@pytest.mark.parametrize('name', marked(['foreign code', 'truncated', 'text', 'no such file']))
def test_checkpoints_of_export(name, config, call, tmp_path):
    make, words = CHECKPOINTS[name]
    make(tmp_path / 'a.pth')
    words = {
        'truncated': ['a.pth', 'damaged'],
        'text': ['a.pth'],
        'foreign code': ['a.pth', 'holds code'],
    }.get(name, words)
    export = 'model_converters/export_segmentor'
    refused(call(export, config, tmp_path / 'a.pth', tmp_path / 'out'), words)
    no_trace(tmp_path / 'a.pth')


@pytest.fixture
def saved(config, tmp_path) -> Path:
    cfg = Config.fromfile(config)
    Runner.from_cfg(cfg).train()
    return tmp_path / 'work' / 'iter_2.pth'


RESUMED = {  # options that make another model of it, words of the line
    'another bank': (
        ['model.bank.size=3'],
        ['features is (2, 4, 2, 8) there and (2, 4, 3, 8) here'],
    ),
    'another number of pairs': (['model.num_pairs=3'], ['students.2', 'absent there']),
    'another head': (['model.segmentor.decode_head.channels=6'], ['of another model']),
}


@pytest.mark.parametrize('name', RESUMED)
def test_resume_as_another_model(name, saved, config, call):
    options, words = RESUMED[name]
    refused(call('train', config, '--resume', saved, '--cfg-options', *options), words)


def test_a_fitting_checkpoint_is_accepted(saved, config, call, tmp_path, monkeypatch):
    """The tests above would pass if every checkpoint were refused."""
    assert call('test', config, saved)[0] == 0
    longer = ['--cfg-options', 'train_cfg.max_iters=3', 'experiment_name=longer']
    assert call('train', config, '--resume', saved, *longer)[0] == 0
    bank = ['--cfg-options', 'model.bank.size=3', 'experiment_name=bank']
    assert call('test', config, saved, *bank)[0] == 0  # a prediction reads no bank
    start = [
        '--work-dir',
        tmp_path / 'start',
        '--cfg-options',
        f'load_from={saved}',
        'experiment_name=start',
        'model.bank.size=3',
    ]
    assert call('train', config, *start)[0] == 0


def test_good_input_trains(config, call):
    assert call('train', config)[0] == 0
