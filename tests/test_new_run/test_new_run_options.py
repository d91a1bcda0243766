# Copyright (c) mmseg_ctt contributors.
"""Arguments of new_run that are refused, and places that cannot be written to."""

from pathlib import Path

import pytest
from mmengine.config import Config
from toy_folders import KINDS, masks

from mmseg_ctt.engine.commands import report_of
from mmseg_ctt.lab.new_run import new_run


def files(root: Path) -> list:
    return sorted(root.rglob('*'))


@pytest.mark.parametrize(
    'options, error',
    [
        (dict(ignore='255'), r"ignore must be a list of .*\['255'\], got '255'"),
        (dict(ignore=0), 'ignore must be a list'),
        (dict(classes='abc'), "classes must be a list of names, .*got 'abc'"),
        (dict(palette=[0, 1, 2]), 'palette must be a list of colours'),
        (dict(palette='012'), 'palette must be a list of colours'),
        (dict(size=64.5), 'size must be the longer side .*got 64.5'),
        (dict(size='64'), "size must be .*got '64'"),
        (dict(val=2.5), 'val must be a whole number, got 2.5'),
        (dict(val=True), 'val must be a whole number'),
        (dict(seed='x'), "seed must be a whole number, got 'x'"),
        (dict(iterations='7'), "iterations must be a whole number, got '7'"),
        (dict(images=3), 'images must be the path of a folder, got 3'),
        (dict(name=3), 'name must be a text, got 3'),
    ],
)
def test_types(tmp_path: Path, options: dict, error: str):
    KINDS['no_meta'](tmp_path)
    before = files(tmp_path)
    with pytest.raises(TypeError, match=error):
        new_run(tmp_path, **options)
    assert files(tmp_path) == before


@pytest.mark.parametrize('option', ['images', 'masks', 'lists'])
def test_folders_that_do_not_exist_or_lie_elsewhere(tmp_path: Path, option: str):
    root = tmp_path / 'data'
    KINDS['no_meta'](root)
    with pytest.raises(FileNotFoundError, match=f'--{option} absent: there is no such folder'):
        new_run(root, **{option: 'absent'})
    with pytest.raises(ValueError, match=f'--{option} {tmp_path} is not in .*a link in it'):
        new_run(root, **{option: str(tmp_path)})


def test_links_to_folders_elsewhere(tmp_path: Path, monkeypatch):
    """As the error about such a folder advises, in whatever way the link is named."""
    root, other = tmp_path / 'data', tmp_path / 'other'
    KINDS['no_meta'](other)
    root.mkdir()
    (tmp_path / 'called').symlink_to(root)
    for name in ('images', 'masks'):
        (root / f'my_{name}').symlink_to(other / name)
    monkeypatch.chdir(tmp_path)
    for start in ('', f'{root}/', 'data/', 'called/'):
        options = dict(images=f'{start}my_images', masks=f'{start}my_masks')
        run = new_run('called', dry_run=True, **options)
        assert run.found.train.images_dir == 'my_images' and len(run.found.train.masks) == 6


def test_a_value_to_ignore_that_no_mask_has(tmp_path: Path):
    KINDS['no_meta'](tmp_path)
    with pytest.raises(ValueError, match='--ignore 12: no mask has it; the masks hold .*leave it'):
        new_run(tmp_path, ignore=['12'])
    new_run(tmp_path, ignore=['255'], dry_run=True)  # is no class of ids anyway
    colours = tmp_path / 'colours'
    KINDS['colour_masks'](colours)
    with pytest.raises(ValueError, match='--ignore 1,2,3 9: no mask has it'):
        new_run(colours, ignore=['9', '0', '1,2,3'])
    assert new_run(colours, ignore=['0'], dry_run=True).found.labels.names[0] != 'background'


@pytest.mark.parametrize('name', ['runs', 'splits', 'labels_ids'])
def test_a_file_in_the_way_of_a_folder(tmp_path: Path, name: str):
    KINDS['binary'](tmp_path)
    (tmp_path / name).write_text('')
    before = files(tmp_path)
    with pytest.raises(ValueError, match=name):
        new_run(tmp_path)
    assert files(tmp_path) == before


def test_a_folder_in_the_way_of_a_file(tmp_path: Path):
    KINDS['no_meta'](tmp_path)
    (tmp_path / 'runs/ctt-plus.py').mkdir(parents=True)
    before = files(tmp_path)
    with pytest.raises(ValueError, match='ctt-plus.py is a folder'):
        new_run(tmp_path)
    assert files(tmp_path) == before


def test_commands_work_without_images_for_validation(tmp_path: Path):
    KINDS['single'](tmp_path)
    assert not any('report.py' in line for line in new_run(tmp_path).commands)
    masks(tmp_path, ['01'])
    assert any('report.py' in line for line in new_run(tmp_path, name='b').commands)


@pytest.mark.parametrize('val', [None, dict(dataset={})])
def test_the_end_of_a_run_names_no_report_without_scores(tmp_path: Path, val):
    (tmp_path / 'supervised').mkdir()
    (tmp_path / 'supervised/last_checkpoint').write_text('iter_2.pth')
    config = tmp_path / 'ctt-plus.py'
    config.write_text(f'val_dataloader = {val}')
    found = report_of(Config.fromfile(config), tmp_path / 'ctt-plus')
    assert (found is None) == (val is None)


def test_an_option_that_is_given_twice(tmp_path: Path, load_tool, capsys):
    KINDS['no_meta'](tmp_path)
    tool = load_tool('misc/new_run')
    assert tool.exit_code(tmp_path, '--method', 'fixmatch', '--method', 'classmix') == 2
    assert '--method is given twice: leave one' in capsys.readouterr().err
    assert tool.exit_code(tmp_path, '--ignore', '0', '--ignore=1', '--dry-run') == 2
    assert tool.exit_code(tmp_path, '--method', 'fixmatch', '--dry-run') == 0
