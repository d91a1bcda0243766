# Copyright (c) mmseg_ctt contributors.
"""Images with tags: what each kind of source gives, and what each mistake says."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from mmseg.registry import DATASETS
from tag_folders import (
    CLASSES,
    STEMS,
    make_image,
    make_images,
    make_mask,
    names,
    tagged,
    write_json,
)
from toy_data import LABELED, UNLABELED, toy_semi, toy_set

from mmseg_ctt.datasets import FolderSegDataset
from mmseg_ctt.datasets.sampler import DrawnImage, LabeledUnlabeledSampler
from mmseg_ctt.datasets.tag_checks import absent_tags, count_tags, disagreement

TAGS = {'a': ['cow'], 'b': [], 's/c': ['grass', 'traffic light']}


@pytest.fixture
def folder(tmp_path):
    return make_images(tmp_path)


@pytest.fixture
def lines(monkeypatch):
    """Gives the lines of the log since the last call."""
    records: list = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'handle', records.append)

    def new():
        found = [record.getMessage() for record in records]
        records.clear()
        return found

    return new


# ---- kinds of sources


def test_json(folder):
    write_json(folder, TAGS)
    dataset = tagged(folder)
    assert names(dataset) == TAGS
    assert dataset.tag_matrix().tolist() == [[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1]]
    assert dataset.tag_matrix().dtype == np.uint8
    assert dataset.get_cat_ids(2) == [2, 3]
    assert dataset.background_name == 'background'


def test_names_with_suffix_and_from_an_absolute_path(folder, tmp_path):
    path = write_json(tmp_path, {'a.jpg': ['cow'], 'b.JPG': ['cow', 'cow'], 's/c': ['grass']})
    assert names(tagged(folder, str(path)))['b'] == ['cow']


@pytest.mark.parametrize(
    'text',
    [
        'image,cow,grass,traffic light\na,1,0,0\nb,0,0,0\ns/c,0,1,1\n',
        '\ufeffStem;traffic light;cow;grass\r\nb.jpg;0;0;0\r\ns/c;1;0;True\r\na;0;1.0;false\r\n',
        'image,tags\na,cow\nb,\ns/c,grass;traffic light\n',
        'image\ttags\na\tcow\nb\t\ns/c\tgrass, traffic light\n',
        'id,labels\ns/c,"traffic light|grass"\n\na,cow\nb,\n',
    ],
)
def test_csv(folder, text):
    (folder / 'tags.csv').write_text(text)
    assert names(tagged(folder, 'tags.csv')) == TAGS


def test_csv_of_names_without_spaces(folder):
    (folder / 'tags.csv').write_text('image,tags\na,cow grass\nb,cow\ns/c,\n')
    assert names(tagged(folder, 'tags.csv'))['a'] == ['cow', 'grass']


def test_csv_with_a_class_called_like_a_column(folder):
    """Two columns of which the second is a class hold 0 and 1."""
    (folder / 'tags.csv').write_text('image,label\na,1\nb,0\ns/c,1\n')
    made = tagged(folder, 'tags.csv', metainfo=dict(classes=('background', 'label')))
    assert names(made) == {'a': ['label'], 'b': [], 's/c': ['label']}


def test_masks_are_read_once_and_their_paths_forgotten(folder):
    for stem, ids in (('a', [1, 1, 0]), ('b', [0]), ('s/c', [2, 2, 3, 255])):
        make_mask(folder / 'ann' / f'{stem}.png', ids)
    settings = dict(data_prefix=dict(img_path='img', seg_map_path='ann'))
    dataset = tagged(folder, 'masks', **settings)
    assert names(dataset) == TAGS
    shutil.rmtree(folder / 'ann')
    assert str(folder / 'ann').encode() not in pickle.dumps(dataset)
    assert 'seg_map_path' not in dataset.data_prefix and 'seg_map_path' not in dataset[0]
    with pytest.raises(FileNotFoundError, match='ann does not exist'):
        tagged(folder, 'masks', **settings)


def test_masks_with_few_pixels_of_a_class(folder):
    for stem in STEMS:
        make_mask(folder / 'ann' / f'{stem}.png', [1, 2, 2])
    prefix = dict(img_path='img', seg_map_path='ann')
    assert names(tagged(folder, 'masks', data_prefix=prefix))['a'] == ['cow', 'grass']
    made = tagged(folder, 'masks', data_prefix=prefix, min_pixels=2)
    assert names(made)['a'] == ['grass']


def test_a_mask_with_an_unknown_id(folder):
    for stem in STEMS:
        make_mask(folder / 'ann' / f'{stem}.png', [7 if stem == 'b' else 1])
    with pytest.raises(ValueError, match=r'b\.png holds ids outside 0\.\.3.*: 7 \(1 pixels\)'):
        tagged(folder, 'masks', data_prefix=dict(img_path='img', seg_map_path='ann'))


def test_folders_by_class(tmp_path):
    """Equal files are one image with all tags; files of one name alone are different images."""
    for name, colour in (('cow/x', 1), ('grass/x', 1), ('cow/y', 2), ('grass/y', 3)):
        make_image(tmp_path / 'img' / f'{name}.jpg', colour)
    make_image(tmp_path / 'img' / 'background' / 'z.jpg')
    assert names(tagged(tmp_path, 'folders')) == {
        'background/z': [],
        'cow/x': ['cow', 'grass'],
        'cow/y': ['cow'],
        'grass/y': ['grass'],
    }
    (tmp_path / 'list.txt').write_text('grass/x\ncow/y\n')  # the copy stands for both
    listed = tagged(tmp_path, 'folders', ann_file='list.txt')
    assert names(listed) == {'grass/x': ['cow', 'grass'], 'cow/y': ['cow']}


def test_list_classes_and_background_choose(folder):
    (folder / 'meta.json').write_text('{"classes": ["sky", "cow", "grass"]}')
    write_json(folder, {'a': ['cow', 'sky'], 'b': ['sky'], 's/c': ['grass']})
    (folder / 'list.txt').write_text('s/c\na\n')
    chosen = dict(metainfo=dict(classes=('things', 'grass', 'cow')), background='things')
    dataset = tagged(folder, ann_file='list.txt', **chosen)
    assert names(dataset) == {'s/c': ['grass'], 'a': ['cow']}  # sky is background now
    assert dataset.tag_matrix().tolist() == [[0, 1, 0], [0, 0, 1]]
    assert list(dataset.other_tags.values()) == [()]  # of b, which the list leaves out
    for stem in STEMS:
        make_mask(folder / 'ann' / f'{stem}.png', [0, 2])
    prefix = dict(img_path='img', seg_map_path='ann')
    assert names(tagged(folder, 'masks', data_prefix=prefix, **chosen))['b'] == ['grass']


def test_first_class_is_a_tag_unless_it_is_the_background(folder):
    write_json(folder, {'a': ['cow'], 'b': ['cow'], 's/c': ['grass']})
    made = tagged(folder, metainfo=dict(classes=('cow', 'grass')))
    assert made.background_name is None and made.tag_matrix().tolist() == [[1, 0], [1, 0], [0, 1]]
    with pytest.raises(ValueError, match="background='grass' must be the first.*'cow'"):
        tagged(folder, metainfo=dict(classes=('cow', 'grass')), background='grass')


def test_without_entry_may_be_skipped(folder):
    write_json(folder, {'a': ['cow'], 's/c': []})
    assert names(tagged(folder, skip_untagged=True)) == {'a': ['cow'], 's/c': []}
    no_background = dict(metainfo=dict(classes=('cow', 'grass')), skip_untagged=True)
    assert names(tagged(folder, **no_background)) == {'a': ['cow']}


# ---- mistakes, one line each

MISTAKES = {
    'no class': (dict(a=['cow'], b=['horse']), 'tags.json: image b has the tag .horse., .* cow'),
    'another spelling': (dict(a=['Cow']), "'Cow', which is no class: is it 'cow'"),
    'background': (dict(a=['background']), 'image a has the tag .background.: any image may'),
    'missing image': (
        dict(a=['cow'], b=[]),
        '1 of 3 images have no entry in .*such as s/c: add it',
    ),
    'nothing known': (dict(x=['cow'], y=[]), '2 of 2 images in .*are not in the folder.*as x, y'),
    'no list': (dict(a='cow'), 'tags of the image a are no list of names: write'),
    'no names': (dict(a=[1]), 'tags of the image a are no list of names: write'),
    'twice': ({'a': [], 'a.jpg': []}, 'names the image a twice, with and without its suffix'),
    'array': ([['a', 'cow']], 'tags.json is no JSON object: write {"image": '),
    'no JSON': ('{"a": ["cow"', 'tags.json is no valid JSON: .*line 1'),
    'equal keys': ('{"a": [], "b": [], "a": ["cow"]}', 'tags.json names the image a twice'),
    'no text': ('\udcff', 'tags.json is not a text file'),
}
CSV_MISTAKES = {
    'no header': ('a,cow\nb,\n', 'line 1 is no header of a table of tags: begin with "image,tags"'),
    'no image': ('image,cow\n', 'tags.csv holds no image'),
    'no class': ('image,cow,horse\na,1,0\n', "line 1 has the tag 'horse', which is no class"),
    'background': ('image,background\na,1\n', "line 1 has the tag 'background': any image"),
    'column twice': ('image,cow,cow\na,1,0\n', "line 1 has two columns 'cow'"),
    'no number': ('image,cow,grass\na,1,\n', "line 2: image a|line 2: column 'grass' holds ''"),
    'entries': ('image,cow,grass\na,1\n', 'line 2 has 2 entries, and line 1 3'),
    'unknown name': ('image,tags\na,cow horse\n', "line 2: image a has the tag 'horse'"),
    'twice': ('image,tags\na,cow\na,\n', 'tags.csv names the image a twice'),
}


@pytest.mark.parametrize('name', MISTAKES)
def test_mistakes_in_a_json(folder, name):
    given, message = MISTAKES[name]
    if isinstance(given, str):
        (folder / 'tags.json').write_bytes(given.encode(errors='surrogateescape'))
    else:
        write_json(folder, given)
    with pytest.raises(ValueError, match=message) as error:
        tagged(folder)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('name', CSV_MISTAKES)
def test_mistakes_in_a_csv(folder, name):
    text, message = CSV_MISTAKES[name]
    (folder / 'tags.csv').write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        tagged(folder, 'tags.csv')
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    'changes,message',
    [
        (dict(tags='mask'), "tags='mask' must be 'masks', 'folders', or a file that ends in .json"),
        (dict(tags=''), "tags='' must be"),
        (dict(tags='masks'), "tags='masks' needs data_prefix.seg_map_path"),
        (dict(min_pixels=5), 'min_pixels is of tags='),
        (dict(data_prefix=dict(img_path='img', seg_map_path='ann')), 'seg_map_path is of tags='),
        (dict(pipeline=[dict(type='LoadAnnotations')]), 'pipeline has LoadAnnotations, but images'),
        (
            dict(metainfo=dict(classes=CLASSES[1:])),
            '1 of 3 images of TaggedImageDataset show none of the classes, such as b, and there is',
        ),
    ],
)
def test_mistakes_in_the_settings(folder, changes, message):
    write_json(folder, TAGS)
    with pytest.raises(ValueError, match=message):
        tagged(folder, **{'tags': 'tags.json', **changes})


def test_mistakes_in_folders(tmp_path):
    make_image(tmp_path / 'img' / 'cow' / 'x.jpg')
    make_image(tmp_path / 'img' / 'y.jpg')
    with pytest.raises(ValueError, match=r'img/y.jpg is in no folder of a class'):
        tagged(tmp_path, 'folders')
    (tmp_path / 'img' / 'y.jpg').unlink()
    make_image(tmp_path / 'img' / 'horse' / 'y.jpg')
    with pytest.raises(ValueError, match="the folder .*img/horse has the tag 'horse', which is no"):
        tagged(tmp_path, 'folders')


def test_missing_files(folder):
    with pytest.raises(FileNotFoundError, match=r'the file of tags .*tags\.json does not exist'):
        tagged(folder)
    make_mask(folder / 'ann' / 'a.png', [1])
    with pytest.raises(ValueError, match='2 of 3 images have no mask in .*ann, such as b, s/c'):
        tagged(folder, 'masks', data_prefix=dict(img_path='img', seg_map_path='ann'))


def test_tags_of_images_that_do_not_exist_are_counted(folder, lines):
    write_json(folder, {**TAGS, 'x': ['cow'], 'y': []})
    assert names(tagged(folder)) == TAGS
    (line,) = [line for line in lines() if 'not in the folder' in line]
    assert '2 of 5 images in' in line and 'such as x, y: their tags are not used' in line


# ---- background of classes that are left out


def test_masks_with_background(tmp_path):
    make_images(tmp_path, ['a'])
    make_mask(tmp_path / 'ann' / 'a.png', [0, 1, 2, 255])
    (tmp_path / 'meta.json').write_text(
        '{"classes": ["sky", "cow", "grass"], "palette": [[1, 1, 1], [2, 2, 2], [3, 3, 3]]}'
    )
    settings = dict(
        data_root=str(tmp_path),
        data_prefix=dict(img_path='img', seg_map_path='ann'),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')],
    )
    chosen = dict(metainfo=dict(classes=('background', 'cow')))
    with pytest.raises(ValueError, match="'background', but .*meta.json"):
        FolderSegDataset(**settings, **chosen)
    made = FolderSegDataset(**settings, **chosen, background='background')
    assert made[0]['gt_seg_map'][0].tolist() == [0, 1, 0, 255, 255, 255]
    assert made.metainfo['palette'] == [[0, 0, 0], [2, 2, 2]]
    # without meta.json, the names of the ids are said
    (tmp_path / 'meta.json').unlink()
    known = dict(known_classes=('sky', 'cow', 'grass'), background='grass')
    made = FolderSegDataset(**settings, **known, metainfo=dict(classes=('grass', 'cow')))
    assert made[0]['gt_seg_map'][0].tolist() == [0, 1, 0, 255, 255, 255]
    made = FolderSegDataset(**settings, known_classes=('sky', 'cow', 'grass'))
    assert made.metainfo['classes'] == ('sky', 'cow', 'grass')


# ---- as a source of a run


def semi(root, **changes):
    source = toy_set(
        root, False, type='TaggedImageDataset', tags='tags.json', background='class0', **changes
    )
    return {**toy_semi(root), 'split': None, 'labeled': None, 'unlabeled': None, 'tagged': source}


def test_samples_have_the_tags_of_their_image(root):
    dataset = DATASETS.build(semi(root))
    matrix = dataset.tag_matrix()
    assert matrix.shape == (len(LABELED + UNLABELED), 4) and not matrix[:, 0].any()
    for i in range(len(dataset)):
        sample = dataset[i]['data_samples']
        assert sample.gt_tags.label.tolist() == matrix[i].tolist()
        assert sample.gt_tags.metainfo['background'] and 'gt_sem_seg' not in sample
    assert dataset.masked == () and dataset.with_tags == ('tagged',)


def test_matrix_of_repeated_and_joined_sets(root):
    (root / 'one.txt').write_text('u2\n')
    part = semi(root)['tagged']
    joined = dict(
        type='ConcatDataset',
        datasets=[
            dict(type='RepeatDataset', times=2, dataset=dict(part, ann_file='one.txt')),
            dict(part, ann_file='one.txt'),
        ],
    )
    plain = DATASETS.build(semi(root))
    stems = [plain.sources['tagged'].get_data_info(i)['stem'] for i in range(len(plain))]
    dataset = DATASETS.build({**semi(root), 'tagged': joined})
    row = plain.tag_matrix()[stems.index('u2')].tolist()
    assert dataset.tag_matrix().tolist() == [row] * 3
    with pytest.raises(ValueError, match=r'dataset\.labeled has no tags'):
        DATASETS.build(toy_semi(root)).tag_matrix('labeled')


def test_ranks_and_resume_draw_the_same_tags(root):
    dataset = DATASETS.build(semi(root))

    def drawn(rank=0, world=1, start=0, number=6):
        sampler = LabeledUnlabeledSampler(dataset, ratio=dict(tagged=1), seed=3)
        sampler.rank, sampler.world_size = rank, world
        sampler.advance_to(start)
        draws = iter(sampler)
        return [next(draws) for _ in range(number)]

    whole = drawn(number=12)
    assert drawn(start=4, number=8) == whole[4:]
    assert [draw for pair in zip(drawn(0, 2), drawn(1, 2)) for draw in pair] == whole
    samples = [dataset[DrawnImage(*draw)] for draw in whole]
    batch = pseudo_collate(samples)
    labels = [sample.gt_tags.label.tolist() for sample in batch['data_samples']]
    assert labels == [dataset.tag_matrix()[draw.idx].tolist() for draw in whole]


def test_counts_are_logged_before_training(root, lines):
    write_json(root, {stem: ['class1'] * (stem != 'u0') for stem in LABELED + UNLABELED})
    DATASETS.build(semi(root))
    found = [line for line in lines() if 'train_dataloader.dataset.tagged' in line]
    total = len(LABELED + UNLABELED)
    assert f'{total} images, {(total - 1) / total:.2f} tags an image, 1 images without' in found[0]
    assert f'images of each tag: class1 {total - 1}, class2 0, class3 0' in found[0]
    assert 'no image has the tag class2, class3: tags cannot teach them' in found[1]


def test_tags_beside_masks_of_the_labelled_source(root, lines):
    """A file with the tags of all images is compared with the masks that exist."""
    settings = toy_semi(root)
    write_json(root, {stem: ['class1'] for stem in LABELED + UNLABELED})
    settings['unlabeled'] = semi(root)['tagged']
    DATASETS.build(settings)
    (line,) = [line for line in lines() if 'differ' in line]
    assert 'dataset.unlabeled: tags and masks of 3 of 3 images differ, such as' in line
    assert 'class2: 3 with pixels and no tag; class3: 3 with pixels and no tag' in line
    write_json(root, {stem: ['class1', 'class2', 'class3'] for stem in LABELED + UNLABELED})
    DATASETS.build(settings)
    assert not [line for line in lines() if 'differ' in line]


def test_count_and_compare_by_hand():
    matrix = np.array([[0, 1, 1], [0, 1, 0], [0, 0, 0]], np.uint8)
    assert count_tags(matrix, ('background', 'x', 'y'), 'background') == (
        '3 images, 1.00 tags an image, 1 images without any; images of each tag: x 2, y 1'
    )
    assert absent_tags(matrix, ('background', 'x', 'y'), 'background') is None
    assert absent_tags(matrix, ('w', 'x', 'y'), None).startswith('no image has the tag w: ')
    shown = matrix.astype(bool).copy()
    assert disagreement('abc', matrix > 0, shown, 'wxy') is None
    shown[2, 1], shown[0, 2] = True, False
    assert disagreement('abc', matrix > 0, shown, 'wxy') == (
        'tags and masks of 2 of 3 images differ, such as a, c (x: 1 with pixels and no tag; '
        'y: 1 tagged without a pixel): correct the tags or the masks'
    )


def test_unlabelled_images_with_tags_have_no_masks(root):
    """The source of unlabelled images may read tags from masks, and keeps no path to them."""
    for seed, stem in enumerate(UNLABELED):
        make_mask(root / 'all' / f'{stem}.png', [1, seed % 2])
    source = toy_set(
        root,
        False,
        type='TaggedImageDataset',
        tags='masks',
        data_prefix=dict(img_path='img', seg_map_path='all'),
        background='class0',
    )
    dataset = DATASETS.build({**toy_semi(root), 'unlabeled': source})
    assert dataset.with_tags == ('unlabeled',) and dataset.masked == ('labeled',)
    assert str(Path('all')) not in str(dataset.unlabeled.data_prefix)
    shutil.rmtree(root / 'all')
    assert dataset[len(LABELED)]['data_samples'].gt_tags.label.tolist() == [0, 1, 0, 0]
    source['pipeline'].insert(1, dict(type='LoadAnnotations'))
    with pytest.raises(
        ValueError, match='has LoadAnnotations, but unlabelled images have no masks'
    ):
        DATASETS.build({**toy_semi(root), 'unlabeled': source})
