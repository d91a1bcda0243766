# Copyright (c) mmseg_ctt contributors.
"""Draw masks of COCO 2017 with 81 classes: the background (0) and the objects (1 to 80).

    python tools/dataset_converters/coco_objects.py data/coco

The folder holds ``annotations/instances_train2017.json`` and ``annotations/instances_val2017.json``
as unpacked; the masks are written to its folder ``masks``, one for every image of the files, also
those without objects. Objects are those of the annotations of instances. Where they overlap, the
smaller has the pixels; regions of many objects (``iscrowd``) are below all others. Reading the
annotations of the training images takes some gigabytes of memory.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import described, run  # noqa: E402

FILES = ('instances_train2017.json', 'instances_val2017.json')


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('root', metavar='ROOT', type=Path, help='such as data/coco')
    parser.add_argument(
        '--annotations',
        nargs='+',
        type=Path,
        metavar='FILE',
        help=f'default: {" and ".join(FILES)} in ROOT/annotations',
    )
    parser.add_argument('--out', type=Path, help='folder of the masks; default: ROOT/masks')
    parser.add_argument('--workers', type=int, default=4, help='processes; default: 4')
    parser.add_argument('--overwrite', action='store_true', help='replace masks in the folder')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from mmengine.utils import track_parallel_progress, track_progress

    from mmseg_ctt.datasets.coco_objects import OBJECTS
    from mmseg_ctt.datasets.instance_masks import (
        check_names,
        read_instances,
        refuse_existing,
        write_classes,
    )

    if args.workers < 1:
        raise ValueError(f'--workers {args.workers} must be positive')
    files = args.annotations or [args.root / 'annotations' / name for name in FILES]
    out = args.out or args.root / 'masks'
    images = [image for path in files for image in read_instances(path, OBJECTS)]
    check_names(images)
    if not args.overwrite:
        refuse_existing(images, out)
    out.mkdir(parents=True, exist_ok=True)
    write = partial(write_classes, folder=out)
    if args.workers == 1:
        track_progress(write, images)
    else:
        track_parallel_progress(write, images, args.workers, chunksize=64, keep_order=False)
    empty = sum(not image.instances for image in images)
    print(f'\n{out}: {len(images)} masks, {empty} of them of images without objects')


if __name__ == '__main__':
    run(main)
