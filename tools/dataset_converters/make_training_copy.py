# Copyright (c) mmseg_ctt contributors.
"""Write a copy of the training images and masks that loads fast.

    make_training_copy.py CONFIG OUT [--format raw] [--size keep]
    make_training_copy.py data/mine OUT --size 1024x512 --images images --masks masks
    make_training_copy.py --verify OUT

Images of the training sources of CONFIG are scaled down, never up, to the largest size that its
pipeline resizes them to, and written as JPEG of quality 95, or as BMP without loss (--format raw).
Masks take the nearest pixel and stay without loss. Names and folders are those of the originals,
which are not changed. Validation and test read the originals. Train with the copy by

    --cfg-options train_dataloader.dataset.training_copy=OUT

Started again, it goes on, and makes copies anew whose originals have changed. It refuses a folder
with other files, or a copy made with other options. OUT/manifest.json holds the options,
OUT/files.jsonl the size and sha256 of every file and its original.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Optional, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import add_cfg_options, described, given, read_config, run  # noqa: E402
from _refusals import refuse_unused  # noqa: E402

if TYPE_CHECKING:
    from mmseg_ctt.datasets.training_copy.plan import Plan
    from mmseg_ctt.datasets.training_copy.sizes import Scale

KEEP, AUTO = 'keep', 'auto'
OF_CONFIG = ('cfg_options',)
OF_FOLDER = ('images', 'masks', 'mask_suffix', 'color_type')
OF_COPY = ('size', 'format', 'quality', 'workers')
GB = 1e9


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('source', nargs='?', help='config of a training, or root of a data set')
    parser.add_argument('out', metavar='OUT', help='folder of the copy')
    parser.add_argument('--format', help='jpeg (default) or raw: no loss, more disk')
    parser.add_argument('--quality', type=int, help='of jpeg; default: 95')
    parser.add_argument(
        '--size',
        metavar='WxH',
        help='auto (default): what the pipelines of CONFIG need; keep; or width and height that '
        'images are scaled down to fit into, such as 1024x512',
    )
    parser.add_argument('--images', help='of a data set: folder of images below it; default: all')
    parser.add_argument('--masks', help='of a data set: folder of masks below it; default: none')
    parser.add_argument('--mask-suffix', help='end of the names of masks; default: .png')
    parser.add_argument(
        '--color-type', help='of a data set: unchanged keeps a fourth band; default: color'
    )
    parser.add_argument('--workers', type=int, help='threads; default: all CPUs')
    parser.add_argument('--verify', action='store_true', help='check the files of OUT and end')
    add_cfg_options(parser)
    return parser.parse_args()


def check_args(args: argparse.Namespace) -> None:
    """Raise for arguments that would be unused, and for a source that does not exist."""
    if args.verify and args.source is not None:
        raise ValueError(
            f'--verify takes OUT alone, as it reads the files of the copy: remove {args.source}'
        )
    if not args.verify and args.source is None:
        raise ValueError('name a config or the root of a data set, and the folder of the copy')
    if not args.verify and not Path(args.source).exists():
        raise FileNotFoundError(f'{args.source} does not exist: name a config or a folder')
    refuse_unused(args, unused_names(args))


def unused_names(args: argparse.Namespace) -> Tuple[str, ...]:
    """Arguments that what is asked for does not read."""
    if args.verify:
        return (*OF_CONFIG, *OF_FOLDER, *OF_COPY)
    lossless = ('quality',) if args.format == 'raw' else ()
    return (*(OF_FOLDER if Path(args.source).is_file() else OF_CONFIG), *lossless)


def verify(folder: Path) -> None:
    from mmseg_ctt.datasets.training_copy.manifest import damaged_files, read_entries, read_manifest

    manifest, entries = read_manifest(folder), read_entries(folder)
    damaged = damaged_files(folder, entries.values())
    if damaged:
        raise ValueError(
            f'{len(damaged)} of {len(entries)} files of {folder} are missing or damaged, such as '
            f'{damaged[0]}: delete them and make the copy again, which writes them alone'
        )
    state = 'complete' if manifest['complete'] else 'not complete: start the tool again'
    print(f'{len(entries)} files with the right checksums; the copy is {state}')


def plan_of_config(args: argparse.Namespace) -> 'Plan':
    cfg = read_config(args.source, args.cfg_options)
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS

    from mmseg_ctt.datasets import LabeledUnlabeledDataset
    from mmseg_ctt.datasets.training_copy.plan import other_files, plan_of_sources

    init_default_scope(cfg.get('default_scope', 'mmseg'))
    settings = {**cfg.train_dataloader.dataset, 'scan_masks': 0, 'training_copy': None}
    data = DATASETS.build(settings)
    if not isinstance(data, LabeledUnlabeledDataset):
        raise ValueError(
            f'train_dataloader.dataset.type is {settings["type"]}: use "LabeledUnlabeledDataset", '
            'which reads training copies'
        )
    plan = plan_of_sources(data.sources)
    others = other_files(plan, data.sources)
    if others and args.size != KEEP:
        raise ValueError(
            f'the training reads {"; ".join(others)}, which stay as they are and must have the '
            'size of the images: use --size keep'
        )
    return plan


def plan_of_folder(args: argparse.Namespace) -> 'Plan':
    from mmseg_ctt.datasets.training_copy.plan import plan_of_folder

    if size_of(args) == AUTO:
        raise ValueError('without a config, name the size: --size 1024x512, or --size keep')
    settings = given(args, ('mask_suffix', 'color_type'))
    return plan_of_folder(args.source, args.images or '', args.masks, **settings)


def size_of(args: argparse.Namespace) -> str:
    return args.size or AUTO


def scale_of(size: str, plan: 'Plan') -> 'Optional[Scale]':
    from mmseg_ctt.datasets.training_copy.sizes import Scale

    if size in (KEEP, AUTO):
        return plan.scale if size == AUTO else None
    edges = size.lower().split('x')
    if len(edges) != 2 or not all(edge.isdigit() and int(edge) for edge in edges):
        raise ValueError(f'--size={size} must be auto, keep, or width and height such as 1024x512')
    needed = plan.scale
    given = (needed or Scale(1, 1))._replace(width=int(edges[0]), height=int(edges[1]))
    if needed is not None and (given.width < needed.width or given.height < needed.height):
        raise ValueError(
            f'--size={size} is less than {needed.width}x{needed.height}, to which the pipelines '
            'resize: give sizes.scale in --cfg-options, as for the training'
        )
    return given


def main() -> None:
    args = parse_args()
    check_args(args)
    if args.verify:
        verify(Path(args.out))
        return
    plan = (plan_of_config if Path(args.source).is_file() else plan_of_folder)(args)
    from mmseg_ctt.datasets.training_copy.make import make_copy
    from mmseg_ctt.datasets.training_copy.options import options_of
    from mmseg_ctt.engine.processes import cores

    scale = scale_of(size_of(args), plan)
    workers = cores() if args.workers is None else args.workers
    options = options_of(scale=scale, **given(args, ('format', 'quality')))
    size = (
        'the sizes of the originals' if scale is None else f'at most {scale.width}x{scale.height}'
    )
    print(
        f'{len(plan.jobs)} files below {plan.root}, images as {options.format}, {size}', flush=True
    )
    if size_of(args) not in (KEEP, AUTO) and plan.scale is None:
        print('no pipeline resizes to a fixed size: crops of the copy show more of an image')
    made = make_copy(plan, Path(args.out), options, workers)
    kinds = ', '.join(f'{count} {suffix}' for suffix, count in sorted(made.suffixes.items()))
    print(
        f'{made.made} files written, {made.present} there already ({kinds}): '
        f'{made.bytes / GB:.3f} GB, originals {made.source_bytes / GB:.3f} GB, {made.seconds:.0f} s'
    )
    print(f'train with --cfg-options train_dataloader.dataset.training_copy={args.out}')


if __name__ == '__main__':
    run(main)
