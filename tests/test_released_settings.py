# Copyright (c) mmseg_ctt contributors.
"""Configs of Pascal VOC and Cityscapes have the settings of the released code, or say what differs.

``RELEASED`` is written from the code of each method, not from the configs. What differs on purpose
stands in ``DIFFERENT``: the words must be in the header of the config, and the method's line of the
table in docs/parity.md must be there.
"""

import re
from typing import Any, Dict, List, NamedTuple

import pytest
from leaves import CONFIGS, LEAVES, leaf, network, shrink
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmseg.registry import MODELS

from mmseg_ctt.engine import prepare_config
from mmseg_ctt.methods import registered_methods

VOC, CITY = 'voc_1-8', 'cityscapes_1-8'
PARITY = (CONFIGS.parent / 'docs' / 'parity.md').read_text()


class Released(NamedTuple):
    """Values of one config, by dotted key; a key of ``network`` is one of the segmentor."""

    name: str
    source: str
    values: Dict[str, Any]


WHOLE, MULTI_GRID = (1, 12, 24, 36), (4, 8, 16)  # 4 times the grid of 1, 2 and 4
CITY_MEAN = [73.15835921, 82.90891754, 72.39239876]  # blue, green, red
OWN_STATISTICS = {'default_hooks.teacher_ema.buffers': False}
NO_DECAY = {
    'optim_wrapper.paramwise_cfg.norm_decay_mult': 0.0,
    'optim_wrapper.paramwise_cfg.bias_decay_mult': 0.0,
}
LAST_STAGE = {'network.backbone.multi_grid': MULTI_GRID}
ALIGNED = {'network.decode_head.align_corners': True}


def rate(lr: float, decay: float, decoder: float = 1.0) -> Dict[str, Any]:
    key = 'optim_wrapper.paramwise_cfg.custom_keys.decode_head.lr_mult'
    return {
        'optim_wrapper.optimizer.lr': lr,
        'optim_wrapper.optimizer.weight_decay': decay,
        **({key: decoder} if decoder != 1 else {}),
    }


AEL = {
    'model.joint_forward': False,  # train.py: a pass for each of the four batches
    'model.strong_augmentation': [],
    # 0.01 and 1e-4; losses are divided by 8 GPUs twice, config.yaml and train.sh
    **rate(0.01 / 8, 1e-4 * 8, decoder=10.0),
    **{**OWN_STATISTICS, **LAST_STAGE, **ALIGNED},
}
U2PL = {
    'model.joint_forward': True,  # train_semi.py: student and teacher take both batches in one
    'model.bank.size': 30000,
    **{**OWN_STATISTICS, **LAST_STAGE, **ALIGNED},
}
STPG = {'model.joint_forward': False, **NO_DECAY, **OWN_STATISTICS, **ALIGNED}
CTT = {'model.joint_forward': False, **OWN_STATISTICS, **ALIGNED}
GUIDEDMIX = {
    'model.mode': 'released',
    **rate(0.01, 5e-4),
    'param_scheduler.0.eta_min': 1e-4,
    'network.decode_head.align_corners': False,
}
CREST = {'default_hooks.teacher_ema.alpha': 0.999, **OWN_STATISTICS}
CPS = {'model.joint_forward': False, **NO_DECAY, **ALIGNED}
RELEASED: List[Released] = [
    Released(
        f'ael/ael_deeplabv3plus_{VOC}.py',
        'hzhupku/SemiSeg-AEL: train.py, experiments/pascal_4',
        {
            **AEL,
            'model.consistency.confidence_threshold': 0.7,
            'model.copy_paste.number': 1,
            'model.cut_mix.object_area': 0.03,
            'model.cut_mix.class_area': 0.03,
            'network.decode_head.dilations': WHOLE,
        },
    ),
    Released(
        f'ael/ael_deeplabv3plus_{CITY}.py',
        'hzhupku/SemiSeg-AEL: train.py, experiments/cityscapes_2',
        {
            **AEL,
            'sizes.ratio_range': (0.5, 2.0),
            'model.consistency.confidence_threshold': 0.0,
            'model.class_confidence.start': 'random',
            'model.class_confidence.skip_absent': False,
        },
    ),
    Released(
        f'u2pl/u2pl_deeplabv3plus_{VOC}.py',
        'Haochen-Wang409/U2PL: train_semi.py, experiments/pascal/1464/ours',
        {
            **U2PL,
            **rate(0.001, 1e-4, decoder=10.0),
            'model.warmup': 1 / 80,
            'model.loss_weights.contrast': 1 / 4,  # 4 GPUs
            'network.decode_head.dilations': WHOLE,
        },
    ),
    Released(
        f'u2pl/u2pl_deeplabv3plus_{CITY}.py',
        'Haochen-Wang409/U2PL: train_semi.py, experiments/cityscapes/744/ours',
        {
            **U2PL,
            **rate(0.01, 5e-4),
            'sizes.ratio_range': (0.5, 2.0),
            'model.loss_weights.contrast': 1 / 8,  # 8 GPUs
        },
    ),
    Released(
        f'stpg/stpg_deeplabv3plus_{VOC}.py',
        'Amos1109/STPG: exp_voc/train_contra.py, config.py, feature_memory.py',
        {
            **STPG,
            **rate(0.005, 1e-4),
            # epoch > 10, counted from 0, of 9,259 images in batches of 10
            'default_hooks.queue_warmup.start_iter': 11 * 926,
            'default_hooks.queue_warmup.when_full': False,
            'default_hooks.anchor_assignment.stop_iter': 20 * 926,  # epoch < 20
        },
    ),
    Released(
        f'stpg/stpg_deeplabv3plus_{CITY}.py',
        'Amos1109/STPG: exp_city/train_contra.py, config.py',
        {
            **STPG,
            **rate(0.01, 1e-4),
            'sizes.ratio_range': (0.5, 2.0),
            'default_hooks.queue_warmup.start_iter': 11 * 1301,  # 2,603 images in batches of 2
            'default_hooks.queue_warmup.when_full': False,
        },
    ),
    Released(
        f'guidedmix/guidedmix_deeplabv3plus_{VOC}.py',
        'yh-pengtu/GuidedMix-Net: configs/3sseg/guidedmix_deeplabv3plus_res101_1323.py',
        {**GUIDEDMIX, 'network.decode_head.dilations': WHOLE},
    ),
    Released(
        f'guidedmix/guidedmix_deeplabv3plus_{CITY}.py',
        'yh-pengtu/GuidedMix-Net: configs/3sseg/..._res101_cityscapes_372_40k.py',
        {**GUIDEDMIX, 'model.ratio_limit': 0.4, 'sizes.ratio_range': (0.5, 2.0)},
    ),
    Released(f'crest/crest_deeplabv3plus_{VOC}.py', 'google-research/crest: fixmatch.py', CREST),
    Released(f'crest/crest_deeplabv2_{CITY}.py', 'google-research/crest: fixmatch.py', CREST),
    Released(
        f'ctt/ctt_deeplabv2_{CITY}.py',
        '1181110317/SSL_CTT: cross_teacher_contr.py, data/cityscapes_loader.py',
        {**CTT, **rate(2.5e-4, 5e-4, 10.0), 'network.data_preprocessor.mean': CITY_MEAN},
    ),
    Released(
        f'ctt/ctt_deeplabv2_{VOC}.py',
        '1181110317/SSL_CTT: cross_teacher_contr.py',
        {
            **CTT,
            **rate(2.5e-4, 5e-4, 10.0),
            'network.data_preprocessor.mean': [104.00698793, 116.66876762, 122.67891434],
        },
    ),
    Released(
        f'ctt/ctt_deeplabv3plus_{VOC}.py',
        '1181110317/SSL_CTT: cross_teacher_deeplabv3+.py, utils/init_func.py',
        {**CTT, **NO_DECAY, **rate(2.5e-4, 5e-4)},
    ),
    Released(
        f'classmix/classmix_deeplabv2_{CITY}.py',
        'WilhelmT/ClassMix: trainSSL.py',
        {
            'model.joint_forward': False,
            'network.data_preprocessor.mean': CITY_MEAN,
            **{**rate(2.5e-4, 5e-4, 10.0), **OWN_STATISTICS, **ALIGNED},
        },
    ),
    Released(
        f'cps/cps_deeplabv3plus_{VOC}.py',
        'charlesCXK/TorchSemiSeg: exp.voc/voc8.res50v3+.CPS+CutMix',
        {**CPS, **rate(0.005, 1e-4)},
    ),
    Released(
        f'cps/cps_deeplabv3plus_{CITY}.py',
        'charlesCXK/TorchSemiSeg: exp.city/city8.res50v3+.CPS+CutMix',
        {
            **CPS,
            **rate(0.04 * 2 / 16, 1e-4),
            'model.loss_weights.cps': 5.0,
            'sizes.ratio_range': (0.5, 2.0),
        },
    ),
    Released(
        f'mean_teacher/mean_teacher_deeplabv3plus_{VOC}.py',
        'charlesCXK/TorchSemiSeg: exp.voc/voc8.res50v3+.MeanTeacher',
        {**CPS, **rate(0.005, 1e-4), **OWN_STATISTICS},
    ),
    Released(
        f'fixmatch/fixmatch_deeplabv3plus_{CITY}.py',
        'LiheYoung/UniMatch: configs/cityscapes.yaml, dataset/transform.py',
        {
            **{**rate(0.005, 1e-4), **ALIGNED},
            'model.consistency.confidence_threshold': 0.0,
            'sizes.ratio_range': (0.5, 2.0),
        },
    ),
]
# what differs from the released code, in words of the header; by config
SIZE = r'instead of 51[23]'
DIFFERENT: Dict[str, List[str]] = {
    f'ael/ael_deeplabv3plus_{VOC}.py': ['eighth of the rate', 'release: to 2.0', SIZE],
    f'ael/ael_deeplabv3plus_{CITY}.py': ['eighth of the rate', 'dilations are halved', 'halved'],
    f'u2pl/u2pl_deeplabv3plus_{VOC}.py': ['release: to 2.0', SIZE, 'release: 4 and 4'],
    f'u2pl/u2pl_deeplabv3plus_{CITY}.py': ['dilations are halved', 'mines hard pixels'],
    f'stpg/stpg_deeplabv3plus_{VOC}.py': ['fills from the start', 'stride 8 .release: 16', SIZE],
    f'stpg/stpg_deeplabv3plus_{CITY}.py': ['fills from the start', 'stride 8 .release: 16'],
    f'guidedmix/guidedmix_deeplabv3plus_{VOC}.py': ['release: 40,000', '4 and 4', '75 %', SIZE],
    f'guidedmix/guidedmix_deeplabv3plus_{CITY}.py': ['40,000', 'dilations are halved', '75 %'],
    f'crest/crest_deeplabv3plus_{VOC}.py': ['without the labelled ones'],
    f'crest/crest_deeplabv2_{CITY}.py': ['without the labelled ones'],
    'crest/crest_deeplabv3plus_streets_1-8.py': ['without the labelled ones', '0.999, too slow'],
    f'ctt/ctt_deeplabv3plus_{VOC}.py': ['dilated by 2, 4 and 8'],
    f'cps/cps_deeplabv3plus_{VOC}.py': ['dilated by 2, 4 and 8', 'to 2.0'],
}


def value_of(name: str, key: str) -> Any:
    """A value of a config; None where it has no such key."""
    root, _, rest = key.partition('.')
    cfg = leaf(name)
    node = network(cfg) if root == 'network' else cfg.get(root)
    for part in rest.split('.'):
        if isinstance(node, (list, tuple)):
            node = node[int(part)]
        else:
            node = None if node is None else node.get(part)
    return node


def header(name: str) -> str:
    """The comment at the top of a config, as one line."""
    text = re.match(r'(#.*\n)+', LEAVES[name].read_text())[0]
    return re.sub(r'\n# ?', ' ', text)


@pytest.mark.parametrize('released', RELEASED, ids=[released.name for released in RELEASED])
def test_settings_are_those_of_the_released_code(released):
    found = {key: value_of(released.name, key) for key in released.values}
    wanted = {
        key: pytest.approx(value) if isinstance(value, float) else value
        for key, value in released.values.items()
    }
    assert found == wanted, released.source


@pytest.mark.parametrize('name', DIFFERENT)
def test_what_differs_is_in_the_header(name):
    for words in DIFFERENT[name]:
        assert re.search(words, header(name)), words


def test_every_method_with_a_release_is_in_the_table():
    names = {released.name.split('/')[0] for released in RELEASED}
    lines = re.findall(r'^\| \[(\w+)\]\(\.\./configs/\w+/README\.md\) \|', PARITY, re.MULTILINE)
    assert names <= set(lines)


@pytest.mark.parametrize('source', ['labeled', 'unlabeled'])
@pytest.mark.parametrize('data', [VOC, CITY])
def test_guidedmix_distorts_colours_of_both(data, source):
    cfg = leaf(f'guidedmix/guidedmix_deeplabv3plus_{data}.py')
    steps = [step.type for step in cfg.train_dataloader.dataset[source].pipeline]
    usual = leaf(f'cps/cps_deeplabv3plus_{data}.py').train_dataloader.dataset[source].pipeline
    assert steps == [*(step.type for step in usual[:-1]), 'PhotoMetricDistortion', 'PackSegInputs']


SCALED = sorted(name for name in LEAVES if value_of(name, 'sizes.ratio_range'))


def test_all_deeplabv3plus_configs_of_cityscapes_resize():
    assert SCALED == sorted(name for name in LEAVES if f'deeplabv3plus_{CITY}' in name)


@pytest.mark.parametrize('name', SCALED)
def test_images_are_resized_at_random(name):
    cfg = prepare_config(leaf(name).copy())
    dataset = cfg.train_dataloader.dataset
    for source in [dataset.labeled, *([dataset.unlabeled] if dataset.get('unlabeled') else [])]:
        (step,) = [step for step in source.pipeline if step.type == 'RandomResize']
        assert (step.scale, step.ratio_range) == ((1024, 512), (0.5, 2.0))


@pytest.mark.parametrize('name', [released.name for released in RELEASED])
def test_rates_and_decays_of_the_optimiser(name):
    """What the settings mean for the weights: decay of norms and biases, rate of the decoder."""
    cfg = leaf(name).copy()
    shrink(cfg._cfg_dict['model'])
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    of = {id(weight): group for group in groups for weight in group['params']}
    student, optimizer = model.students[0], cfg.optim_wrapper.optimizer
    params = cfg.optim_wrapper.get('paramwise_cfg', {})
    decoder = params.get('custom_keys', {}).get('decode_head', {}).get('lr_mult', 1)
    assert {of[id(weight)]['lr'] for weight in student.backbone.parameters()} == {optimizer.lr}
    head = of[id(student.decode_head.conv_seg.weight)]
    assert head['lr'] == pytest.approx(optimizer.lr * decoder)
    assert head['weight_decay'] == optimizer.weight_decay
    norms = [module for module in student.backbone.modules() if hasattr(module, 'running_mean')]
    decay = 0 if params.get('norm_decay_mult') == 0 else optimizer.weight_decay
    assert {of[id(norm.weight)]['weight_decay'] for norm in norms} == {decay}


# ---- defaults of the classes


def test_defaults_are_safe_for_a_short_run():
    """Each was wrong once: the numbers are in docs/notebook.md."""
    methods = registered_methods()
    assert next(iter(methods['GuidedMixNet'].modes)) == 'released'
    for kind, method in methods.items():
        part = method.consistency_class
        assert 'teacher_mode' not in vars(method) and 'joint_forward' not in vars(method), kind
        if kind == 'AEL':
            assert part(num_classes=3).confidence_threshold == 0.7


def test_teachers_take_labelled_and_unlabelled_images_apart():
    """In one pass they cost 3.2 points on CamVid's test images (docs/results.md, `ctt_joint`)."""
    joint = {name for name in LEAVES if value_of(name, 'model.joint_forward') is True}
    as_released = {name for name in joint if name.startswith('u2pl/')}
    measured = {'ctt_plus/ctt-plus_deeplabv3plus_streets_1-8.py'}  # the quickstart and its figures
    assert joint == as_released | measured
