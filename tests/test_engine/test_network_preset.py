# Copyright (c) mmseg_ctt contributors.
"""Networks of mmseg's configs take the place of the network of a config, in one line."""

import copy
import uuid
from pathlib import Path
from typing import Any, Dict

import pytest
from leaves import CONFIGS, LEAVES, dicts, write_layout
from mmengine.config import Config
from mmengine.runner import Runner

from mmseg_ctt.engine import merge_options, method_preset, network_preset, prepare_config

FOLDER = LEAVES['ctt_plus/ctt-plus_deeplabv3plus_mobilenetv2_folder.py']
BASELINE = LEAVES['supervised/supervised_deeplabv3plus_mobilenetv2_folder.py']
MOBILENET = CONFIGS / '_base_/models/deeplabv3plus_mobilenetv2.py'  # that of both
SEGFORMER = 'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py'


def widths(*channels: int) -> dict:
    return dict(num_modules=1, num_channels=channels, num_blocks=(1,) * len(channels))


# configs of mmseg, and changes with which they are small enough for a test
NETWORKS: Dict[str, Dict[str, Any]] = {
    SEGFORMER: {
        'backbone': dict(embed_dims=4, num_layers=[1, 1, 1, 1], num_heads=[1, 1, 1, 1]),
        'decode_head': dict(in_channels=[4, 4, 4, 4], channels=8),
    },
    'mmseg::swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512.py': {
        'backbone': dict(embed_dims=4, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1]),
        'decode_head': dict(in_channels=[4, 8, 16, 32], channels=8),
        'auxiliary_head': dict(in_channels=16, channels=8),
    },
    'mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py': {
        'backbone': dict(depth=18, base_channels=8, stem_channels=8),
        'decode_head': dict(in_channels=64, channels=8),
        'auxiliary_head': dict(in_channels=32, channels=8),
    },
    'mmseg::ocrnet/ocrnet_hr18s_4xb2-40k_cityscapes-512x1024.py': {
        'backbone.extra': dict(
            stage1=dict(num_channels=(4,), num_blocks=(1,)),
            stage2=widths(4, 4),
            stage3=widths(4, 4, 4),
            stage4=widths(4, 4, 4, 4),
        ),
        'decode_head.0': dict(in_channels=[4, 4, 4, 4], channels=16),
        'decode_head.1': dict(in_channels=[4, 4, 4, 4], channels=8, ocr_channels=4),
    },
    'mmseg::bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py': {
        'backbone': dict(
            detail_channels=(4, 4, 8),
            semantic_channels=(4, 4, 4, 8),
            semantic_expansion_ratio=1,
            bga_channels=8,
        ),
        'decode_head': dict(in_channels=8, channels=8),
        **{f'auxiliary_head.{i}': dict(in_channels=(4, 4, 4, 8)[i], channels=8) for i in range(4)},
    },
    'mmseg::segmenter/segmenter_vit-t_mask_8xb1-160k_ade20k-512x512.py': {
        'backbone': dict(embed_dims=8, num_layers=1, num_heads=1, img_size=(64, 64)),
        'decode_head': dict(in_channels=8, channels=8, embed_dims=8, num_heads=1, num_layers=1),
    },
}
NO_EMBEDDING = 'segmenter'
RUNS = [
    pytest.param(
        name, method, id=f'{name.split("/")[1].split("_8xb")[0].split("_4xb")[0]}, {method}'
    )
    for name in NETWORKS
    for method in (['mean-teacher'] if NO_EMBEDDING in name else ['ctt-plus'])
]


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A user's config of a few lines, by the lines that are its own."""
    write_layout('FolderSegDataset', tmp_path / 'data', 'splits/mine')
    monkeypatch.setenv('FOLDER_ROOT', str(tmp_path / 'data'))

    def write(text: str, base: Path = FOLDER, name: str = 'mine.py') -> Path:
        path = tmp_path / name
        path.write_text(f'_base_ = [{str(base)!r}]\n{text}\n')
        return path

    return write


def small(cfg: Config, source: str, tmp_path: Path) -> Config:
    """The config with a narrow network that is not downloaded."""
    prefix = 'model.segmentor' if 'segmentor' in cfg.model else 'model'
    changes = {
        f'{prefix}.{part}.{key}': value
        for part, settings in NETWORKS[source].items()
        for key, value in settings.items()
    }
    cfg.merge_from_dict(changes)
    for node in dicts(cfg._cfg_dict):
        node.pop('init_cfg', None)
        node.pop('pretrained', None)
        if 'num_workers' in node:
            node.update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.batch_size = 4
    cfg.work_dir, cfg.experiment_name = str(tmp_path / 'work'), uuid.uuid4().hex
    cfg.default_hooks.checkpoint = None
    cfg.visualizer.update(vis_backends=[], name=cfg.experiment_name)
    return cfg


THREE_LINES = """segmentor_from = {source!r}
method = {method!r}
sizes = dict(num_classes=3, crop_size=(64, 64), scale=(96, 80), max_iters=2)
"""


@pytest.mark.parametrize('source, method', RUNS)
def test_two_iterations(source, method, mine, tmp_path):
    cfg = Config.fromfile(mine(THREE_LINES.format(source=source, method=method)))
    runner = Runner.from_cfg(small(cfg, source, tmp_path))
    assert runner.model.num_classes == 3
    metrics = {}
    validate = runner.val_loop.run
    runner.val_loop.run = lambda: metrics.update(validate())
    runner.train()
    assert runner.iter == 2 and {'mIoU', 'ensemble/mIoU'} < set(metrics)


@pytest.mark.parametrize('base', [FOLDER, BASELINE], ids=['method', 'baseline'])
def test_what_comes_along_and_what_stays(base, mine):
    text = f'segmentor_from = {SEGFORMER!r}\nsizes = dict(num_classes=5, crop_size=(64, 96))'
    cfg = prepare_config(Config.fromfile(mine(text, base)))
    network = cfg.model.get('segmentor', cfg.model)
    donor = method_preset.read_file(network_preset._read(SEGFORMER, '').filename)
    assert network.backbone == donor.model.backbone
    assert network.backbone.init_cfg.type == 'Pretrained'
    assert network.decode_head == dict(donor.model.decode_head, num_classes=5)
    assert network.data_preprocessor == dict(donor.model.data_preprocessor, size=(64, 96))
    assert cfg.optim_wrapper.constructor == 'StudentOptimWrapperConstructor'
    assert cfg.optim_wrapper.optimizer == donor.optim_wrapper.optimizer
    assert cfg.optim_wrapper.paramwise_cfg == donor.optim_wrapper.paramwise_cfg
    assert cfg.train_cfg.type == 'ResumableTrainLoop' and cfg.segmentor_from is None
    assert cfg.train_dataloader.dataset.labeled.type == 'FolderSegDataset'
    assert cfg.param_scheduler[0].type == 'PolyLR' and len(cfg.param_scheduler) == 1


def test_classes_and_crops_of_the_config_stay(mine):
    cfg = prepare_config(Config.fromfile(mine(f'segmentor_from = {SEGFORMER!r}')))
    network = cfg.model.segmentor
    assert network.decode_head.num_classes == 2
    assert network.data_preprocessor['size'] == (192, 256)


def test_settings_beside_it_stay(mine):
    text = f"""segmentor_from = {SEGFORMER!r}
model = dict(segmentor=dict(backbone=dict(drop_path_rate=0.2)), channels_last=True)
optim_wrapper = dict(optimizer=dict(lr=1e-3))"""
    above = mine('model = dict(segmentor=dict(decode_head=dict(channels=64)))', mine(text), 'b.py')
    cfg = prepare_config(Config.fromfile(above))
    assert cfg.model.segmentor.backbone.drop_path_rate == 0.2
    assert cfg.model.segmentor.backbone.type == 'MixVisionTransformer'
    assert cfg.model.segmentor.decode_head.channels == 64
    assert cfg.optim_wrapper.optimizer.lr == 1e-3 and cfg.optim_wrapper.optimizer.type == 'AdamW'
    assert cfg.model.channels_last is True and cfg.model.ramp_up == 0.4
    plain = prepare_config(Config.fromfile(mine(f'segmentor_from = {SEGFORMER!r}')))
    assert 'channels_last' not in plain.model, 'chosen for the other network'


def test_from_the_command_line(load_tool):
    options = {
        'segmentor_from': SEGFORMER,
        'method': 'stpg',
        'sizes.num_classes': 3,
        'model.segmentor.decode_head.channels': 32,
    }
    cfg = load_tool('_common').module.read_config(str(FOLDER), options)
    assert cfg.model.type == 'STPG'
    assert cfg.model.segmentor.decode_head.type == 'SegformerHead'
    assert cfg.model.segmentor.decode_head.channels == 32
    assert cfg.model.segmentor.decode_head.num_classes == 3


def test_as_the_tools_of_mmseg_read_it(mine):
    cfg = method_preset.read_file(mine(f'segmentor_from = {SEGFORMER!r}\nmethod = "cps"'))
    cfg.merge_from_dict({'sizes.num_classes': 4})
    prepare_config(cfg)
    assert cfg.model.type == 'CrossPseudoSupervision'
    assert cfg.model.segmentor.decode_head.num_classes == 4
    assert cfg.model.segmentor.decode_head.type == 'SegformerHead'


def test_a_config_of_ones_own(mine, tmp_path):
    """Also one of this package, of which the network is taken."""
    other = mine('', LEAVES['ctt/ctt_deeplabv3plus_voc_1-8.py'], 'other.py')
    cfg = prepare_config(Config.fromfile(mine(f'segmentor_from = {other.name!r}')))
    assert cfg.model.segmentor.backbone.depth == 101 and cfg.model.ramp_up == 0.4
    assert cfg.optim_wrapper.optimizer.type == 'SGD'


@pytest.mark.parametrize('own', ["'mmseg_ctt'", "['mmseg_ctt']"])
@pytest.mark.parametrize('theirs', ["'json'", "['json', 'mmseg_ctt']"])
def test_modules_of_both_configs_are_imported(own, theirs, mine):
    """A single module may stand as a string, as mmengine takes it."""
    change = 'custom_imports = dict(_delete_=True, imports={})'
    other = mine(change.format(theirs), LEAVES['ctt/ctt_deeplabv3plus_voc_1-8.py'], 'other.py')
    cfg = Config.fromfile(mine(f'{change.format(own)}\nsegmentor_from = {other.name!r}'))
    assert cfg.custom_imports.imports == ['mmseg_ctt', 'json']


def test_the_optimiser_is_said(mine, monkeypatch):
    lines = []
    monkeypatch.setattr(network_preset, 'print_log', lambda text, **_: lines.append(text))
    Config.fromfile(mine(f'segmentor_from = {SEGFORMER!r}'))
    (line,) = lines
    assert 'AdamW with lr=6e-05' in line and "'head': {'lr_mult': 10.0}" in line
    assert '16 labelled images' in line


@pytest.mark.parametrize('rate', [None, 2e-4])
def test_a_network_without_an_optimiser(mine, monkeypatch, rate):
    """The rate of the config stays, which was chosen for another network."""
    lines = []
    monkeypatch.setattr(network_preset, 'print_log', lambda text, **_: lines.append(text))
    source = str(CONFIGS / '_base_/models/deeplabv3plus_r101-d8.py')
    beside = '' if rate is None else f'\noptim_wrapper = dict(optimizer=dict(lr={rate}))'
    cfg = Config.fromfile(mine(f'segmentor_from = {source!r}{beside}'))
    if rate is None:
        (line,) = lines
        assert 'has no optimiser' in line and f'lr={cfg.optim_wrapper.optimizer.lr} stays' in line
    else:
        assert cfg.optim_wrapper.optimizer.lr == rate and not lines


def test_the_rate_of_the_same_network(mine, monkeypatch):
    lines = []
    monkeypatch.setattr(network_preset, 'print_log', lambda text, **_: lines.append(text))
    Config.fromfile(mine(f'segmentor_from = {str(MOBILENET)!r}'))
    assert not lines


RATE = 2e-4


@pytest.mark.parametrize(
    'options, warns',
    [
        ({}, True),
        ({'optim_wrapper.optimizer.weight_decay': 0.1}, True),
        ({'optim_wrapper.optimizer.lr': RATE}, False),
        ({'optim_wrapper.optimizer': dict(lr=RATE)}, False),
        ({'optim_wrapper': dict(optimizer=dict(lr=RATE))}, False),
    ],
)
def test_a_network_without_an_optimiser_on_the_command_line(mine, monkeypatch, options, warns):
    """Its other settings are merged after it, and change the network as they do without it."""
    lines = []
    cfg = Config.fromfile(mine(''))
    monkeypatch.setattr(network_preset, 'print_log', lambda text, **_: lines.append(text))
    source = str(CONFIGS / '_base_/models/deeplabv3plus_r101-d8.py')
    alone = copy.deepcopy(cfg)
    merge_options(alone, dict(segmentor_from=source))
    lines.clear()
    merge_options(cfg, dict(options, segmentor_from=source))
    assert [('has no optimiser' in line) for line in lines] == [True] * warns
    assert cfg.optim_wrapper.optimizer.lr == (alone.optim_wrapper.optimizer.lr if warns else RATE)
    alone.merge_from_dict(options)
    assert cfg.to_dict() == alone.to_dict()


MASK2FORMER = 'mmseg::mask2former/mask2former_r50_8xb2-160k_ade20k-512x512.py'
WRONG = {
    MASK2FORMER: (ValueError, 'Mask2FormerHead predicts masks'),
    'mmseg::segformer/segformer_mit-b9_8xb2-160k_ade20k-512x512.py': (
        FileNotFoundError,
        'near are mmseg::segformer/segformer_mit-b',
    ),
    'absent.py': (FileNotFoundError, "segmentor_from='absent.py' does not exist"),
    'nopackage::a.py': (ValueError, 'nopackage'),
    str(CONFIGS / '_base_/datasets/camvid.py'): (ValueError, 'has no `model`'),
}


@pytest.mark.parametrize('source', WRONG)
def test_mistakes(source, mine):
    error, message = WRONG[source]
    with pytest.raises(error, match=message) as raised:
        Config.fromfile(mine(f'segmentor_from = {source!r}'))
    assert '\n' not in str(raised.value)


def test_a_segmentor_without_an_embedding_in_a_method_that_reads_one(mine, tmp_path):
    source = 'mmseg::segmenter/segmenter_vit-t_mask_8xb1-160k_ade20k-512x512.py'
    cfg = Config.fromfile(mine(THREE_LINES.format(source=source, method='ctt')))
    with pytest.raises(ValueError, match='a method without contrast'):
        Runner.from_cfg(small(cfg, source, tmp_path))


def test_two_bases_that_both_have_a_model(mine, load_tool, capsys):
    path = mine('')
    path.write_text(f"_base_ = ['{FOLDER}', '{SEGFORMER}']\n")
    assert load_tool('train').exit_code(str(path)) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and 'model' in error and "segmentor_from='mmseg::...'" in error
