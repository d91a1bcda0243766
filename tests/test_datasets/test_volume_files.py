# Copyright (c) mmseg_ctt contributors.
"""Which files are one case: by names, lists, suffixes and arrays."""

import h5py
import numpy as np
import pytest
from toy_volumes import toy_image, toy_label

from mmseg_ctt.datasets.volume_files import listed_names, named_volumes
from mmseg_ctt.volumes.names import case_names, pair_names


@pytest.mark.parametrize(
    'names, others, expected',
    [
        (['v'], ['p1/v', 'p2/v'], {'v': ['p1/v', 'p2/v']}),
        (['v'], ['p1/v', 'p1/w'], {'v': ['p1/v']}),
        (['p1/v'], ['p2/v'], {'p1/v': []}),
        (['p1/v', 'p2/v'], ['train/p1/v', 'train/p2/v'], 'train/'),
        (['p1/v', 'v'], ['v', 'p1/v'], ''),
        (['p1/v', 'v'], ['v'], {'p1/v': [], 'v': ['v']}),
        (['p1/v', 'p2/v'], ['v'], {'p1/v': ['v'], 'p2/v': ['v']}),
        (['xv'], ['v'], {'xv': []}),
    ],
)
def test_pairs_of_two_folders(names, others, expected):
    if isinstance(expected, str):
        expected = {name: [expected + name] for name in names}
    assert pair_names(names, others) == expected


LINES = {
    'p1/v': ['p1/v'],
    'train/p1/v.nii.gz': ['p1/v'],
    './p2/v\nw': ['p2/v', 'w'],
    'imgs/train/w': ['w'],
}
BAD_LINES = {
    'v': 'the volume v of the list .* may be p1/v or p2/v of imgs: name its folder too',
    'p3/v': 'the volume p3/v of the list .* is not in imgs',
    'p1/w': 'is not in imgs',
    'w\ntrain/w': 'names the volume w twice',
}


@pytest.mark.parametrize('text', [*LINES, *BAD_LINES])
def test_lines_of_a_list(tmp_path, text):
    stems = {
        name: [str(tmp_path / 'imgs/train' / name)] for name in ('p1/v', 'p2/v', 'w', 'p4/deep')
    }
    (tmp_path / 'list.txt').write_text(f'{text}\n')
    if text in LINES:
        assert listed_names(tmp_path / 'list.txt', stems, 'imgs') == LINES[text]
        return
    with pytest.raises((ValueError, FileNotFoundError), match=BAD_LINES[text]):
        listed_names(tmp_path / 'list.txt', stems, 'imgs')


def test_suffixes_and_arrays(tmp_path):
    for name in ('a_0000.npy', 'a_gt.npy', 'b.npy'):
        np.save(tmp_path / name, toy_image())
    np.savez(tmp_path / 'c_0000.npz', scan=toy_image(), image=toy_image())
    with h5py.File(tmp_path / 'd_0000.h5', 'w') as opened:
        opened['image'], opened['label'] = toy_image(), toy_label()

    def found(*settings):
        return {
            name: path[len(str(tmp_path)) + 1 :]
            for name, path in named_volumes(tmp_path, 'image', *settings).items()
        }

    arrays = dict(a='a_0000.npy', c='c_0000.npz:image', d='d_0000.h5:image')
    assert found('_0000.npy') == dict(a='a_0000.npy')
    assert found(None, None, '_gt.npy') == {
        **{f'{name}_0000': path for name, path in arrays.items()},
        'b': 'b.npy',
    }
    assert found('_0000.npz', 'scan') == dict(c='c_0000.npz:scan')
    assert case_names(['x/a_0000.npy', 'x/b.npy'], '_0000.npy') == {
        'x/a_0000.npy': 'a',
        'x/b.npy': 'b',
    }
    with pytest.raises(FileNotFoundError, match='the suffix that is set is _1.npy'):
        found('_1.npy')
