# Copyright (c) mmseg_ctt contributors.
import json
import logging
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Dict, List, Tuple

import numpy as np
import pytest
import torch
from copied import copy_of, prepared
from mmengine.config import Config
from PIL import Image
from spoil import damaged, no_list, no_mask, nothing, overlap, wrong_id
from toy_data import (
    LABELED,
    SPLIT,
    UNLABELED,
    evaluation_loader,
    toy_config,
    toy_method,
    toy_set,
    write_image,
    write_lists,
    write_mask,
)

DATASET = 'train_dataloader.dataset'


@pytest.fixture
def root(root: Path) -> Path:
    for seed in (20, 21):  # validation images of their own
        write_image(root / 'val' / f'v{seed}.jpg', seed)
        write_mask(root / 'ann' / f'v{seed}.png', seed)
    return root


@pytest.fixture
def config(tmp_path: Path, root: Path) -> Path:
    tested = evaluation_loader(root)
    cfg = toy_config(root, tmp_path / 'work', val_dataloader=tested, test_dataloader=tested)
    cfg.default_hooks.checkpoint.max_keep_ckpts = 2
    cfg.dump(tmp_path / 'toy.py')
    return tmp_path / 'toy.py'


@pytest.fixture
def tool(load_tool):
    return load_tool('misc/check_setup')


@pytest.fixture
def call(tool, config, capsys):
    """Exit code, rows by name and the printed text of a call in this process."""
    state = torch.get_rng_state()

    def call(*arguments: str) -> Tuple[int, Dict[str, List[str]], str]:
        with warnings.catch_warnings():
            code = tool.exit_code(config, *arguments)
        text = capsys.readouterr().out
        rows = [line.split(None, 1) for line in text.split('\n\n')[0].splitlines()]
        return code, {rest.split('  ')[0].strip(): [word, rest] for word, rest in rows}, text

    yield call
    logging.disable(logging.NOTSET)
    torch.set_rng_state(state)


def test_sound_config(call, tmp_path):
    code, rows, text = call('--gpus', '2')
    assert code == 0 and text.endswith('\n0 problems\n')
    assert {state for state, _ in rows.values()} == {'ok', 'skipped'}
    assert [name for name, (state, _) in rows.items() if state == 'skipped'] == ['tags', 'step']
    assert '3 images' in rows['labeled'][1] and 'img/l0.jpg' in rows['labeled'][1]
    assert '8 decoded' in rows['images'][1]
    assert '4 images on each of 2 ranks' in rows['batch'][1]
    assert '2.7 labeled, 2.7 unlabeled' in rows['batch'][1]  # 8 draws of each kind, of 3 images
    assert '(3, 32, 32)' in rows['samples'][1]
    assert 'CrossTeacherTraining' in rows['model'][1] and 'banks 0.0 MB' in rows['model'][1]
    assert torch.__version__ in rows['versions'][1]
    assert not (tmp_path / 'work').exists()  # nothing is left


def test_one_step(call):
    code, rows, _ = call('--step')
    assert code == 0 and rows['step'][0] == 'ok' and '4 images, loss ' in rows['step'][1]


@pytest.mark.parametrize('seconds, enough', [(1000.0, True), (1e-6, False)])
def test_loader_and_step(call, seconds, enough):
    code, rows, text = call(
        '--step-seconds', str(seconds), '--cfg-options', 'train_dataloader.num_workers=1'
    )
    state, note = rows['loader']
    assert code == 0 and state == 'ok' and 'images a second of one worker' in note
    assert f'4 in {seconds:.3f} s, given' in note and 'num_workers=1' in note
    assert ('the loader does not keep up with the step' in text) != enough
    assert ('Make a training copy' in text) != enough


def test_loader_with_a_training_copy(root, config, call, tmp_path):
    option = f'train_dataloader.dataset.training_copy={tmp_path / "copy"}'
    code, rows, _ = call('--cfg-options', option)
    assert code == 1 and rows['loader'][0] == 'PROBLEM'
    assert 'is no training copy' in rows['loader'][1]
    copy_of(prepared(root), tmp_path / 'copy')
    code, rows, text = call('--step-seconds', '1e-6', '--cfg-options', option)
    assert code == 0 and rows['loader'][0] == 'ok' and 'a machine with more CPUs' in text


@pytest.mark.parametrize('damage', [None, 'overlap', 'copy'])
def test_third_source(root, config, call, damage):
    write_image(root / 'img' / 't0.jpg', 30)
    (root / SPLIT / 'tagged.txt').write_text('t0\nu1\n' if damage == 'overlap' else 't0\n')
    if damage == 'copy':
        shutil.copy(root / 'img' / 'u1.jpg', root / 'img' / 't0.jpg')
    cfg = Config.fromfile(config)
    cfg.train_dataloader.dataset.tagged = toy_set(root, False)
    cfg.train_dataloader.update(
        batch_size=6, sampler=dict(ratio=dict(labeled=1, unlabeled=1, tagged=1))
    )
    cfg.dump(config)
    code, rows, text = call('--step')
    assert list(rows)[:5] == ['versions', 'labeled', 'unlabeled', 'tagged', 'val']
    if damage is None:
        assert code == 1 and 'the method uses labeled, unlabeled: set' in rows['step'][1], text
        assert 'images of labeled and unlabeled and tagged differ' in rows['overlap'][1]
        assert '1.3 labeled, 1.3 unlabeled, 4.0 tagged' in rows['batch'][1]
    else:
        words = ['img/u1.jpg', 'unlabeled', 'tagged']
        assert code == 1 and all(word in rows['overlap'][1] for word in words), text


def test_joined_and_repeated_sets(root, config, call):
    """Every check reads the sets inside; passes are those over the drawn images."""
    cfg = Config.fromfile(config)
    data, val = cfg.train_dataloader.dataset, cfg.val_dataloader.dataset
    data.labeled = dict(type='RepeatDataset', times=2, dataset=data.labeled)
    data.unlabeled = dict(type='ConcatDataset', datasets=[data.unlabeled])
    cfg.val_dataloader.dataset = dict(type='ConcatDataset', datasets=[val, val])
    cfg.dump(config)
    code, rows, text = call('--all', '--step', '--gpus', '2')
    assert code == 0, text
    assert '3 images' in rows['labeled'][1] and '1.3 labeled, 2.7 unlabeled' in rows['batch'][1]
    shutil.copy(root / 'img' / 'u1.jpg', root / 'val' / 'v20.jpg')
    code, rows, text = call('--all')
    assert code == 1 and 'val/v20.jpg' in rows['leaks'][1], text


def test_epochs_are_one_line(config, tool, capsys):
    cfg = Config.fromfile(config)
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2)
    cfg.dump(config)
    assert tool.exit_code(config) == 2
    line = capsys.readouterr().err.strip()
    assert line.startswith('error: train_cfg.max_epochs=2') and '\n' not in line
    assert '2 passes are N=3 for the labeled images and N=3 for the unlabeled' in line


def test_no_step_with_other_classes(call):
    code, rows, text = call('--step', '--cfg-options', 'model.segmentor.decode_head.num_classes=3')
    assert code == 1 and '\n1 problem\n- model: decode_head.num_classes=3' in text
    assert rows['step'] == ['skipped', rows['step'][1]] and 'classes' in rows['step'][1]


def same_content(root):
    shutil.copy(root / 'img' / 'l1.jpg', root / 'img' / 'copy.jpg')
    write_lists(root / SPLIT, LABELED, (*UNLABELED, 'copy'))


def leak(root):
    shutil.copy(root / 'img' / 'u1.jpg', root / 'val' / 'v20.jpg')


def trained_on(root):
    (root / 'val' / 'v20.jpg').unlink()
    (root / 'val' / 'v20.jpg').symlink_to(root / 'img' / 'u1.jpg')


def wrong_id_in_val(root):
    Image.fromarray(np.full((32, 48), 9, np.uint8)).save(root / 'ann' / 'v21.png')


def damaged_val(root):
    (root / 'val' / 'v20.jpg').write_bytes(b'no image at all')


def damaged_mask(root):
    (root / 'ann' / 'l0.png').write_bytes(b'no image at all')


def truncated_weights(root):
    torch.save({'a': torch.zeros(1000)}, root / 'a.pth')
    with open(root / 'a.pth', 'rb+') as file:
        file.truncate(2000)


def work_dir_is_a_file(root):
    (root.parent / 'work').write_text('')


PROBLEMS = {  # what is done, options, row, words
    'no list': (no_list, [], 'unlabeled', ['splits/toy/unlabeled.txt', 'does not exist']),
    'no mask': (no_mask, [], 'labeled', ['ann/l1.png', 'does not exist']),
    'same name': (
        overlap,
        [],
        'overlap',
        ['img/l1.jpg', f'{DATASET}.labeled and {DATASET}.unlabeled'],
    ),
    'same content': (same_content, [], 'overlap', ['1 unlabeled', 'img/copy.jpg', 'img/l1.jpg']),
    'leak': (leak, [], 'leaks', ['1 val images', 'val/v20.jpg', 'img/u1.jpg']),
    'trained on': (
        trained_on,
        [],
        'leaks',
        ['1 images of val_dataloader.dataset', f'({DATASET}.unlabeled)', 'val/v20.jpg'],
    ),
    'wrong id': (wrong_id, [], 'masks', ['ann/l2.png', '9 (1536 pixels)']),
    'wrong id in val': (wrong_id_in_val, [], 'masks', ['ann/v21.png', '9 (1536 pixels)']),
    'damaged image': (damaged('u2'), [], 'images', ['1 images cannot be decoded', 'img/u2.jpg']),
    'damaged val image': (damaged_val, [], 'images', ['val/v20.jpg']),
    'damaged mask': (damaged_mask, [], 'masks', ['ann/l0.png', 'cannot be read']),
    'batch': (
        nothing,
        ['train_dataloader.batch_size=3'],
        'batch',
        ['batch_size=3', 'multiple of 2'],
    ),
    'ratio': (nothing, ['train_dataloader.sampler.ratio=(1,1,1)'], 'batch', ['(1, 1, 1)']),
    'sampler': (
        nothing,
        ['train_dataloader.sampler.type=InfiniteSampler'],
        'batch',
        ['InfiniteSampler', 'LabeledUnlabeledSampler'],
    ),
    'classes': (
        nothing,
        ['model.segmentor.decode_head.num_classes=5'],
        'model',
        ['num_classes=5', '4 classes'],
    ),
    'masks': (
        nothing,
        ['method=supervised', 'train_dataloader.sampler.ratio=(1,1)'],
        'model',
        ['masks alone'],
    ),
    'member': (nothing, ['model.test_cfg.predict_on=teacher7'], 'model', ['teacher7']),
    'unknown model': (nothing, ['model.segmentor.backbone.type=Unknown'], 'model', ['Unknown']),
    'unknown hook': (nothing, ['default_hooks.queue_warmup.type=Unknown'], 'hooks', ['Unknown']),
    'no EMA': (nothing, ['default_hooks.teacher_ema=None'], 'hooks', ['TeacherEMAHook']),
    'optimiser': (nothing, ['optim_wrapper.optimizer.type=Unknown'], 'hooks', ['Unknown']),
    'constructor': (
        nothing,
        ['optim_wrapper.constructor=DefaultOptimWrapperConstructor'],
        'hooks',
        ['StudentOptimWrapperConstructor'],
    ),
    'teachers of no checkpoint': (
        nothing,
        ['model.frozen_teachers=True', 'default_hooks.teacher_ema=None'],
        'hooks',
        ['model.frozen_teachers', 'set load_from=FILE'],
    ),
    'no checkpoint': (
        nothing,
        ['load_from=absent.pth'],
        'checkpoints',
        ['absent.pth of load_from does not exist'],
    ),
    'truncated checkpoint': (
        truncated_weights,
        ['load_from={root}/a.pth'],
        'checkpoints',
        ['a.pth is truncated'],
    ),
    'sizes': (
        nothing,
        [f'{DATASET}.unlabeled.pipeline.2.crop_size=(16,16)'],
        'samples',
        ['different sizes', '(3, 16, 16)', '(3, 32, 32)'],
    ),
    'work dir': (work_dir_is_a_file, [], 'work dir', ['work']),
    'late contrast': (
        nothing,
        ['default_hooks.queue_warmup.start_iter=2'],  # of 2 iterations
        'hooks',
        ['default_hooks.queue_warmup.start_iter=2, but the run has 2 iterations'],
    ),
    'late validation': (nothing, ['train_cfg.val_begin=3'], 'hooks', ['train_cfg.val_begin=3']),
}


@pytest.mark.parametrize('name', PROBLEMS)
def test_problem_is_found(name, root, call):
    spoil, options, row, words = PROBLEMS[name]
    spoil(root)
    options = [option.format(root=root) if '{root}' in option else option for option in options]
    code, rows, text = call(*(['--cfg-options', *options] if options else []))
    assert code == 1
    state, note = rows[row]
    assert state == 'PROBLEM' and all(word in note for word in words), text
    assert f'\n- {row}: ' in text and 'Traceback' not in text
    others = {other for other, (state, _) in rows.items() if state == 'PROBLEM'} - {row}
    assert others <= ({'samples', 'masks'} if name.startswith('damaged') else set()), text


def test_all_problems_at_once(root, call):
    no_list(root)
    wrong_id(root)
    code, rows, text = call(
        '--cfg-options', 'train_dataloader.batch_size=3', 'load_from=absent.pth'
    )
    assert code == 1 and '\n3 problems' in text
    assert [name for name, (state, _) in rows.items() if state == 'PROBLEM'] == [
        'unlabeled',
        'masks',
        'checkpoints',
    ]
    assert rows['overlap'][0] == rows['batch'][0] == 'skipped'  # without the list they know nothing


def test_no_warm_up(config, call):
    cfg = Config.fromfile(config)
    cfg.default_hooks.queue_warmup = None
    cfg.dump(config)
    code, rows, _ = call()
    assert code == 1 and rows['hooks'][0] == 'PROBLEM' and 'QueueWarmupHook' in rows['hooks'][1]


def test_two_hooks_of_a_kind(config, call):
    cfg = Config.fromfile(config)
    cfg.custom_hooks = [dict(type='TeacherEMAHook')]
    cfg.dump(config)
    code, rows, _ = call()
    assert code == 1 and '2 hooks of type TeacherEMAHook' in rows['hooks'][1]


def test_some_or_all_files(root, call, monkeypatch):
    monkeypatch.setattr('mmseg_ctt.datasets.mask_scan.LIMIT', 1)
    wrong_id(root)  # in the last of three
    assert call()[0] == 0
    assert call('--all')[0] == 1


def test_class_that_no_label_shows(root, call):
    for stem in LABELED:
        path = root / 'ann' / f'{stem}.png'
        Image.fromarray(np.minimum(np.array(Image.open(path)), 1)).save(path)
    code, rows, _ = call()
    assert code == 0
    words = 'WARNING: labeled: no pixel of all 3 masks is of class 2 (class2), 3 (class3)'
    assert words in rows['masks'][1]


@pytest.mark.parametrize(
    'value, words',
    [(0, 'are the masks empty'), (255, 'nothing is labelled'), (None, 'the object is often 255')],
)
@pytest.mark.parametrize('name', ['labeled', 'val'])
def test_masks_that_do_not_mean_what_they_seem(root, call, name, value, words):
    stems = LABELED if name == 'labeled' else ('v20', 'v21')
    for stem in stems:
        mask = np.full((32, 48), value or 0, np.uint8)
        mask[:8] = 255 if value is None else value
        Image.fromarray(mask).save(root / 'ann' / f'{stem}.png')
    code, rows, text = call()
    assert code == 1 and rows['masks'][0] == 'PROBLEM', text
    assert f'{name}: no' in rows['masks'][1] and words in rows['masks'][1]


def test_labels_of_a_test_may_be_kept_by_others(root, config, call):
    cfg = Config.fromfile(config)
    cfg.test_dataloader.dataset.data_prefix.seg_map_path = 'kept'
    cfg.dump(config)
    (root / 'kept').mkdir()
    for stem in ('v20', 'v21'):
        Image.fromarray(np.full((32, 48), 255, np.uint8)).save(root / 'kept' / f'{stem}.png')
    code, rows, _ = call()
    assert code == 0 and 'WARNING: test: nothing is labelled' in rows['masks'][1]


def test_sets_with_their_classes_in_another_order(config, call):
    assert 'the same in training, val, test' in call()[1]['classes'][1]
    cfg = Config.fromfile(config)
    cfg.test_dataloader.dataset.metainfo.classes = tuple(f'class{k}' for k in (1, 0, 2, 3))
    cfg.dump(config)
    code, rows, text = call()
    assert code == 1 and rows['classes'][0] == 'PROBLEM', text
    words = 'test_dataloader.dataset has other classes than train_dataloader.dataset.labeled (class'
    assert words in rows['classes'][1]


def test_full_disk(root, call, monkeypatch):
    call()  # imports
    monkeypatch.setattr('shutil.disk_usage', lambda path: SimpleNamespace(free=1000))
    code, rows, _ = call()
    assert code == 1 and 'max_keep_ckpts' in rows['work dir'][1]


def test_earlier_run_in_the_work_dir(root, call, tmp_path):
    (tmp_path / 'work').mkdir()
    torch.save({}, tmp_path / 'work' / 'iter_2.pth')
    assert '--resume goes on from' in call()[1]['work dir'][1]
    (tmp_path / 'work' / 'iter_2.pth').write_bytes(b'')
    code, rows, _ = call()
    assert code == 1 and 'no checkpoint' in rows['work dir'][1]


def test_weights_from_the_internet(call, tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    kept = tmp_path / 'torch/hub/checkpoints/a.pth'
    code, rows, text = call('--cfg-options', 'load_from=https://example.org/a.pth')
    assert 'cannot fetch https://example.org/a.pth' in rows['checkpoints'][1]
    assert code == 0 and rows['checkpoints'][0] == 'WARNING'
    assert '\n1 warning\n- load_from: https://example.org/a.pth is not on this machine' in text
    assert f'copy https://example.org/a.pth to {kept}' in text and 'init_cfg' not in text
    kept.parent.mkdir(parents=True)
    kept.touch()
    _, rows, text = call('--cfg-options', 'load_from=https://example.org/a.pth')
    assert rows['checkpoints'][0] == 'ok' and 'warning' not in text


@pytest.mark.parametrize(
    'other, words',
    [
        ('mmcls://mobilenet_v2', ['the run stops', 'hub/checkpoints/mobilenet_v2_batch256']),
        ('https://example.org/n.pth|random', ['weights stay random', 'hub/checkpoints/n.pth']),
        ('random', ['RANDOM WEIGHTS: there is no']),
    ],
)
def test_starting_weights_that_are_not_here(other, words, config, call, tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    monkeypatch.setenv('PRETRAINED_ROOT', str(tmp_path / 'weights'))
    cfg = Config.fromfile(config)
    init_cfg = dict(type='Pretrained', checkpoint=f'pretrained:net.pth|{other}')
    cfg.model.segmentor.backbone.init_cfg = init_cfg
    cfg.dump(config)
    code, rows, text = call()
    key = 'model.segmentor.backbone.init_cfg'
    assert code == 0 and rows['checkpoints'][0] == 'WARNING' and f'- {key}.checkpoint: ' in text
    assert all(word in text for word in [*words, 'net.pth', str(tmp_path / 'weights')]), text
    assert 'PRETRAINED_ROOT' in text and (other == 'random' or f'{key}=None' in text)


def test_missing_config_is_one_line_and_exit_code_2(tool, tmp_path):
    done = subprocess.run(
        [sys.executable, str(tool.path), 'absent.py'], cwd=tmp_path, text=True, capture_output=True
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == 'error: the config absent.py does not exist'


# ---- tags


def tagged(root, **changes):
    return toy_set(root, False, type='TaggedImageDataset', tags='tags.json', **changes)


def write_tags(root, tags):
    (root / 'tags.json').write_text(json.dumps({stem: tags for stem in LABELED + UNLABELED}))


def test_a_method_of_tags(call, root, tmp_path):
    """Classes, samples and the step are checked without a source with masks."""
    tested = evaluation_loader(root)
    cfg = toy_config(
        root,
        tmp_path / 'work',
        model=toy_method('ClassActivationMaps'),
        val_dataloader=tested,
        test_dataloader=tested,
    )
    cfg.dump(tmp_path / 'toy.py')
    code, rows, text = call('--step')
    assert code == 0, text
    skipped = [name for name, (state, _) in rows.items() if state == 'skipped']
    assert skipped == ['labeled', 'unlabeled', 'overlap']
    assert 'tagged: 6 images, 1.67 tags an image; images of each tag: class1' in rows['tags'][1]
    assert '4, the same in training, val, test' in rows['classes'][1]
    cfg.train_dataloader.dataset.tagged.background = None
    cfg.dump(tmp_path / 'toy.py')
    code, rows, text = call()
    assert code == 1 and 'head.background=True, but class 0 of' in rows['model'][1]


def test_tags_of_unlabelled_images(call, root, config):
    """Warnings: tags that no image has, masks that differ from tags, tags that are not used."""
    write_tags(root, ['class1'])
    cfg = Config.fromfile(config)
    cfg.train_dataloader.dataset.unlabeled = tagged(root, background='class0')
    cfg.dump(config)
    code, rows, text = call()
    assert code == 0 and 'unlabeled: 3 images, 1.00 tags an image' in rows['tags'][1]
    assert 'warnings' in text and 'no image has the tag class2, class3' in text
    assert 'unlabeled: tags and masks of 3 of 3 images differ, such as' in text
    assert 'unlabeled has tags, which are not used: set model.use_tags=True' in text
    code, rows, text = call('--cfg-options', 'model.use_tags=True')
    assert code == 0 and 'not used' not in text


def test_wrong_tags(call, root, config):
    write_tags(root, ['horse'])
    cfg = Config.fromfile(config)
    cfg.train_dataloader.dataset.unlabeled = tagged(root)
    cfg.dump(config)
    code, rows, _ = call()
    assert code == 1 and rows['unlabeled'][0] == 'PROBLEM'
    assert "image l0 has the tag 'horse', which is no class" in rows['unlabeled'][1]


def test_pseudo_labels_beside_masks(call, root, config, tmp_path):
    """Masks, tags, overlap and samples of a set with added pseudo-labels are checked as any."""
    folder = tmp_path / 'labels'
    for seed, stem in enumerate(UNLABELED):
        write_mask(folder / f'masks/{stem}.png', seed)
    selected = [dict(image=str(root / f'img/{s}.jpg'), mask=f'masks/{s}.png') for s in UNLABELED]
    (folder / 'manifest.json').write_text(json.dumps(dict(selected=selected)))
    write_tags(root, ['class1'])
    cfg = Config.fromfile(config)
    cfg.train_dataloader.dataset.update(type='SelfTrainingDataset', pseudo=str(folder))
    cfg.train_dataloader.dataset.unlabeled = tagged(root, background='class0')
    cfg.dump(config)
    code, rows, text = call('--cfg-options', 'model.use_tags=True')
    assert code == 0, text
    skipped = [name for name, (state, _) in rows.items() if state == 'skipped']
    assert skipped == ['step']  # a step is made with --step alone
    assert rows['labeled'][1].partition('labeled')[2].strip().startswith('6 images')
    assert 'unlabeled: 3 images, 1.00 tags an image' in rows['tags'][1]
    (folder / f'masks/{UNLABELED[1]}.png').unlink()
    code, rows, text = call()
    assert code == 1 and f'{UNLABELED[1]}.png' in rows['labeled'][1]
