# Copyright (c) mmseg_ctt contributors.
"""``make_split.py masks``: classes, validation images, names of masks, masks that are no ids."""

import argparse
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from leaves import CONFIGS
from mmengine.config import Config, DictAction
from mmseg.registry import DATASETS
from PIL import Image
from test_make_split import lines, one_line_error

from mmseg_ctt.datasets import FolderSegDataset

FOLDER_CONFIG = CONFIGS / 'ctt' / 'ctt_deeplabv3plus_mobilenetv2_folder.py'


@pytest.fixture
def main(load_tool):
    return load_tool('dataset_converters/make_split').exit_code


def test_images_without_masks(main, mine, tmp_path, capsys):
    """Lists of disjoint images, the same for a seed; nothing is replaced."""
    mine()
    folder, out = tmp_path / 'images', tmp_path / 'splits' / 'images'
    command = ['images', '--img-dir', str(folder), '--val', '4', '--out', str(out)]
    assert (
        main(*command) == 0
        and '9 images to learn from, 4 for validation' in capsys.readouterr().out
    )
    unlabeled, val = lines(out / 'unlabeled.txt'), lines(out / 'val.txt')
    assert len(unlabeled) == 9 and len(val) == 4 and len({*unlabeled, *val}) == 13
    assert main(*command) == 0 and lines(out / 'val.txt') == val
    assert main(*command, '--seed', '1') == 2
    assert 'already holds another list' in one_line_error(capsys)
    assert main(*command, '--seed', '1', '--overwrite') == 0 and lines(out / 'val.txt') != val
    assert main('verify', str(out)) == 0


@pytest.mark.parametrize('val', [0, 13])
def test_images_without_masks_need_both_lists(main, mine, tmp_path, capsys, val):
    mine()
    out = str(tmp_path / 'out')
    command = ['images', '--img-dir', str(tmp_path / 'images'), '--val', str(val), '--out', out]
    assert main(*command) == 2
    assert f'--val {val} must be between 1 and 12' in one_line_error(capsys)


@pytest.fixture
def mine(tmp_path):
    """Twelve images with masks, one without: class 2 in three masks, class 3 in one."""

    def write(change=lambda ids: ids, image='{}.jpg', mask='{}.png', folder=''):
        for i in range(13):
            path = tmp_path / folder / 'images' / image.format(f'{"ab"[i % 2]}/{i:02d}')
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new('RGB', (4, 4), (i, 0, 0)).save(path, format='PNG')
            ids = np.zeros((4, 4), np.uint8)
            ids[0] = 1
            ids[1] = 2 if i in (3, 4, 9) else 3 if i == 7 else 255
            path = tmp_path / folder / 'masks' / mask.format(f'{"ab"[i % 2]}/{i:02d}')
            path.parent.mkdir(parents=True, exist_ok=True)
            if i < 12:
                Image.fromarray(change(ids)).save(path, format='PNG')
        (tmp_path / 'meta.json').write_text('{"classes": ["road", "sky", "car", "dog"]}')
        return ['masks', '--img-dir', tmp_path / 'images', '--ann-dir', tmp_path / 'masks']

    return write


def parser():
    made = argparse.ArgumentParser()
    made.add_argument('--cfg-options', nargs='+', action=DictAction)
    return made


def manifest_of(folder):
    return json.loads((folder / 'manifest.json').read_text())


@pytest.mark.parametrize('seed', range(6))
def test_masks_cover_classes_in_both_parts(main, mine, tmp_path, capsys, seed):
    out = tmp_path / 'mine'
    assert main(*mine(), '--val', 2, '--seed', seed, '--out', out) == 0
    printed = capsys.readouterr().out
    counts = manifest_of(out)['class_images']
    assert counts['car']['val'] >= 1 and counts['car']['labeled'] >= 1 and counts['car']['all'] == 3
    assert counts['dog'] == dict(val=0, labeled=1, all=1)
    assert 'no image for validation shows dog (1 labelled)' in printed
    assert 'no labelled image' not in printed
    assert manifest_of(out)['missing_classes'] == dict(labeled=[], val=['dog'])
    assert manifest_of(out)['seed'] == seed and lines(out / 'unlabeled.txt') == ['a/12']
    first = (out / 'val.txt').read_bytes()
    assert main(*mine(), '--val', 2, '--seed', seed, '--out', tmp_path / 'again') == 0
    assert (tmp_path / 'again' / 'val.txt').read_bytes() == first


def test_seed_changes_the_validation_list(main, mine, tmp_path):
    drawn = set()
    for seed in range(6):
        out = tmp_path / str(seed)
        assert main(*mine(), '--val', 2, '--seed', seed, '--out', out) == 0
        drawn.add((out / 'val.txt').read_text())
    assert len(drawn) > 1


def test_classes_missing_in_training_are_named(main, mine, tmp_path, capsys):
    assert main(*mine(), '--val', 11, '--out', tmp_path / 'mine') == 0
    assert re.search('no labelled image shows .*(car|dog)', capsys.readouterr().out)
    assert manifest_of(tmp_path / 'mine')['missing_classes']['labeled']


def test_masks_without_a_validation_list(main, mine, tmp_path, capsys):
    out = tmp_path / 'mine'
    assert main(*mine(), '--out', out) == 0
    printed = capsys.readouterr().out
    assert 'no val.txt was written' in printed and '--val-img-dir' in printed
    assert not (out / 'val.txt').exists() and len(lines(out / 'labeled.txt')) == 12
    assert set(manifest_of(out)['files']) == {'labeled.txt', 'unlabeled.txt'}
    assert main('verify', out) == 0


def test_no_unlabelled_image(main, mine, tmp_path, capsys):
    command = mine()
    (tmp_path / 'images/a/12.jpg').unlink()
    assert main(*command, '--val', 2, '--out', tmp_path / 'mine') == 0
    assert 'warning: no image is unlabelled' in capsys.readouterr().out


def test_old_validation_list_is_not_trained_on(main, mine, tmp_path, capsys):
    out = tmp_path / 'mine'
    assert main(*mine(), '--val', 2, '--out', out) == 0
    assert main(*mine(), '--out', out, '--overwrite') == 2
    assert 'val.txt of an earlier split names 2 of these images' in one_line_error(capsys)
    assert len(lines(out / 'labeled.txt')) == 10


def test_validation_in_a_folder_of_its_own(main, mine, tmp_path, capsys):
    command, out = mine(), tmp_path / 'mine'
    mine(folder='val')
    other = ['--val-img-dir', tmp_path / 'val/images', '--val-ann-dir', tmp_path / 'val/masks']
    assert main(*command, *other, '--out', out) == 2
    assert '1 images in' in one_line_error(capsys)
    (tmp_path / 'val/images/a/12.jpg').unlink()
    assert main(*command, *other, '--out', out) == 0
    printed = capsys.readouterr().out
    for loader in ('val', 'test'):
        key = f'{loader}_dataloader.dataset'
        assert f'{key}.ann_file= {key}.data_prefix.img_path=val/images' in printed
    options = [word for word in printed.split() if '_dataloader.dataset.' in word]
    cfg = Config.fromfile(FOLDER_CONFIG)
    cfg.merge_from_dict(vars(parser().parse_args(['--cfg-options', *options]))['cfg_options'])
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        dataset = DATASETS.build({**loader.dataset, 'data_root': str(tmp_path)})
        assert len(dataset) == 12 and 'val/masks/a' in dataset.get_data_info(0)['seg_map_path']
    assert not (out / 'val.txt').exists() and len(lines(out / 'labeled.txt')) == 12
    assert manifest_of(out)['class_images']['dog'] == dict(labeled=1, val=1, all=1)
    assert main(*command, *other[:2], '--out', out) == 2
    assert 'give --val, or both' in one_line_error(capsys)
    inside = ['--val-img-dir', tmp_path / 'images/a', '--val-ann-dir', tmp_path / 'masks/a']
    assert main(*command, *inside, '--out', out) == 2
    assert 'would be trained on' in one_line_error(capsys)


@pytest.mark.parametrize(
    'image,mask,options',
    [
        ('{}.JPG', '{}.PNG', []),
        ('{}.webp', '{}_GT.png', ['--suffix', '_GT.png']),
        ('{} x.tif', '{} x_gt.PNG', ['--suffix', '_GT.png']),
        ('{}.Jpeg', '{}.TIF', ['--suffix', '.tif']),
    ],
)
def test_names_of_images_and_masks(main, mine, tmp_path, image, mask, options):
    out = tmp_path / 'splits/mine'
    assert main(*mine(image=image, mask=mask), *options, '--val', 3, '--out', out) == 0
    suffix = options[1] if options else '.png'
    for name, number in (('labeled', 9), ('val', 3)):
        dataset = FolderSegDataset(
            data_root=str(tmp_path),
            ann_file=f'splits/mine/{name}.txt',
            data_prefix=dict(img_path='images', seg_map_path='masks'),
            seg_map_suffix=suffix,
        )
        infos = [dataset.get_data_info(i) for i in range(len(dataset))]
        assert len(infos) == number
        assert all(Path(info[key]).is_file() for info in infos for key in list(info)[:1])
        assert all(Path(info['seg_map_path']).is_file() for info in infos)


def test_likely_suffix_is_named(main, mine, tmp_path, capsys):
    assert main(*mine(mask='{}_GT.PNG'), '--out', tmp_path / 'mine') == 2
    line = one_line_error(capsys)
    assert 'a/00_GT.PNG: if this is the mask of a/00.jpg, give --suffix _GT.PNG' in line
    shutil.rmtree(tmp_path / 'masks')
    command = mine()
    (tmp_path / 'masks/a/extra.png').write_bytes((tmp_path / 'masks/a/00.png').read_bytes())
    assert main(*command, '--out', tmp_path / 'mine', '--suffix', '.png') == 0
    assert 'a mask has the name of its image' in capsys.readouterr().out


def test_command_of_a_folder_with_a_space(main, mine, tmp_path, capsys):
    command = mine(
        lambda ids: np.array(Image.fromarray(ids).convert('RGB')),
        mask='{}_GT.png',
        folder='my data',
    )
    command[2], command[4] = tmp_path / 'my data/images', tmp_path / 'my data/masks'
    assert main(*command, '--suffix', '_GT.png', '--out', tmp_path / 'mine') == 2
    line = one_line_error(capsys)
    folder = f"'{tmp_path}/my data/masks'"
    assert f"colour_masks.py {folder} {folder[:-1]}_ids' --suffix _GT.png" in line


def test_masks_and_images_in_one_folder(main, mine, tmp_path):
    command = mine(mask='{}_GT.png')
    shutil.copytree(tmp_path / 'masks', tmp_path / 'images', dirs_exist_ok=True)
    command[-1] = tmp_path / 'images'
    assert main(*command, '--suffix', '_GT.png', '--out', tmp_path / 'mine') == 0
    assert len(lines(tmp_path / 'mine/labeled.txt')) == 12
    assert lines(tmp_path / 'mine/unlabeled.txt') == ['a/12']


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'LA'])
def test_colour_masks_are_refused_by_command(main, mine, tmp_path, capsys, mode):
    command = mine(lambda ids: np.array(Image.fromarray(ids).convert(mode)))
    assert main(*command, '--out', tmp_path / 'mine') == 2
    line = one_line_error(capsys)
    assert '12 of 12 masks' in line and 'tools/dataset_converters/colour_masks.py' in line
    make = ('make', '--ann-dir', tmp_path / 'masks', '--num-classes', 4, '--num', 4)
    assert main(*make, '--out', tmp_path / 'o') == 2
    assert 'tools/dataset_converters/colour_masks.py' in one_line_error(capsys)
    assert not (tmp_path / 'mine').exists() and not (tmp_path / 'o').exists()


def test_binary_masks_are_named(main, mine, tmp_path, capsys):
    command = mine(lambda ids: np.where(ids == 2, 255, 0).astype(np.uint8))
    assert main(*command, '--out', tmp_path / 'mine') == 0
    printed = capsys.readouterr().out
    assert '0 and 255' in printed and 'colour_masks.py' in printed and '--palette 0 255' in printed
    assert 'shows sky, car, dog' in printed
    assert main(*mine(), '--out', tmp_path / 'good') == 0
    assert 'colour_masks' not in capsys.readouterr().out


def test_masks_of_another_ending_are_named(main, mine, tmp_path, capsys):
    assert main(*mine(mask='{}.tif'), '--out', tmp_path / 'mine') == 2
    line = one_line_error(capsys)
    assert 'no file there ends in .png, but in .tif' in line and '--suffix' in line


def test_masks_of_other_classes(main, mine, tmp_path, capsys):
    assert main(*mine(lambda ids: ids * 2), '--out', tmp_path / 'mine') == 2
    assert 'outside 0..3' in one_line_error(capsys)
    assert main(*mine(), '--num-classes', 3, '--out', tmp_path / 'mine') == 2
    assert '--num-classes 3' in one_line_error(capsys)
    command = mine()
    (tmp_path / 'meta.json').unlink()
    assert main(*command, '--val', 2, '--out', tmp_path / 'mine') == 0
    assert 'class 3 (1 labelled)' in capsys.readouterr().out


def test_tiles_of_a_scene_stay_together(main, tmp_path, capsys):
    """Those of cut_rasters.py share pixels at the edges; and masks without a label are named."""
    stems = [f'{scene}_r000000_c{32 * k:06d}' for scene in 'abc' for k in range(3)]
    for number, stem in enumerate([*stems, *(f'{scene}_r000032_c000000' for scene in 'abc')]):
        for folder in ('images', 'masks') if stem in stems else ('images',):
            (tmp_path / folder).mkdir(exist_ok=True)
            value = 255 if folder == 'masks' and stem == stems[0] else number % 2
            Image.new('L', (4, 4), value).save(tmp_path / folder / f'{stem}.png')
    given = ['--img-dir', tmp_path / 'images', '--val', 3]
    assert main('masks', *given, '--ann-dir', tmp_path / 'masks', '--out', tmp_path / 'a') == 0
    printed = capsys.readouterr().out
    assert '1 masks in' in printed and f'have no labelled pixel, such as {stems[0]}.png' in printed
    val, bare = lines(tmp_path / 'a/val.txt'), lines(tmp_path / 'a/unlabeled.txt')
    assert len(val) == 3 and len({stem[0] for stem in val}) == 1 and len(bare) == 2
    assert f'share pixels: {val[0][0]}; 1 unlabelled tiles of them are on no list' in printed
    assert not any(stem[0] == val[0][0] for stem in [*bare, *lines(tmp_path / 'a/labeled.txt')])
    assert main('images', *given, '--out', tmp_path / 'b') == 0
    assert 'whole scenes are kept' in capsys.readouterr().out
    assert len({stem[0] for stem in lines(tmp_path / 'b/val.txt')}) == 1
