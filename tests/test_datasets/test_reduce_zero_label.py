# Copyright (c) mmseg_ctt contributors.
"""Masks in which 0 is no class, as those of ADE20K: all is as with masks that count from 0."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmseg.registry import DATASETS
from PIL import Image
from toy_data import (
    CLASSES,
    LABELED,
    UNLABELED,
    evaluation_loader,
    toy_config,
    toy_method,
    toy_semi,
    write_image,
    write_mask,
    write_toy_data,
)

from mmseg_ctt.datasets.pseudo_labeled import PseudoLabelDataset

TRUTH = dict(data_prefix=dict(seg_map_path='truth'))
HOOK = dict(type='PseudoLabelHook', truth=TRUTH, interval=1, num_images=3, pictures=1)


@pytest.fixture
def roots(tmp_path):
    """Two folders of the same data: masks that count from 0, and from 1."""
    found = {}
    for name in ('from0', 'from1'):
        root = found[name] = write_toy_data(tmp_path / name)
        for seed, stem in enumerate(UNLABELED, 50):
            write_mask(root / 'truth' / f'{stem}.png', seed)
        for seed in (20, 21):  # validation images of their own
            write_image(root / 'val' / f'v{seed}.jpg', seed)
            write_mask(root / 'ann' / f'v{seed}.png', seed)
        (root / 'meta.json').write_text(json.dumps(dict(classes=CLASSES)))
    for path in [*found['from1'].glob('ann/*.png'), *found['from1'].glob('truth/*.png')]:
        ids = np.array(Image.open(path))
        Image.fromarray(np.where(ids == 255, 0, ids + 1).astype(np.uint8)).save(path)
    return found


def config(root, work_dir, **changes):
    """A run with validation and the hook that reads the truth."""
    cfg = toy_config(
        root,
        work_dir,
        model=toy_method('FixMatchSeg'),
        val_dataloader=evaluation_loader(root),
        test_dataloader=None,
        test_cfg=None,
        test_evaluator=None,
        train_cfg=dict(type='ResumableTrainLoop', max_iters=2, val_interval=2),
        default_hooks=dict(pseudo_labels=HOOK),
        **changes,
    )
    if root.name == 'from1':
        for source in ('labeled', 'unlabeled'):
            cfg.train_dataloader.dataset[source].reduce_zero_label = True
        cfg.val_dataloader.dataset.reduce_zero_label = True
    return cfg


def results(cfg):
    """Losses, scores of validation and of pseudo-labels, and weights of a run."""
    runner = Runner.from_cfg(cfg)
    scores, validate = {}, runner.val_loop.run
    runner.val_loop.run = lambda: scores.update(validate()) or scores
    runner.train()
    logged = runner.message_hub.log_scalars
    scores.update(
        {key: log.data[0].tolist() for key, log in logged.items() if 'loss' in key or '/' in key}
    )
    timed = {key: value for key, value in scores.items() if 'time' not in key}
    return timed, {key: value for key, value in runner.model.state_dict().items()}


def test_a_run_is_the_same(roots, tmp_path):
    """Losses, batches, validation, and accuracy of the pseudo-labels, bit by bit."""
    (scores, weights), (others, other_weights) = (
        results(config(root, tmp_path / 'work' / name)) for name, root in roots.items()
    )
    assert {'mIoU', 'pseudo/mIoU', 'pseudo/acc', 'train/loss'} <= scores.keys() == others.keys()
    for key, value in scores.items():
        np.testing.assert_array_equal(value, others[key], err_msg=key)
    assert all(torch.equal(value, other_weights[key]) for key, value in weights.items())


def test_wrong_without_it(roots, tmp_path):
    cfg = config(roots['from1'], tmp_path / 'work')
    cfg.train_dataloader.dataset.labeled.reduce_zero_label = False
    with pytest.raises(ValueError, match='reduce_zero_label'):
        Runner.from_cfg(cfg).train()


def test_truth_needs_it_too(roots, tmp_path):
    """The unlabelled source says how its masks are read, though only the hook reads them."""
    cfg = config(roots['from1'], tmp_path / 'work')
    cfg.train_dataloader.dataset.unlabeled.reduce_zero_label = False
    with pytest.raises(ValueError, match='truth/.*png holds ids outside 0..3'):
        Runner.from_cfg(cfg).train()


@pytest.mark.parametrize('command', ['make', 'masks'])
def test_lists_and_their_counts(roots, tmp_path, load_tool, command):
    """Classes of each image, and the cover of all classes."""
    tool, manifests = load_tool('dataset_converters/make_split'), []
    for name, root in roots.items():
        for stem in UNLABELED if command == 'make' else ():
            (root / 'truth' / f'{stem}.png').rename(root / 'ann' / f'{stem}.png')
        options = ['--meta', root / 'meta.json', '--out', tmp_path / name]
        options += ['--reduce-zero-label'] * (name == 'from1')
        if command == 'make':
            options += ['--num', 2, '--seed', 0]
        else:
            options += ['--val', 1, '--img-dir', root / 'img']
        assert tool.exit_code(command, '--ann-dir', root / 'ann', *options) == 0
        (path,) = (tmp_path / name).rglob('manifest.json')
        manifests.append(json.loads(path.read_text()))
    assert manifests[0]['class_images'] == manifests[1]['class_images']
    assert manifests[0] == manifests[1]


@pytest.mark.parametrize('source', ['config', 'folder'])
def test_statistics(roots, tmp_path, load_tool, source):
    tool, found = load_tool('analysis_tools/label_statistics'), []
    for name, root in roots.items():
        config(root, tmp_path / 'work').dump(tmp_path / f'{name}.py')
        options = ['--json', tmp_path / f'{name}.json']
        if source == 'folder':
            options += ['--reduce-zero-label'] * (name == 'from1')
        given = tmp_path / f'{name}.py' if source == 'config' else root / 'ann'
        assert tool.exit_code(given, *options) == 0
        found.append(json.loads((tmp_path / f'{name}.json').read_text()))
    assert found[0] == found[1] and found[0]['ignored'] > 0


def test_statistics_of_a_config_take_no_flag(roots, tmp_path, load_tool, capsys):
    tool = load_tool('analysis_tools/label_statistics')
    config(roots['from1'], tmp_path / 'work').dump(tmp_path / 'c.py')
    assert tool.exit_code(tmp_path / 'c.py', '--reduce-zero-label') == 2
    assert '--reduce-zero-label is for a folder' in capsys.readouterr().err


def test_set_up_is_checked(roots, tmp_path, load_tool, capsys):
    config(roots['from1'], tmp_path / 'work').dump(tmp_path / 'c.py')
    load_tool('misc/check_setup').exit_code(tmp_path / 'c.py', '--all')
    rows = {line.split()[1]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert rows['masks'].startswith('ok') and 'every class in each set' in rows['masks']
    assert rows['samples'].startswith('ok')


def test_pseudo_labels_have_the_ids_of_the_model(roots, tmp_path):
    """Masks of a self-training are not shifted, those beside them are."""
    manifest, root = tmp_path / 'p' / 'manifest.json', roots['from1']
    manifest.parent.mkdir()
    Image.fromarray(np.full((32, 48), 3, np.uint8)).save(manifest.parent / 'u0.png')
    image = str(root / 'img' / 'u0.jpg')
    manifest.write_text(json.dumps(dict(selected=[dict(image=image, mask='u0.png')])))
    data = dict(toy_semi(root), type='SelfTrainingDataset', pseudo=str(manifest.parent))
    cfg = Config(dict(data=data)).data
    cfg.labeled.reduce_zero_label = True
    cfg.labeled.pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
    labeled = DATASETS.build(cfg).sources['labeled']
    assert len(labeled) == len(LABELED) + 1
    plain = np.array(Image.open(roots['from0'] / 'ann' / f'{LABELED[0]}.png'))
    np.testing.assert_array_equal(labeled[0]['gt_seg_map'], plain)
    assert (labeled[len(LABELED)]['gt_seg_map'] == 3).all()


def test_a_set_of_pseudo_labels_refuses_it():
    with pytest.raises(ValueError, match='reduce_zero_label=True would shift'):
        PseudoLabelDataset('labels', reduce_zero_label=True)
