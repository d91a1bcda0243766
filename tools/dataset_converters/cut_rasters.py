# Copyright (c) mmseg_ctt contributors.
"""Cut large GeoTIFFs, and masks on the same grid, into images of one size for training.

python tools/dataset_converters/cut_rasters.py scenes/ data/mine --masks labels/ --size 512

Writes data/mine/images/SCENE_rROW_cCOLUMN.tif, with all bands and their coordinates, and PNG masks
data/mine/masks. A scene without a mask of the same name gives unlabelled images, and so do parts of
a mask without any label. Images with less than --min-data of pixels with data are left out. Nothing
is overwritten: started again, it goes on. It refuses a folder with images of another --size, and
images and masks that differ from their scene, as after a correction of the scene's mask; with
--keep-masks such masks stay, as after a correction of the PNG.
"""

import argparse
import sys
from pathlib import Path
from typing import Dict, Optional, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import FLAG, described, given, run  # noqa: E402

SUFFIXES = ('.tif', '.tiff')


def outside(found: Dict[str, str], root: str, folder: Path) -> Dict[str, str]:
    """Files below a root that are not in another folder, unless that holds the root itself."""
    inside, top = folder.resolve(), Path(root).resolve()
    if inside in (top, *top.parents):
        return found
    return {
        stem: name
        for stem, name in found.items()
        if inside not in Path(root, name).resolve().parents
    }


def find_masks(
    folder: Optional[str], scenes: Dict[str, str], root: str, out: Path
) -> Dict[str, Path]:
    """Masks by the names of their scenes, every one of which is used."""
    if folder is None:
        return {}
    from mmseg_ctt.datasets.image_files import find_files

    masks = outside(find_files(folder, SUFFIXES), folder, out)
    if not masks:
        raise FileNotFoundError(f'no .tif or .tiff was found in --masks {folder}')
    unknown = sorted(set(masks) - set(scenes))
    if unknown:
        raise ValueError(f'the mask {masks[unknown[0]]} has no scene of this name in {root}')
    return {stem: Path(folder, name) for stem, name in masks.items()}


def find_scenes(folder: str, masks: Optional[str], out: Path) -> Dict[str, str]:
    """Scenes of a folder by name, without the masks and the images that were cut in it."""
    from mmseg_ctt.datasets.image_files import find_files

    found = outside(find_files(folder, SUFFIXES), folder, out)
    if masks is not None:
        if Path(masks).resolve() == Path(folder).resolve():
            raise ValueError(f'--masks {masks} is the folder of the scenes: give one of its own')
        found = outside(found, folder, Path(masks))
    if not found:
        raise FileNotFoundError(f'no .tif or .tiff was found in {folder}')
    return found


def check_own_folder(out: Path, given: Sequence[str]) -> None:
    """Images are not written among the scenes or masks, where they would be taken for some."""
    for folder in given:
        if out.resolve() == Path(folder).resolve():
            raise ValueError(f'the output folder {out} is one of scenes or masks: give another')


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('scenes', help='folder of GeoTIFFs, searched with its sub-folders')
    parser.add_argument('out', help='folder of the data set; may be in that of the scenes')
    parser.add_argument('--masks', help='folder of GeoTIFFs of class ids with the same names')
    parser.add_argument('--size', type=int, default=512, help='pixels; default: 512')
    parser.add_argument('--min-data', type=float, help='ratio; default: 0.5')
    parser.add_argument(
        '--keep-masks', **FLAG, help='keep PNG masks that differ from those of scenes'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if args.keep_masks and args.masks is None:
        raise ValueError('--keep-masks is for masks that --masks names: leave it out')
    from mmseg_ctt.engine.out_paths import check_out_folder
    from mmseg_ctt.rasters.cutting import CuttingJob, check_settings, cut_raster

    out = check_out_folder(args.out)
    check_own_folder(out, [args.scenes, *filter(None, [args.masks])])
    scenes = find_scenes(args.scenes, args.masks, out)
    masks = find_masks(args.masks, scenes, args.scenes, out)
    jobs = [
        CuttingJob(Path(args.scenes, name), masks.get(stem), stem, out, args.size)
        for stem, name in scenes.items()
    ]
    for job in jobs:
        check_settings(job)
    for job in jobs:
        cut = cut_raster(job, **given(args, ('min_data', 'keep_masks')))
        print(
            f'{scenes[job.name]}: {cut.labeled} labelled and {cut.unlabeled} unlabelled images, '
            f'{cut.empty} without enough data, {cut.present} there already',
            flush=True,
        )


if __name__ == '__main__':
    run(main)
