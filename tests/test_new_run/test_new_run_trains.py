# Copyright (c) mmseg_ctt contributors.
"""Folders of many kinds: the configs that are written pass check_setup.py and train."""

from pathlib import Path

import pytest
from leaves import dicts, network
from mmengine.config import Config
from mmengine.runner import Runner
from toy_folders import KINDS
from toy_run import small_segmentor

from mmseg_ctt.deploy.api.inputs import image_pipeline
from mmseg_ctt.engine import prepare_config
from mmseg_ctt.lab.new_run import NewRun, new_run

# what each kind must say, beside training
SAYS = dict(
    plain_ids='sky',
    no_meta='meta.json: written',
    palette_images='indices are class ids',
    colour_masks='colour_masks_ids: 6 masks of class ids written',
    binary='255 is taken as the object',
    endings='(*_gt.png)',
    val_folder='2 for validation',
    unlabeled_folder='3 unlabelled',
    tags='does not learn from tags',
    single='no score is measured',
    deep='become 0 to 255',
    grey='1 channels',
    five_bands='5 bands',
)


def trained(config: Path) -> Runner:
    """Two iterations of a config, with a small network and without workers."""
    cfg = prepare_config(Config.fromfile(config))
    segmentor = network(cfg)
    if 'Band' not in segmentor.backbone.type:  # a small one in the place of MobileNetV2
        small = small_segmentor()
        small['decode_head']['num_classes'] = segmentor.decode_head.num_classes
        segmentor.backbone, segmentor.decode_head = small['backbone'], small['decode_head']
    for node in list(dicts(cfg._cfg_dict)):
        node.pop('init_cfg', None)
        if 'num_workers' in node:
            node.update(num_workers=0, persistent_workers=False)
    cfg.train_cfg.max_iters = 2
    if cfg.get('val_dataloader'):
        cfg.train_cfg.val_interval = 2
    cfg.param_scheduler[0].end = 2
    cfg.default_hooks.pop('visualization')
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


@pytest.mark.parametrize('kind', KINDS)
def test_folder(kind: str, tmp_path: Path, monkeypatch, load_tool, capsys):
    KINDS[kind](tmp_path / 'my data')
    before = {path: path.read_bytes() for path in tmp_path.rglob('*.*') if path.is_file()}
    (tmp_path / 'elsewhere').mkdir()
    monkeypatch.chdir(tmp_path / 'elsewhere')
    monkeypatch.delenv('FOLDER_ROOT', raising=False)
    run = new_run(tmp_path / 'my data')
    assert isinstance(run, NewRun) and set(run.configs) == {'ctt-plus', 'supervised'}
    assert SAYS[kind] in str(run)
    for path in run.configs.values():
        lines = [line for line in path.read_text().splitlines() if not line.startswith('#')]
        assert len(lines) <= 15
    config = run.configs['ctt-plus']
    check = load_tool('misc/check_setup')
    assert check.exit_code(config) == 0, capsys.readouterr().out
    runner = trained(config)
    bare = len(runner.train_dataloader.dataset.sources['unlabeled'])
    assert runner.iter == 2 and bare == (8 if kind == 'single' else 3)
    assert (kind == 'single') == (runner.val_loop is None)
    pipeline = image_pipeline(prepare_config(Config.fromfile(config)))  # it predicts without scores
    assert [step['type'] for step in pipeline][1:] == ['Resize', 'PackSegInputs']
    assert all(path.read_bytes() == content for path, content in before.items())
    assert not list((tmp_path / 'elsewhere').iterdir())


def test_baseline_trains_as_many_labelled_images(tmp_path: Path):
    KINDS['plain_ids'](tmp_path)
    runner = trained(new_run(tmp_path).configs['supervised'])
    assert type(runner.model).__name__ == 'EncoderDecoder'
    assert runner.train_dataloader.batch_sampler.batch_size == 4
