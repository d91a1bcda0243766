# Copyright (c) mmseg_ctt contributors.
"""Every ablation of the paper changes exactly what its name says, and trains a step."""

import copy
import functools
import inspect
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.runner import load_checkpoint
from mmseg.registry import HOOKS, MODELS
from test_configs import shrink
from toy import fill_banks, losses_of, total_of, toy_batch

from mmseg_ctt.engine import QueueWarmupHook, TeacherEMAHook
from mmseg_ctt.methods.base import SemiSegmentor
from mmseg_ctt.methods.ctt.contrast import CrossContrast
from mmseg_ctt.methods.ctt.segmentor import WEIGHTS, CrossTeacherTraining
from mmseg_ctt.nn.memory_bank import ClassMemoryBank

FOLDER = Path(__file__).resolve().parents[1] / 'configs' / 'ctt' / 'ablations'
PREFIX = 'ctt_cityscapes_1-8_'
ROWS = sorted(path.stem[len(PREFIX) :] for path in FOLDER.glob('*.py'))
TABLES = [  # rows of the paper's tables 4 to 9
    *(f'modules-{terms}' for terms in ('none', 'ct', 'hc', 'lc', 'hc-lc', 'ct-hc', 'ct-lc')),
    *(f'teaching-{name}' for name in ('self', 'mutual', 'ensemble', 'self-training', 'dual')),
    *(f'pairs-{n}' for n in (1, 2, 3)),
    *(f'bank-{size}' for size in (0, 64, 128, 256, 512, 1024)),
    *(f'threshold-{value}' for value in ('0', '0.75', '0.85', '0.95', '1')),
    'directional-on',
    'directional-off',
]
ALL, CONTRAST = '../ctt_deeplabv2_cityscapes_1-8', f'{PREFIX}modules-hc-lc'
PARENTS = dict(
    modules=ALL,
    teaching=ALL,
    pairs=f'{PREFIX}modules-ct',
    bank=CONTRAST,
    threshold=CONTRAST,
    directional=CONTRAST,
)
SAME = {
    'modules-none': '../../supervised/supervised_deeplabv2_cityscapes_1-8',
    'pairs-1': f'{PREFIX}teaching-self',
    'pairs-2': f'{PREFIX}modules-ct',
    'bank-128': CONTRAST,
    'threshold-0.75': CONTRAST,
    'directional-on': CONTRAST,
}
LABELS, IMAGES = 372, 2  # labelled images in all and in a batch
NO_EMA = dict(custom_hooks=[dict(type='QueueWarmupHook')])
TEACHING = {
    'self': {'model.num_pairs': 1},
    'mutual': NO_EMA,
    'ensemble': {'model.share_view': False, 'model.test_cfg.predict_on': 'ensemble'},
    'dual': {
        'model.confident': 0.0,
        'model.share_view': False,
        'model.strong_view.mix': None,
        'model.loss_weights.ct': 2,
    },
    'self-training': {
        'model.teaching': 'self',
        'model.num_pairs': 1,
        'model.confident': 0.0,
        'model.teacher_mode': 'eval',
        'model.strong_view.mix': None,
        'model.test_cfg.predict_on': 'student0',
        'load_from': 'work_dirs/self_training_teacher.pth',
        **NO_EMA,
    },
}


def path_of(row):
    return FOLDER / f'{PREFIX}{row}.py'


@functools.lru_cache(maxsize=None)
def parsed(path):
    return Config.fromfile(path)


def flat(node, prefix=''):
    """Dotted keys and their values; a list is one value."""
    if not isinstance(node, dict) or not node:
        return {prefix[:-1]: node}
    return {
        key: value
        for name, child in node.items()
        for key, value in flat(child, f'{prefix}{name}.').items()
    }


def off(*terms):
    return {f'model.loss_weights.{term}': 0 for term in terms}


def announced(row):
    """Settings that a name promises to change, against the parent of its table."""
    table, _, value = row.partition('-')
    if row in SAME:
        return {}
    if table == 'modules':
        return off(*({'ct', 'hc', 'lc'} - set(value.split('-'))))
    if table == 'teaching':
        return {'model.teaching': value, **off('hc', 'lc'), **TEACHING[value]}
    if row == 'bank-0':
        return off('hc', 'lc')
    if table == 'bank':
        budget = int(2 * int(value) / LABELS)  # rule of the released code, unless the batch is more
        return {
            'model.bank.size': int(value),
            **({'model.bank.budget': budget} if budget > IMAGES else {}),
        }
    if table == 'threshold':
        return {'model.contrast.threshold': float(value)}
    return {
        'pairs-3': {'model.num_pairs': 3},
        'directional-off': {'model.contrast.directional': False},
    }[row]


def test_every_row_of_the_tables_is_there():
    assert ROWS == sorted(TABLES)


@pytest.mark.parametrize('row', ROWS)
def test_changes_what_its_name_says(row):
    parent = SAME.get(row) or PARENTS[row.split('-')[0]]
    got, base = (
        flat(parsed((FOLDER / f'{name}.py').resolve())._cfg_dict.to_dict())
        for name in (f'{PREFIX}{row}', parent)
    )
    assert set(base) <= set(got)
    assert {
        key: value for key, value in got.items() if key not in base or base[key] != value
    } == announced(row)
    if parent.startswith(PREFIX) and row in SAME:
        assert f'same run as {parent[len(PREFIX) :]}.' in header(row)


def header(row):
    """The comment at the top, as one line."""
    return re.match(r'(#.*\n)+', path_of(row).read_text())[0].replace('\n# ', ' ')


@pytest.mark.parametrize('row', ROWS)
def test_header_and_table_say_the_same(row):
    text = header(row)
    published = re.search(r'published \(CTT, table \d\): ([\d.]+)|no figure published', text)
    assert published, 'the published figure, or that there is none'
    assert 'mIoU of this implementation: not measured.' in text
    assert f'tools/train.py configs/ctt/ablations/{path_of(row).name}' in text
    line = re.search(
        rf'^\| \[{re.escape(row)}\]\({re.escape(path_of(row).name)}\) \|.*$',
        (FOLDER / 'README.md').read_text(),
        re.MULTILINE,
    )
    assert line and line[0].endswith('| not measured |')
    assert re.search(rf'\| {published[1] or "-"}\b', line[0])


@pytest.mark.parametrize(
    'kind,defaults',
    [
        (
            CrossTeacherTraining,
            dict(confident=0.968, share_view=True, class_thresholds=None, ramp=0.0),
        ),
        (
            CrossContrast,
            dict(
                threshold=0.75,
                temperature_high=0.1,
                temperature_low=0.5,
                confidence='teacher',
                directional=True,
                peer_threshold=None,
                bank_threshold=0.0,
            ),
        ),
        (ClassMemoryBank, dict(size=128, budget=None, ranking='confidence')),
        (
            SemiSegmentor,
            dict(num_pairs=2, teaching='cross', teacher_mode='eval', joint_forward=True),
        ),
        (TeacherEMAHook, dict(alpha=0.99, buffers=True)),
        (QueueWarmupHook, dict(start_iter=None)),
    ],
)
def test_defaults_of_the_choices(kind, defaults):
    """Those of the table in docs/parity.md."""
    given = inspect.signature(kind.__init__).parameters
    assert {name: given[name].default for name in defaults} == defaults
    assert WEIGHTS == dict(sup=1, ct=1, hc=0.1, lc=0.1)


@pytest.mark.parametrize(
    'parent,decoder',
    [('deeplabv2_cityscapes', 10), ('deeplabv2_voc', 10), ('deeplabv3plus_voc', 1)],
)
def test_schedule_of_the_paper(parent, decoder):
    cfg = copy.deepcopy(parsed(FOLDER.parent / f'ctt_{parent}_1-8.py'))
    assert cfg.train_cfg.max_iters == 80000
    for part in ('labeled', 'unlabeled'):
        steps = {step.type: step for step in cfg.train_dataloader.dataset[part].pipeline}
        assert steps['RandomFlip'].prob == 0.5
    shrink(cfg._cfg_dict['model'])
    model = MODELS.build(cfg.model)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    rates = {id(p): group['lr'] for group in groups for p in group['params']}
    for student in model.students:
        assert {rates[id(p)] for p in student.backbone.parameters()} == {2.5e-4}
        assert {rates[id(p)] for p in student.decode_head.parameters()} == {2.5e-4 * decoder}


# ---- one step


def small_model(row):
    """The model as its config builds it, on narrow networks, and its config."""
    cfg = copy.deepcopy(parsed(path_of(row)))
    shrink(cfg._cfg_dict['model'])
    if 'segmentor' in cfg.model:
        cfg.model.confident = 0.0  # a random teacher is sure of nothing
    torch.manual_seed(0)
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    model.init_weights()
    return model.train(), cfg


def take_step(model, cfg):
    """One optimiser step with the hook that moves the teachers, if there is one."""
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    hooks = [HOOKS.build(hook) for hook in cfg.get('custom_hooks', [])]
    for hook in hooks:
        if type(hook).__name__ == 'TeacherEMAHook':
            hook.before_train(SimpleNamespace(model=model, optim_wrapper=wrapper))
    losses = losses_of(model, toy_batch(2, 2 if 'segmentor' in cfg.model else 0))
    wrapper.update_params(total_of(losses, model))
    return losses


def weights_of(module):
    return [parameter.detach().clone() for parameter in module.parameters()]


def moved(module, before):
    return any(not torch.equal(a, b) for a, b in zip(before, module.parameters()))


def test_supervised_row_trains():
    model, cfg = small_model('modules-none')
    before = weights_of(model)
    losses = take_step(model, cfg)
    assert losses['decode.loss_ce'] > 0 and moved(model, before)


@pytest.mark.parametrize('row', [row for row in ROWS if row not in SAME])
def test_trains_with_the_terms_it_names(row):
    model, cfg = small_model(row)
    if model.contrast is not None:
        fill_banks(model)
    students, teachers = [weights_of(one) for one in model.students], weights_of(model.teachers)
    losses = take_step(model, cfg)
    assert all(torch.isfinite(value) for value in losses.values())
    assert all(map(moved, model.students, students))
    frozen = row in ('teaching-mutual', 'teaching-self-training')
    assert moved(model.teachers, teachers) != frozen
    weights = {**WEIGHTS, **cfg.model.get('loss_weights', {})}
    for term in ('ct', 'hc', 'lc'):
        value = sum(loss for key, loss in losses.items() if key.endswith(f'loss_{term}'))
        on = weights[term] > 0 and (row, term) != ('threshold-0', 'lc')
        assert (value > 0) == on, term


@pytest.mark.parametrize('row', [row for row in ROWS if row != 'modules-none'])
def test_model_is_what_the_name_says(row):
    model, cfg = small_model(row)
    table, _, value = row.partition('-')
    pairs = int(value) if table == 'pairs' else 1 if value.startswith('self') else 2
    assert len(model.students) == pairs
    assert len(model.teachers) == (0 if value == 'mutual' else pairs)
    if row == 'bank-0':
        assert model.contrast is None
    elif table == 'bank':
        assert model.contrast.bank.size == int(value)
    elif table == 'threshold':
        assert model.contrast.threshold == float(value)
    elif table == 'directional':
        assert model.contrast.directional == (value == 'on')
    elif value == 'dual':  # the sum over its teachers
        assert model.weights['ct'] == len(model.graph[0]) == 2
    elif value == 'ensemble':
        assert model.predicting_members() == list(model.teachers)


def test_self_training_takes_a_supervised_teacher(tmp_path):
    """The checkpoint that the README makes changes the teacher alone, and a step does not."""
    supervised, _ = small_model('modules-none')
    with torch.no_grad():
        for parameter in supervised.parameters():
            parameter.add_(1)
    path = tmp_path / 'teacher.pth'
    torch.save(
        dict(
            state_dict={
                f'teachers.0.{key}': value for key, value in supervised.state_dict().items()
            }
        ),
        path,
    )
    model, cfg = small_model('teaching-self-training')
    before = weights_of(model.students)
    load_checkpoint(model, str(path), map_location='cpu', strict=False)
    assert not moved(model.students, before)
    for _ in range(2):
        assert not moved(model.teachers, weights_of(supervised))
        take_step(model, cfg)
