# Copyright (c) mmseg_ctt contributors.
import locale
import re
import shutil
import sys

import nibabel as nib
import numpy as np
import pytest
from toy_dicom import DIRECTION, ORIGIN, SPACING, parts_of, write_frames, write_series
from toy_volumes import toy_image

from mmseg_ctt.volumes.dicom import Series, find_series, output_names, sorted_files


@pytest.fixture
def tool(load_tool):
    return load_tool('dataset_converters/dicom')


@pytest.mark.parametrize(
    'patients, names',
    [
        (['P', 'P', 'P'], ['P', 'P_2', 'P_3']),
        (['P_1', 'P_1', 'P_1_2'], ['P-1', 'P-1_2', 'P-1-2']),  # _ is of the names of files
        (['P', 'p', 'P'], ['P', 'p_2', 'P_3']),
    ],
)
def test_names_of_series(patients, names):
    series = [Series('', '', (), ({'0010|0020': patient},)) for patient in patients]
    assert output_names(series) == names


def test_numbered_names_are_no_names_of_others():
    parts = [({'0010|0020': 'P', '0020|0011': '1'},)] * 2
    parts.append(({'0010|0020': 'P', '0020|0011': '1', '0008|103e': '2'},))
    names = output_names([Series('', '', (), tags) for tags in (*parts, parts[0])])
    assert names == ['P_1', 'P_1_3', 'P_1_2', 'P_1_4']


def test_geometry_is_kept(tmp_path, tool, capsys):
    before = locale.setlocale(locale.LC_ALL)
    write_series(tmp_path / 'in/deep')
    assert tool.exit_code(str(tmp_path / 'in'), str(tmp_path / 'out')) == 0
    assert '12 x 10 x 8' in capsys.readouterr().out
    assert locale.setlocale(locale.LC_ALL) == before
    image = nib.load(tmp_path / 'out/P-1_1_T1-axial.nii.gz')
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), toy_image(1))
    lps = np.eye(4)
    lps[:3, :3], lps[:3, 3] = DIRECTION * SPACING, ORIGIN
    np.testing.assert_allclose(image.affine, np.diag([-1, -1, 1, 1]) @ lps, atol=1e-5)
    np.testing.assert_allclose(image.header.get_zooms(), SPACING, atol=1e-6)


def test_every_series_has_a_name_of_its_own_and_nothing_is_replaced(tmp_path, tool, capsys):
    write_series(tmp_path / 'in', 1)
    write_series(tmp_path / 'in', 2)
    write_series(tmp_path / 'in/other', 1, uid=7)
    assert tool.exit_code(str(tmp_path / 'in'), str(tmp_path / 'out'), '--dry-run') == 0
    assert not (tmp_path / 'out').exists()
    assert tool.exit_code(str(tmp_path / 'in'), str(tmp_path / 'out')) == 0
    names = sorted(path.name for path in (tmp_path / 'out').iterdir())
    assert names == ['P-1_1_T1-axial.nii.gz', 'P-1_1_T1-axial_2.nii.gz', 'P-1_2_T1-axial.nii.gz']
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / 'out').iterdir()}
    capsys.readouterr()
    assert tool.exit_code(str(tmp_path / 'in'), str(tmp_path / 'out')) == 2
    assert 'exists already and is kept' in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / 'out').iterdir()} == before


def test_a_series_in_several_folders_is_one_volume(tmp_path, tool, capsys):
    write_series(tmp_path / 'in/a', keep=range(4))
    write_series(tmp_path / 'in/b', keep=range(4, 8))
    shutil.copytree(tmp_path / 'in/b', tmp_path / 'in/again')
    assert parts_of(tmp_path, tool) == (0, ['P-1_1_T1-axial.nii.gz'])
    out = capsys.readouterr().out
    assert '12 x 10 x 8' in out and 'warning' not in out
    image = nib.load(tmp_path / 'out/P-1_1_T1-axial.nii.gz')
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), toy_image(1))


def test_one_identifier_of_two_patients(tmp_path, tool):
    write_series(tmp_path / 'in/a')
    write_series(tmp_path / 'in/b', patient='Q')
    names = ['P-1_1_T1-axial.nii.gz', 'Q_1_T1-axial.nii.gz']
    assert parts_of(tmp_path, tool) == (0, names)


def test_damaged_files_are_counted(tmp_path, tool, capsys):
    write_series(tmp_path / 'in')
    path = tmp_path / 'in/1_7.dcm'  # the last slice: no gap tells of it
    path.write_bytes(path.read_bytes()[:-100])
    (tmp_path / 'in/DICOMDIR').write_bytes(path.read_bytes())
    (tmp_path / 'in/notes.txt').write_text('no DICOM')
    assert parts_of(tmp_path, tool)[0] == 0
    out = capsys.readouterr().out
    assert f'warning: 1 DICOM files are in no series and left out, such as {path}' in out
    for file in (tmp_path / 'in').glob('*.dcm'):
        file.write_bytes(path.read_bytes())
    assert parts_of(tmp_path, tool)[0] == 2
    assert 'was found in' in (error := capsys.readouterr().err) and '8 DICOM files' in error


def test_names_stay_when_series_come_later(tmp_path, tool, capsys):
    write_series(tmp_path / 'in/m', 1, uid=5)
    assert parts_of(tmp_path, tool)[0] == 0
    first = (tmp_path / 'out/P-1_1_T1-axial.nii.gz').read_bytes()
    write_series(tmp_path / 'in/a', 1, uid=6)  # sorted before the other
    write_series(tmp_path / 'in/z', 1, uid=7)
    (tmp_path / 'out/foreign.nii.gz').write_text('no gzip')
    code, names = parts_of(tmp_path, tool)
    assert code == 2 and names[:3] == [f'P-1_1_T1-axial{end}.nii.gz' for end in ('', '_2', '_3')]
    lines = [line for line in capsys.readouterr().out.splitlines() if 'exists already' in line]
    assert len(lines) == 1 and 'in/m: ' in lines[0]
    assert (tmp_path / 'out/P-1_1_T1-axial.nii.gz').read_bytes() == first
    shutil.rmtree(tmp_path / 'in/a')
    assert parts_of(tmp_path, tool) == (2, names)


@pytest.mark.parametrize('groups', [True, False])
def test_a_file_of_frames(tmp_path, tool, capsys, groups):
    write_series(tmp_path / 'in')
    write_frames(tmp_path / 'in/frames/f.dcm', groups)
    code, names = parts_of(tmp_path, tool)
    out = capsys.readouterr().out
    assert code == 0 and len(names) == (2 if groups else 1)
    assert groups or 'f.dcm has 8 frames without position and direction' in out


BAD = {
    '2 slices are missing between 1_2.dcm and 1_5.dcm': dict(keep=[0, 1, 2, 5, 6, 7]),
    'mixed spacing, 1.9 mm between': dict(shift={k: 0.4 for k in range(4, 8)}),
    'are at one position': dict(shift={4: -1.5}),
    'different pixel spacings': dict(pixel=[0.6, 0.9]),
    'different directions': {'0020|0037': '1\\0\\0\\0\\1\\0'},
    'shifted sideways': {'0020|0032': '5.5\\-10\\30'},
}


@pytest.mark.parametrize('message', BAD)
def test_a_bad_series_is_one_line(tmp_path, tool, capsys, message):
    write_series(tmp_path / 'in', **BAD[message])
    code = tool.exit_code(str(tmp_path / 'in'), str(tmp_path / 'out'))
    lines = capsys.readouterr().out.splitlines()
    assert code == 2 and len(lines) == 1
    assert re.search(message, lines[0])


@pytest.mark.parametrize(
    'message, settings',
    [
        ('is a localizer', dict(kind='ORIGINAL\\PRIMARY\\LOCALIZER')),
        ('single slice', dict(keep=[0])),
    ],
)
def test_what_is_no_volume_is_left_out(tmp_path, tool, capsys, message, settings):
    write_series(tmp_path / 'in', 1, **settings)
    write_series(tmp_path / 'in', 2)
    assert tool.exit_code(str(tmp_path / 'in'), str(tmp_path / 'out')) == 0
    out = capsys.readouterr().out
    assert 'left out: series' in out and message in out and '1 of 2 series converted' in out


def test_a_slice_without_geometry(tmp_path):
    write_series(tmp_path / 'in')
    (series,) = find_series(tmp_path / 'in')
    del series.tags[2]['0020|0032']
    with pytest.raises(ValueError, match=r'.dcm lacks the tag \(0020.0032\) of its geometry'):
        sorted_files(series)


def test_no_series_and_no_library(tmp_path, tool, monkeypatch, capsys):
    (tmp_path / 'in').mkdir()
    (tmp_path / 'in/a.txt').write_text('no DICOM')
    assert tool.exit_code(str(tmp_path / 'in'), str(tmp_path / 'out')) == 2
    assert 'no DICOM series was found in' in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, 'SimpleITK', None)
    assert tool.exit_code(str(tmp_path / 'in'), str(tmp_path / 'out')) == 2
    assert "pip install 'mmseg_ctt[dicom]'" in capsys.readouterr().err
