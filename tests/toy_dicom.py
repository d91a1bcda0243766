# Copyright (c) mmseg_ctt contributors.
"""DICOM series of toy volumes."""

import struct

import numpy as np
import SimpleITK as sitk
from toy_volumes import toy_image

from mmseg_ctt.volumes.dicom import kept_locale

DIRECTION = np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # coronal, turned
SPACING, ORIGIN = np.array([0.6, 0.7, 1.5]), np.array([10.0, -20.0, 30.0])


@kept_locale()
def write_series(
    folder,
    number=1,
    patient='P 1',
    kind='ORIGINAL\\PRIMARY',
    keep=range(8),
    shift=None,
    pixel=None,
    uid=None,
    added=0,
    **tags,
):
    """A series of 8 slices; ``shift`` moves the position of a slice by mm along the normal.

    ``added`` is added to every voxel. ``pixel`` and further tags are those of slice 3.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pixels = toy_image(number).astype(np.int16) + np.int16(added)
    image = sitk.GetImageFromArray(pixels.transpose(2, 1, 0))
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k in keep:
        part = image[:, :, k]
        part.SetSpacing(pixel if pixel and k == 3 else SPACING[:2].tolist())
        position = ORIGIN + DIRECTION[:, 2] * (k * SPACING[2] + (shift or {}).get(k, 0))
        values = {
            '0008|0008': kind,
            '0008|0060': 'MR',
            '0008|103e': 'T1 / axial',
            '0010|0020': patient,
            '0020|000d': '1.2.3',
            '0020|000e': f'1.2.3.{uid or number}',
            '0008|0018': f'1.2.3.{uid or number}.{k + 1}',
            '0020|0011': str(number),
            '0020|0013': str(100 - k),  # not the order of the positions
            '0020|0032': '\\'.join(map(str, position)),
            '0020|0037': '\\'.join(map(str, DIRECTION[:, :2].T.ravel())),
            **(tags if k == 3 else {}),
        }
        for tag, value in values.items():
            part.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f'{number}_{k}.dcm'))
        writer.Execute(part)


@kept_locale()
def write_frames(path, groups, **tags):
    """A file of 8 frames; without groups nothing says where they lie."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(toy_image().transpose(2, 1, 0))
    for tag, value in tags.items():
        image.SetMetaData(tag, value)
    writer = sitk.ImageFileWriter()
    writer.SetKeepOriginalImageUID('0020|000e' in tags)
    writer.SetFileName(str(path))
    writer.Execute(image)
    if not groups:
        content = path.read_bytes()
        pointer = struct.pack('<HH', 0x5200, 0x9230)
        path.write_bytes(content.replace(pointer, struct.pack('<HH', 0x18, 0x1063), 1))


def parts_of(tmp_path, tool, *more):
    """Call the tool; its exit code and the names of the volumes."""
    code = tool.exit_code(str(tmp_path / 'in'), str(tmp_path / 'out'), *more)
    return code, sorted(path.name for path in (tmp_path / 'out').glob('*'))
