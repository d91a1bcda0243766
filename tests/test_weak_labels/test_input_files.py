# Copyright (c) mmseg_ctt contributors.
"""The record of the files that results are made of."""

from pathlib import Path

import pytest

from mmseg_ctt.weak_labels import input_files
from mmseg_ctt.weak_labels.input_files import keep_inputs

FILES = {'a': 'scan.nii#z=3', 'b': 'scan.nii#z=4', 'c': 'c.png'}


@pytest.fixture
def read(monkeypatch):
    """Contents that were read, in any order."""
    contents, original = [], input_files.file_checksum

    def noted(path):
        contents.append(Path(path).read_bytes())
        return original(path)

    monkeypatch.setattr(input_files, 'file_checksum', noted)
    return contents


def keep(folder):
    inputs = {stem: dict(image=str(folder / path)) for stem, path in FILES.items()}
    out = folder / 'out'
    out.mkdir(exist_ok=True)
    keep_inputs(out, inputs, lambda stem: out / f'{stem}.png', lambda stems: None)


def test_a_file_is_read_once_and_again_when_it_changed(tmp_path, read):
    (tmp_path / 'scan.nii').write_bytes(b'volume')
    (tmp_path / 'c.png').write_bytes(b'image')
    keep(tmp_path)
    assert sorted(read) == [b'image', b'volume']  # slices share their volume
    read.clear()
    keep(tmp_path)
    assert not read
    (tmp_path / 'c.png').write_bytes(b'another')
    keep(tmp_path)
    assert read == [b'another']


def test_a_file_that_is_gone(tmp_path):
    with pytest.raises(FileNotFoundError):
        keep(tmp_path)
