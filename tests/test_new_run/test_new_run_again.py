# Copyright (c) mmseg_ctt contributors.
"""Lists that new_run makes and uses, and what a second run leaves alone."""

from pathlib import Path

import pytest
from toy_folders import BARE, KINDS, MASKED, masks, photos

from mmseg_ctt.datasets.lists import read_list
from mmseg_ctt.lab.new_run import new_run
from mmseg_ctt.lab.new_run.sizes import GB, Memory


def test_second_run_replaces_nothing(tmp_path: Path):
    KINDS['binary'](tmp_path)
    first = new_run(tmp_path)
    config = first.configs['ctt-plus']
    config.write_text(config.read_text() + 'log_level = "ERROR"\n')
    content = {path: path.read_bytes() for path in tmp_path.rglob('*.*') if path.is_file()}
    again = str(new_run(tmp_path))
    assert 'ctt-plus.py: is there and is kept' in again and 'supervised.py: is there alr' in again
    assert 'holds the 6 masks' in again
    assert content == {path: path.read_bytes() for path in content}
    with pytest.raises(ValueError, match='another network.*--name'):
        new_run(tmp_path, model='segformer-b0')
    with pytest.raises(ValueError, match='--name NAME makes other lists'):
        new_run(tmp_path, val=3)
    with pytest.raises(ValueError, match='other sizes than --size 32: --name NAME'):
        new_run(tmp_path, size=32)
    masks(tmp_path, ['06'], 'labels', values=(0, 255))
    assert '1 images with a mask and 0 without' in str(new_run(tmp_path))
    other = new_run(tmp_path, name='more')
    assert other.configs['supervised'] == tmp_path.resolve() / 'runs/more/supervised.py'
    lists = tmp_path / 'splits'
    assert read_list(lists / 'more/val.txt') == read_list(lists / 'mine/val.txt')
    assert '06' in read_list(lists / 'more/labeled.txt')


@pytest.mark.parametrize(
    'options, error',
    [
        (dict(iterations=30), 'another length than --iterations 30: --name NAME'),
        (dict(seed=3), '--seed 3 draws images for validation, and the lists in splits/mine are'),
        (dict(seed=3, name='b'), '--seed 3 .* those of splits/mine are used: --val 1 draws others'),
        (dict(iterations=0), '--iterations must be 1 or more, got 0'),
        (dict(images='imgs', masks='other'), 'other images or masks than --images and --masks'),
        (dict(ignore=['0']), 'If an earlier call wrote meta.json: remove it'),
        (dict(classes=['a', 'b', 'c']), '--classes a b c differs from'),
    ],
)
def test_no_option_of_a_second_run_is_without_effect(tmp_path: Path, options, error):
    photos(tmp_path, MASKED + BARE, 'imgs')
    for folder in ('labels', 'other'):
        masks(tmp_path, MASKED, folder)
    new_run(tmp_path, images='imgs', masks='labels')
    before = {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}
    with pytest.raises(ValueError, match=error):
        new_run(tmp_path, **{'images': 'imgs', 'masks': 'labels', **options})
    assert before == {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}


def test_options_that_agree_with_the_first_run_are_no_error(tmp_path: Path):
    KINDS['no_meta'](tmp_path)
    options = dict(size=64, iterations=30, seed=2, val=2, classes=['sky', 'road', 'car'])
    new_run(tmp_path, **options)
    assert 'supervised.py: is there already' in str(new_run(tmp_path, **options))


def test_classes_of_a_second_run_are_those_of_the_first(tmp_path: Path):
    KINDS['plain_ids'](tmp_path)
    new_run(tmp_path)
    (tmp_path / 'meta.json').unlink()
    with pytest.raises(ValueError, match='has 3 classes, not the 4 by --classes'):
        new_run(tmp_path, classes=['sky', 'road', 'car', 'bus'])
    assert not (tmp_path / 'meta.json').exists()


@pytest.mark.parametrize('kept', ['sizes', 'user'])
def test_a_method_gets_the_numbers_of_the_baseline(tmp_path: Path, kept: str, monkeypatch):
    """On another machine, and where the user has changed them."""
    KINDS['plain_ids'](tmp_path)
    first = new_run(tmp_path, model='segformer-b0')
    path = first.configs['supervised']
    if kept == 'user':
        text = path.read_text()
        path.write_text(text.replace('dict(batch_size=4,', 'dict(batch_size=3,'))
    other = Memory('gpu', GB // 4)
    monkeypatch.setattr('mmseg_ctt.lab.new_run.plan.machine_memory', lambda: other)
    again = new_run(tmp_path, 'fixmatch')
    wanted = 4 if kept == 'sizes' else 3
    assert f'batch_size={2 * wanted})' in again.configs['fixmatch'].read_text()
    assert f'{wanted} labelled and {wanted} unlabelled a batch' in str(again)
    assert 'length: 1500 iterations (as in runs/supervised.py)' in str(again)
    assert 'network: SegFormer MiT-B0' in str(again)


def test_a_baseline_that_is_no_config_any_more(tmp_path: Path):
    KINDS['plain_ids'](tmp_path)
    new_run(tmp_path).configs['supervised'].write_text('sizes = dict(\n')
    with pytest.raises(ValueError, match='supervised.py is there and cannot be used .*--name NAME'):
        new_run(tmp_path, 'fixmatch')
    assert not (tmp_path / 'runs/fixmatch.py').exists()


def test_dry_run_shows_what_is_new(tmp_path: Path):
    KINDS['plain_ids'](tmp_path)
    new_run(tmp_path)
    shown = str(new_run(tmp_path, 'fixmatch', dry_run=True))
    assert 'supervised.py is there and is kept as it is' in shown
    assert "_base_ = ['mmseg_ctt::" not in shown and "method = 'fixmatch'" in shown


def test_seed_draws_other_images(tmp_path: Path):
    KINDS['plain_ids'](tmp_path)
    for name, seed in (('a', None), ('b', 0), ('c', 1)):
        new_run(tmp_path, name=name, val=2, seed=seed)
    kept = [read_list(tmp_path / f'splits/{name}/val.txt') for name in 'abc']
    assert kept[0] == kept[1] != kept[2]
    again = new_run(tmp_path, name='c', seed=1)
    assert 'supervised.py: is there already' in str(again)


def test_seed_of_no_images(tmp_path: Path):
    KINDS['plain_ids'](tmp_path)
    with pytest.raises(ValueError, match='--seed 3 draws images .* --val 0 keeps none'):
        new_run(tmp_path, val=0, seed=3)
    assert not (tmp_path / 'splits').exists()


def test_seed_of_no_effect(tmp_path: Path):
    KINDS['val_folder'](tmp_path)
    with pytest.raises(ValueError, match='--seed 1 is for training images kept .*leave --seed out'):
        new_run(tmp_path, seed=1)


@pytest.mark.parametrize('listed', [True, False])
def test_test_set_is_named(tmp_path: Path, listed: bool):
    KINDS['plain_ids'](tmp_path)
    if listed:
        (tmp_path / 'test.txt').write_text('00\n')
    assert ('for validation, which test.py scores too' in str(new_run(tmp_path))) != listed


def test_second_run_of_unlabelled_images_apart(tmp_path: Path):
    KINDS['unlabeled_folder'](tmp_path)
    first = new_run(tmp_path)
    assert 'not in these lists' not in str(new_run(tmp_path))
    assert read_list(tmp_path / 'splits/mine/unlabeled.txt') == BARE
    photos(tmp_path, ['09'], 'unlabeled')
    again = new_run(tmp_path)
    assert '0 images with a mask and 1 without' in str(again)
    assert again.configs == first.configs


def test_images_of_one_name_are_refused(tmp_path: Path):
    KINDS['unlabeled_folder'](tmp_path)
    photos(tmp_path, ['00'], 'unlabeled')
    with pytest.raises(ValueError, match='such as 00, .*: rename the unlabelled ones'):
        new_run(tmp_path)
    (tmp_path / 'unlabeled/00.jpg').unlink()
    (tmp_path / 'labeled.txt').write_text('00\n01\n')
    (tmp_path / 'val.txt').write_text('01\n02\n')
    with pytest.raises(ValueError, match='01 is both in the list labeled and in the list val'):
        new_run(tmp_path)
    assert not (tmp_path / 'splits').exists()


def test_other_lists_need_another_name(tmp_path: Path):
    KINDS['binary'](tmp_path)
    new_run(tmp_path)
    own = tmp_path / 'own'
    own.mkdir()
    (own / 'labeled.txt').write_text('00\n01\n')
    (own / 'val.txt').write_text('02\n')
    masks(tmp_path, ['06'], 'labels', values=(0, 255))
    with pytest.raises(ValueError, match='splits/mine holds other lists than own.*--name NAME'):
        new_run(tmp_path, lists='own')
    assert not list(tmp_path.rglob('labels_ids/06.png')), 'checked before a mask is written'
    new_run(tmp_path, lists='own', name='b')
    assert read_list(tmp_path / 'splits/b/labeled.txt') == ['00', '01']
    new_run(tmp_path, lists='own', name='b')


def test_second_run_of_a_name(tmp_path: Path):
    KINDS['plain_ids'](tmp_path)
    new_run(tmp_path, name='b', val=2)
    val = read_list(tmp_path / 'splits/b/val.txt')
    masks(tmp_path, BARE[:1])
    assert '1 images with a mask and 0 without' in str(new_run(tmp_path, name='b'))
    assert read_list(tmp_path / 'splits/b/val.txt') == val
    with pytest.raises(ValueError, match='keep 2 images .* --name NAME makes other lists'):
        new_run(tmp_path, name='b', val=3)


def test_list_of_a_validation_folder_is_kept(tmp_path: Path):
    KINDS['val_folder'](tmp_path)
    assert 'val_folder.txt: written' in str(new_run(tmp_path))
    path = tmp_path / 'splits/mine/val_folder.txt'
    path.write_text('01\n')
    assert 'val_folder.txt: is there and is kept' in str(new_run(tmp_path))
    assert read_list(path) == ['01']


def test_lists_that_exist_are_used(tmp_path: Path):
    KINDS['plain_ids'](tmp_path)
    (tmp_path / 'ImageSets').mkdir()
    (tmp_path / 'ImageSets/train.txt').write_text('00\n01\n06\n07\n')
    (tmp_path / 'ImageSets/val.txt').write_text('02\n03\n')
    new_run(tmp_path)
    mine = tmp_path / 'splits/mine'
    assert read_list(mine / 'labeled.txt') == ['00', '01']
    assert read_list(mine / 'val.txt') == ['02', '03']
    assert read_list(mine / 'unlabeled.txt') == BARE


@pytest.mark.parametrize('val', [True, False])
@pytest.mark.parametrize('test', [['00', '01'], ['00', '06']])
def test_images_of_a_test_list_are_not_learnt_from(tmp_path: Path, val: bool, test: list):
    KINDS['plain_ids'](tmp_path)
    (tmp_path / 'test.txt').write_text(''.join(f'{name}\n' for name in [*test, 'elsewhere']))
    if val:
        (tmp_path / 'val.txt').write_text('02\n')
    run = new_run(tmp_path)
    lists = {path.stem: read_list(path) for path in (tmp_path / 'splits/mine').glob('*.txt')}
    assert '2 images of test.txt are kept' in str(run) and lists['test'] == test
    names = [*lists['labeled'], *lists['unlabeled'], *lists['val'], *test]
    assert sorted(names) == MASKED + BARE
    tested = "ann_file='splits/mine/test.txt'" in run.configs['supervised'].read_text()
    assert tested == set(test).issubset(MASKED), 'a test needs masks'
    again = str(new_run(tmp_path))
    assert 'supervised.py: is there already' in again and 'not in these lists' not in again
    (tmp_path / 'test.txt').unlink()
    new_run(tmp_path, name='b')
    assert read_list(tmp_path / 'splits/b/test.txt') == test


def test_all_images_labelled(tmp_path: Path):
    photos(tmp_path, MASKED)
    masks(tmp_path, MASKED)
    hidden = tmp_path / 'splits/half/seed0'
    hidden.mkdir(parents=True)
    (hidden / 'labeled.txt').write_text('00\n01\n')
    (hidden / 'unlabeled.txt').write_text('02\n03\n')
    (hidden / 'val.txt').write_text('04\n05\n')
    half = new_run(tmp_path, lists='splits/half/seed0', name='half')
    assert set(half.configs) == {'supervised', 'ctt-plus'}
    assert '2 labelled, 2 unlabelled, 2 for validation' in str(half)
    run = new_run(tmp_path)
    assert 'splits/half/seed0' in str(run)
    assert set(run.configs) == {'supervised'} and 'every image has a mask' in str(run)
    assert 'unlabeled=None' in run.configs['supervised'].read_text()


def test_dry_run_writes_nothing(tmp_path: Path):
    KINDS['colour_masks'](tmp_path)
    before = sorted(tmp_path.rglob('*'))
    run = new_run(tmp_path, 'fixmatch', 'segformer-b0', 96, dry_run=True)
    assert sorted(tmp_path.rglob('*')) == before
    assert "method = 'fixmatch'" in str(run) and 'networks/segformer-b0.py' in str(run)


def test_command(tmp_path: Path, load_tool, capsys):
    KINDS['plain_ids'](tmp_path)
    tool = load_tool('misc/new_run')
    assert tool.exit_code(tmp_path, '--method', 'nothing') == 2
    assert 'is not known; known are' in capsys.readouterr().err
    assert tool.exit_code(tmp_path, '--size', 64, 48, '--val', 2) == 0
    printed = capsys.readouterr().out
    assert 'scale=(64, 48)' in (tmp_path / 'runs/supervised.py').read_text()
    assert '4 labelled, 3 unlabelled, 2 for validation' in printed
    assert [
        line.split('/')[-1].split('.py')[0] for line in printed.split('next:')[1].split('python ')
    ]
