# Copyright (c) mmseg_ctt contributors.
import subprocess
from pathlib import Path

import pytest
from toy_data import LABELED, UNLABELED, toy_config, write_lists, write_toy_data

from mmseg_ctt.engine.fingerprint import INSIDE, config_hash, former_hash
from mmseg_ctt.lab.experiments.fingerprint import git_commit, resolve, split_checksum, versions
from mmseg_ctt.lab.experiments.matrix import Cell
from mmseg_ctt.self_training.auxsegnet_rounds import CLASSIFIER
from mmseg_ctt.self_training.class_incremental import JOINT
from mmseg_ctt.self_training.distillation import DISTILLED
from mmseg_ctt.self_training.recipes import RECIPES

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
BASELINE = CONFIGS / 'supervised' / 'supervised_deeplabv3plus_streets_1-8.py'


def hash_with(root, work_dir, **options):
    cfg = toy_config(root, work_dir)
    cfg.merge_from_dict(options)
    return config_hash(cfg)


def test_hash_is_the_same_on_all_machines(tmp_path):
    init = {'model.segmentor.backbone.init_cfg': dict(checkpoint='/a/weights.pth')}
    moved = {'model.segmentor.backbone.init_cfg': dict(checkpoint='data/weights.pth')}
    reference = hash_with(tmp_path / 'a', tmp_path / 'w', **init)
    assert reference == hash_with(
        tmp_path / 'b',
        tmp_path / 'v',
        **moved,
        **{
            'train_dataloader.num_workers': 3,
            'val_dataloader.persistent_workers': True,
            'default_hooks.logger.interval': 99,
            'launcher': 'slurm',
        },
    )
    cfg = toy_config(tmp_path / 'a', tmp_path / 'w')
    cfg.merge_from_dict(init)
    cfg.default_hooks.pseudo_labels = dict(type='PseudoLabelHook')  # changes no figure
    assert config_hash(cfg) == reference and len(reference) == 12


@pytest.mark.parametrize(
    'change',
    [
        {'model.consistency.confidence_threshold': 0.3},
        {'randomness.seed': 4},
        {'train_cfg.max_iters': 3},
        {'train_dataloader.dataset.split': 'splits/other'},
        {'default_hooks.teacher_ema.alpha': 0.5},
        {'model.segmentor.backbone.init_cfg': dict(checkpoint='other.pth')},
        {'optim_wrapper.optimizer.lr': 0.1},
        {'train_dataloader.batch_size': 8},
    ],
    ids=str,
)
def test_hash_follows_what_a_result_depends_on(tmp_path, change):
    assert hash_with(tmp_path, tmp_path) != hash_with(tmp_path, tmp_path, **change)


@pytest.mark.parametrize(
    'one, other, same',
    [
        ('work_dirs/a/iter_1200.pth', 'work_dirs/b/iter_1200.pth', False),
        ('a/generations/gen3/epoch_2.pth', 'b/generations/gen3/epoch_2.pth', False),
        ('/runs/plain/s/seed0-a/best_mIoU_8.pth', '/runs/plain/s/seed0-b/best_mIoU_8.pth', False),
        ('/here/runs/plain/s/seed0-a/iter_8.pth', '/there/moved/seed0-a/iter_8.pth', True),
        ('/here/work_dirs/a/iter_8.pth', '/other_clone/work_dirs/a/iter_8.pth', True),
        ('/here/a/iter_8.pth', '/here/a/iter_9.pth', False),
        ('/here/a/generations/gen0/last.pth', '/here/a/generations/gen1/last.pth', False),
        ('/here/a/gen0/last.pth', '/there/work_dirs/a/gen0/last.pth', True),
        ('/here/weights_iter_8.pth', 'data/weights_iter_8.pth', True),
    ],
)
@pytest.mark.parametrize(
    'key', ['load_from', 'model.segmentor.init_cfg.checkpoint', 'default_hooks.guard.baseline']
)
def test_checkpoints_of_runs_are_told_apart_by_their_folders(tmp_path, key, one, other, same):
    """Their names are equal in all runs; other files are known by their names."""
    if key.startswith('default_hooks'):  # any absolute path
        one, other = (f'/x/{path.lstrip("/")}' for path in (one, other))
    hashes = [hash_with(tmp_path, tmp_path, **{key: path}) for path in (one, other)]
    assert (hashes[0] == hashes[1]) is same


@pytest.mark.parametrize('run', ['a', 'a/generations/gen1', 'a/round1/z', 'a/step2'])
@pytest.mark.parametrize('key', ['load_from', 'model.segmentor.init_cfg.checkpoint'])
def test_a_checkpoint_may_be_written_in_any_way(tmp_path, monkeypatch, key, run):
    """Relative or absolute, from the root of the repository or the folder of the run."""
    found = set()
    for clone in ('mine', 'yours'):
        work = tmp_path / clone / 'work_dirs' / run
        work.mkdir(parents=True)
        monkeypatch.chdir(tmp_path / clone)
        names = [f'work_dirs/{run}/iter_8.pth', f'./work_dirs/b/../{run}/iter_8.pth']
        found |= {hash_with(tmp_path, tmp_path, **{key: name}) for name in names}
        found.add(hash_with(tmp_path, tmp_path, **{key: str(work / 'iter_8.pth')}))
        monkeypatch.chdir(work)
        found.add(hash_with(tmp_path, tmp_path, **{key: 'iter_8.pth'}))
    assert len(found) == 1


def test_folders_inside_of_a_self_training():
    """Those of all recipes are told apart by the folder of the run, too."""
    assert len(RECIPES.module_dict) >= 5
    folders = {'generations', 'round0/x', 'round1/z', 'gen0', 'step1', CLASSIFIER, JOINT, DISTILLED}
    for recipe in RECIPES.module_dict.values():
        try:
            folders.add(recipe.final_folder(recipe.settings_class()))
        except (TypeError, ValueError):  # has settings without a default
            continue
    assert len(folders) > 9
    for name in (part for folder in folders for part in folder.split('/')):
        assert INSIDE.fullmatch(name), name


def test_hash_of_earlier_versions(tmp_path):
    """Checkpoints of runs counted by name, and a relative ``load_from`` as written."""

    def former(**options):
        cfg = toy_config(tmp_path, tmp_path)
        cfg.merge_from_dict(options)
        return former_hash(cfg)

    assert former() == hash_with(tmp_path, tmp_path)
    key = 'model.segmentor.init_cfg.checkpoint'
    name, weights = 'a/iter_8.pth', 'b/net.pth'
    assert former(**{key: name}) == former(**{key: 'b/iter_8.pth'})
    assert former(**{key: name}) != hash_with(tmp_path, tmp_path, **{key: name})
    assert former(**{key: weights}) == hash_with(tmp_path, tmp_path, **{key: weights})
    assert former(load_from=name) != former(load_from='b/iter_8.pth')
    assert former(load_from=f'/{name}') == former(load_from='/b/iter_8.pth')


def test_pretrained_weights_count_by_name_in_any_folder(tmp_path, monkeypatch):
    key, found = 'model.segmentor.backbone.init_cfg.checkpoint', []
    for folder in ('a', 'b'):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / 'iter_8.pth').touch()
        monkeypatch.setenv('PRETRAINED_ROOT', str(tmp_path / folder))
        found.append(hash_with(tmp_path, tmp_path, **{key: 'pretrained:iter_8.pth|random'}))
    assert found[0] == found[1]


def test_resolved_config(tmp_path):
    path = tmp_path / 'toy.py'
    toy_config(tmp_path, tmp_path).dump(path)
    cell = Cell('ctt', 's', 7, str(path), {'randomness.seed': 7, 'model.num_pairs': 3})
    cfg = resolve(cell, {'train_dataloader.num_workers': 5})
    assert (cfg.randomness.seed, cfg.model.num_pairs) == (7, 3)
    assert cfg.train_dataloader.num_workers == 5
    with pytest.raises(FileNotFoundError, match='ctt s seed 0: the config absent.py'):
        resolve(Cell('ctt', 's', 0, 'absent.py', {}))


def test_settings_of_a_row_lie_over_its_preset():
    """As on the command line: settings of the model are those of the method, not of its network."""
    options = {'model.loss_weights.hc': 0.5, 'method': 'ctt_plus', 'model.decode_head.channels': 8}
    cfg = resolve(Cell('row', 's', 0, str(BASELINE), options))
    assert cfg.model.loss_weights == dict(hc=0.5, lc=0.01)
    assert cfg.model.segmentor.decode_head.channels == 8


def test_checksum_of_the_lists(tmp_path):
    cfg = toy_config(write_toy_data(tmp_path / 'a'), tmp_path)
    first = split_checksum(cfg)
    write_lists(tmp_path / 'a/splits/toy', LABELED[::-1], UNLABELED)
    assert split_checksum(cfg) == first  # the order is no matter
    moved = toy_config(write_toy_data(tmp_path / 'b'), tmp_path)
    assert split_checksum(moved) == first
    write_lists(tmp_path / 'a/splits/toy', LABELED, UNLABELED[:2])
    assert split_checksum(cfg) != first
    alone = toy_config(tmp_path / 'b', tmp_path)
    alone.train_dataloader.dataset.unlabeled = None
    assert split_checksum(alone) != first
    (tmp_path / 'a/splits/toy/labeled.txt').unlink()
    with pytest.raises(FileNotFoundError, match='labeled.txt'):
        split_checksum(cfg)


def test_commit(tmp_path):
    assert git_commit(tmp_path) == 'unknown'

    def git(*arguments):
        subprocess.run(
            ['git', '-C', str(tmp_path), '-c', 'user.name=n', '-c', 'user.email=e', *arguments],
            check=True,
            capture_output=True,
        )

    (tmp_path / 'configs').mkdir()
    (tmp_path / 'configs' / 'a.py').write_text('a = 1')
    git('init')
    git('add', '.')
    git('commit', '-m', 'one')
    clean = git_commit(tmp_path)
    assert len(clean) == 12
    (tmp_path / 'results.csv').write_text('rows')
    assert git_commit(tmp_path) == clean  # results are no change of the code
    (tmp_path / 'configs' / 'b.py').write_text('b = 1')
    assert git_commit(tmp_path) == f'{clean}-dirty'


def test_versions():
    assert list(versions()) == ['torch', 'mmengine', 'mmseg', 'mmseg_ctt']
