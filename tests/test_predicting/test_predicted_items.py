# Copyright (c) mmseg_ctt contributors.
import pytest
from PIL import Image

from mmseg_ctt.deploy.predicting import find_items


def test_frames_beside_their_video(tmp_path):
    """Masks of the video's frames would have the names of those of the images."""
    (tmp_path / 'clip').mkdir()
    Image.new('RGB', (8, 8)).save(tmp_path / 'clip/000000.png')
    (tmp_path / 'clip.mp4').write_bytes(b'video')
    with pytest.raises(ValueError, match='a folder with the name of the video .*clip.mp4'):
        find_items(tmp_path)
    assert [item.stem for item in find_items(tmp_path / 'clip')] == ['000000']
