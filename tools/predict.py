# Copyright (c) mmseg_ctt contributors.
"""Predict an image, a folder of images, a video or a large raster into a folder.

python tools/predict.py CONFIG CHECKPOINT photos/ --out predicted --overlays
python tools/predict.py CONFIG CHECKPOINT film.mp4 --out predicted
python tools/predict.py CONFIG CHECKPOINT scene.tif --out predicted   # GeoTIFF, of any size

Outputs are in folders of OUT, with the sub-folders of the input:

labels         class ids, 255 where there is no data: a PNG of each image; a GeoTIFF with its
               coordinates of each GeoTIFF; of a video a folder with a PNG of each frame
overlays       with --overlays the images in the colours of the classes; of a video always
probabilities  with --probabilities class probabilities: float16 .npy (classes, height, width), of a
               GeoTIFF a float32 GeoTIFF

GeoTIFFs are read and written in tiles that overlap, whose logits are blended: a raster may be
larger than the memory. --tile does the same with other images, not with frames of videos. Both
need pip install 'mmseg_ctt[geo]'.

Nothing is overwritten. Started again, it goes on where it was stopped; predictions of other
settings are refused. A file that cannot be predicted is named and left out, such as a damaged one,
a link to no file, or one with other bands than the network takes; if there is any, they are listed
at the end, and the exit code is 2. If the first 10 intact files are all refused, the settings of
the config are wrong, and the call ends.
"""

import argparse
from pathlib import Path

from _common import FLAG, add_cfg_options, check_file, described, given, read_config, run


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('config', help='config of the run, or an exported one')
    parser.add_argument('checkpoint', help='checkpoint file or URL')
    parser.add_argument('input', help='image, video or GeoTIFF, or a folder of them')
    parser.add_argument('--out', required=True, help='folder of the outputs')
    parser.add_argument(
        '--member',
        help='student0, teacher0, ..., ensemble, mean-student or mean-teacher; default: the '
        "config's model.test_cfg.predict_on",
    )
    parser.add_argument('--overlays', **FLAG, help='pictures in colour as well')
    parser.add_argument('--probabilities', **FLAG, help='class probabilities as well')
    parser.add_argument('--batch-size', type=int, help='images in one pass; default: 1')
    parser.add_argument(
        '--tile',
        nargs=2,
        type=int,
        metavar=('HEIGHT', 'WIDTH'),
        help='predict all images by tiles of this size; default: GeoTIFFs alone, by tiles of the '
        'size that the test pipeline resizes to, else 512',
    )
    parser.add_argument('--overlap', type=int, help='pixels; default: a quarter of a tile')
    parser.add_argument('--device', help='such as cpu or cuda:0; default: a GPU where there is one')
    parser.add_argument('--overwrite', **FLAG, help='replace existing outputs')
    add_cfg_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    check_file(args.checkpoint, 'checkpoint')
    cfg = read_config(args.config, args.cfg_options)
    from mmengine.device import get_device

    from mmseg_ctt.deploy.predicting import Options, check_beside, find_items, predict_items
    from mmseg_ctt.deploy.volumes import check_outside

    check_outside(Path(args.out), [args.input])
    check_beside(Path(args.out), Path(args.input))
    items = find_items(args.input, tiled=args.tile is not None)
    settings = given(args, Options._fields)
    if 'tile' in settings:
        settings['tile'] = tuple(settings['tile'])
    options = Options(**settings)
    predict_items(
        cfg,
        args.checkpoint,
        items,
        args.out,
        options,
        args.device or get_device(),
        lambda line: print(line, flush=True),
    )


if __name__ == '__main__':
    run(main)
