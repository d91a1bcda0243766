# Copyright (c) mmseg_ctt contributors.
"""Cut large GeoTIFFs, and masks on the same grid, into images of one size for training.

python tools/dataset_converters/cut_rasters.py scenes/ data/mine --masks labels/ --size 512

Writes data/mine/images/SCENE_rROW_cCOLUMN.tif, with all bands and their coordinates, and PNG masks
data/mine/masks. A scene without a mask of the same name gives unlabelled images. Images with less
than --min-data of pixels with data are left out. Nothing is overwritten: started again, it goes on,
and refuses a folder with images of another --size.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import described, run  # noqa: E402

SUFFIXES = ('.tif', '.tiff')


def main() -> None:
    parser = described(__doc__)
    parser.add_argument('scenes', help='folder of GeoTIFFs, searched with its sub-folders')
    parser.add_argument('out', help='folder of the data set')
    parser.add_argument('--masks', help='folder of GeoTIFFs of class ids with the same names')
    parser.add_argument('--size', type=int, default=512, help='pixels; default: 512')
    parser.add_argument('--min-data', type=float, default=0.5, help='ratio; default: 0.5')
    args = parser.parse_args()
    if args.size < 1 or not 0 <= args.min_data <= 1:
        raise ValueError('--size must be positive and --min-data a ratio in [0, 1]')
    from mmseg_ctt.datasets.image_files import find_files
    from mmseg_ctt.rasters.cutting import check_cut, cut_raster

    scenes = find_files(args.scenes, SUFFIXES)
    masks = find_files(args.masks, SUFFIXES) if args.masks else {}
    if not scenes:
        raise FileNotFoundError(f'no .tif or .tiff was found in {args.scenes}')
    unknown = sorted(set(masks) - set(scenes))
    if unknown:
        raise ValueError(f'the mask {masks[unknown[0]]} has no scene of this name in {args.scenes}')
    of_scene = {stem: Path(args.masks, masks[stem]) for stem in scenes if stem in masks}
    for stem, name in scenes.items():
        check_cut(Path(args.scenes, name), of_scene.get(stem), stem, Path(args.out), args.size)
    for stem, name in scenes.items():
        mask = of_scene.get(stem)
        cut = cut_raster(
            Path(args.scenes, name), mask, stem, Path(args.out), args.size, args.min_data
        )
        kind = 'labelled' if mask else 'unlabelled'
        print(
            f'{name}: {cut.written} {kind} images, {cut.empty} without enough data, '
            f'{cut.present} there already',
            flush=True,
        )


if __name__ == '__main__':
    run(main)
