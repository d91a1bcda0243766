# Copyright (c) mmseg_ctt contributors.
"""DICOM series that lie in several folders, and what else is in folders."""

import os
import shutil
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
from toy_dicom import parts_of, write_frames, write_series
from toy_volumes import toy_image

from mmseg_ctt.volumes.dicom import NoVolumeError, Series, find_series, sorted_files, unread_files


@pytest.fixture
def tool(load_tool):
    return load_tool('dataset_converters/dicom')


def sorted_time_points(tmp_path, *names):
    """Time points of one identifier in folders of their own, each brighter than the last."""
    for name in names:
        write_series(tmp_path / 'in' / name, added=10 * int(name[1:]))


def value_added(path):
    return float(np.mean(np.asanyarray(nib.load(path).dataobj) - toy_image(1)))


def test_time_points_in_folders_are_volumes_whose_names_stay(tmp_path, tool, capsys):
    sorted_time_points(tmp_path, 't2')
    assert parts_of(tmp_path, tool) == (0, ['P-1_1_T1-axial.nii.gz'])
    sorted_time_points(tmp_path, 't1', 't3')  # t1 is sorted before
    shutil.copytree(tmp_path / 'in/t2', tmp_path / 'in/t2_again')
    code, names = parts_of(tmp_path, tool)
    assert code == 2 and len(names) == 3  # t2 exists already
    out = capsys.readouterr().out
    assert 'one position' not in out and out.count('exists already') == 1 and 'warning' not in out
    added = [value_added(tmp_path / 'out' / name) for name in sorted(names, key=len)]
    assert added == [20, 10, 30]
    assert parts_of(tmp_path, tool) == (2, names)
    shutil.rmtree(tmp_path / 'in/t1')
    assert parts_of(tmp_path, tool) == (2, names)


def test_time_points_may_share_an_equal_file(tmp_path, tool):
    sorted_time_points(tmp_path, 't1', 't2')
    shutil.copy2(tmp_path / 'in/t1/1_3.dcm', tmp_path / 'in/t2/1_3.dcm')
    first, second = find_series(tmp_path / 'in')
    assert len(first.files) == len(second.files) == 8
    assert first.mark != second.mark


def test_frames_in_several_folders_are_no_series_together(tmp_path, tool):
    tags = {'0008|103e': 'OCT', '0020|000e': '1.2'}
    for name in ('a', 'b'):
        write_frames(tmp_path / f'in/{name}/f.dcm', True, **tags)
    assert [len(part.files) for part in find_series(tmp_path / 'in')] == [1, 1]


def test_what_is_no_regular_file_ends_nothing(tmp_path):
    write_series(tmp_path / 'in')
    os.mkfifo(tmp_path / 'in/pipe')
    os.symlink(tmp_path / 'nowhere', tmp_path / 'in/dangling.dcm')
    script = (
        'import sys; from mmseg_ctt.volumes.dicom import find_series, unread_files; '
        'found = find_series(sys.argv[1]); '
        'print(*(path for part in found for path in part.files), *unread_files(sys.argv[1], found))'
    )
    call = [sys.executable, '-c', script, str(tmp_path / 'in')]
    done = subprocess.run(call, capture_output=True, text=True, timeout=120, check=True)
    expected = {str(tmp_path / f'in/1_{k}.dcm') for k in range(8)}
    assert set(done.stdout.split()) == expected


def test_a_file_that_cannot_be_opened_is_left_out(tmp_path, monkeypatch):
    (tmp_path / 'a.dcm').write_bytes(bytes(128) + b'DICM')
    assert unread_files(tmp_path, ()) == [str(tmp_path / 'a.dcm')]

    def refused(*args, **kwargs):
        raise PermissionError('no permission')

    monkeypatch.setattr('builtins.open', refused)
    assert unread_files(tmp_path, ()) == []


KINDS = (
    *('2.1', '2.2', '4.1', '4.3', '4.4', '128.1', '130', '13.1.1', '13.1.2', '13.1.3', '77.1.5.4'),
    *('20', '30', '66.4'),
)


@pytest.mark.parametrize('kind', [*KINDS, '3.1'])
def test_kinds_of_files_of_frames(kind):
    tags = {'0008|0016': f'1.2.840.10008.5.1.4.1.1.{kind}', '0028|0008': '8'}
    series = Series('', '', ('f.dcm',), (tags,))
    if kind in KINDS:
        assert sorted_files(series) == ['f.dcm']
    else:  # ultrasound
        with pytest.raises(NoVolumeError, match='without position'):
            sorted_files(series)
