# Copyright (c) mmseg_ctt contributors.
"""Names of files that are made from images."""

from pathlib import Path

import pytest

from mmseg_ctt.datasets.output_names import OutputNames, names_of_dataset

CASES = {
    'one folder': (['x/a.png', 'x/b.png'], None, ['a', 'b']),
    'sub-folders': (['x/day0/0.png', 'x/day1/0.png'], None, ['day0/0', 'day1/0']),
    'below the root': (['x/day0/0.png', 'x/day0/1.png'], 'x', ['day0/0', 'day0/1']),
    'root elsewhere': (['x/day0/0.png', 'x/day1/0.png'], 'y', ['day0/0', 'day1/0']),
    'root of a similar name': (['xy/a.png', 'xy/b.png'], 'x', ['a', 'b']),
    'suffixes': (['x/a.png', 'x/a.jpg', 'x/b.png'], None, ['a.png', 'a.jpg', 'b']),
    'several levels': (['x/u/v/0.png', 'x/u/0.png'], None, ['v/0', '0']),
    'a suffix that looks like another': (
        ['x/a.png', 'x/a.jpg', 'x/a.png.bmp'],
        None,
        ['a.png', 'a.jpg', 'a.png_2'],
    ),
    'absolute': (['/x/day0/0.png', '/y/0.png'], None, ['x/day0/0', 'y/0']),
    'no image': ([], 'x', []),
}


@pytest.mark.parametrize('name', CASES)
def test_names(name):
    paths, root, expected = CASES[name]
    names = OutputNames(map(Path, paths), root)
    assert [names.of(path) for path in paths] == expected
    assert len(set(expected)) == len(paths)


def test_images_that_are_not_known():
    names = OutputNames(['x/a.png'])
    assert [names.of(path) for path in ('y/a.png', 'z/b.png', 'y/a.png')] == ['a_2', 'b', 'a_2']


def test_of_a_data_set():
    class Data:
        data_prefix = dict(img_path='data/img')

        def __len__(self) -> int:
            return 2

        def get_data_info(self, index: int) -> dict:
            return dict(img_path=f'data/img/day{index}/0.jpg')

    assert names_of_dataset(Data()).of('data/img/day1/0.jpg') == 'day1/0'
    assert names_of_dataset([1]).of('q/7.jpg') == '7'
