# Copyright (c) mmseg_ctt contributors.
"""Make, import and verify labelled/unlabelled lists.

Draw 1/8 of a data set with three seeds, every class in every labelled part::

    python tools/dataset_converters/make_split.py make --num-classes 11 \
        --ann-dir data/camvid/ann_dir/train --fraction 1/8 --seed 0 1 2 \
        --out data/camvid/splits

Label whole sequences::

    python tools/dataset_converters/make_split.py sequence \
        --img-dir data/camvid/img_dir/train --labeled-prefix 0006R0 \
        --out data/camvid/splits

Label the images that have a mask, and keep 20 of them for validation, every class in both parts
(or name a folder of validation images with ``--val-img-dir`` and ``--val-ann-dir``)::

    python tools/dataset_converters/make_split.py masks --val 20 \
        --img-dir data/mine/images --ann-dir data/mine/masks \
        --out data/mine/splits/mine

List images of which none has a mask, to pre-train a backbone, and keep 20 for validation::

    python tools/dataset_converters/make_split.py images --val 20 \
        --img-dir data/mine/images --out data/mine/splits/images

Import a published list::

    python tools/dataset_converters/make_split.py import --format unimatch \
        --labeled labeled.txt --unlabeled unlabeled.txt \
        --out data/VOCdevkit/VOC2012/splits/1_8/seed0
"""

import argparse
import sys
from pathlib import Path
from typing import Callable, Dict, List, Optional, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import errors_in_one_line, given, run  # noqa: E402
from _refusals import refuse_unused  # noqa: E402
from _split_arguments import LABEL_ARGUMENTS, id_settings, parse_args  # noqa: E402
from _split_import import import_command  # noqa: E402
from _split_report import report, report_validation  # noqa: E402

with errors_in_one_line():
    import numpy as np

    from mmseg_ctt.datasets.folder import read_meta
    from mmseg_ctt.datasets.image_files import find_images, find_masks
    from mmseg_ctt.datasets.label_check import scan_presence
    from mmseg_ctt.datasets.lists import read_stems
    from mmseg_ctt.datasets.scenes import scene_notes, shared_scenes, without_scenes
    from mmseg_ctt.datasets.split_files import MANIFEST_NAME, verify_split, write_split
    from mmseg_ctt.datasets.split_masks import (
        MaskedFolder,
        binary_note,
        count_images,
        draw_validation,
        empty_note,
        known_classes,
        presence_of,
        read_folder,
        refuse_colours,
    )
    from mmseg_ctt.datasets.splits import (
        SEED,
        missing_classes,
        random_split,
        sequence_split,
        write_drawn,
    )


def read_source(args: argparse.Namespace) -> Tuple[List[str], np.ndarray, Optional[List[str]]]:
    """Find the stems and the classes that their masks show.

    Args:
        args (argparse.Namespace): Arguments of ``add_source``.

    Returns:
        tuple: N stems, bool presence ``(N, K)`` (K = 0 without masks), and the
        class names if known.
    """
    if args.img_dir:
        refuse_unused(args, LABEL_ARGUMENTS, f'{args.command} reads no masks of --img-dir')
    folder = args.ann_dir or args.img_dir
    if args.suffix or args.ann_dir:
        files = find_masks(folder, **given(args, ('suffix',)))
    else:
        files = find_images(folder)
    stems = read_stems(args.list, files, folder) if args.list else list(files)
    if not stems:
        raise ValueError(f'all files are missing from {args.list or folder}: it has no such file')
    names = read_meta(args.meta)['classes'] if args.meta else None
    if args.img_dir:
        return stems, np.zeros((len(stems), 0), dtype=bool), None
    num_classes = len(names) if names else args.num_classes
    if num_classes is None or num_classes != (args.num_classes or num_classes):
        raise ValueError(
            '--ann-dir needs --num-classes or --meta; if both are given, they must agree'
        )
    refuse_colours(folder, [files[stem] for stem in stems])
    paths = [Path(folder, files[stem]) for stem in stems]
    presence = scan_presence(paths, num_classes, **id_settings(args))
    return stems, presence, names


def make_command(args: argparse.Namespace) -> None:
    """Draw a split for every size and seed."""
    stems, presence, names = read_source(args)
    splits = [
        random_split(args.out, stems, presence, size, seed, names)
        for size in args.fraction or map(str, args.num)
        for seed in args.seed or [SEED]
    ]
    for written in write_drawn(splits, **given(args, ('overwrite',))):
        report(written)


def sequence_command(args: argparse.Namespace) -> None:
    """Label the stems with the given prefixes."""
    stems, presence, names = read_source(args)
    split = sequence_split(args.out, stems, presence, args.labeled_prefix, names)
    report(*write_drawn([split], **given(args, ('overwrite',))))


def masks_command(args: argparse.Namespace) -> None:
    """Split into images with a mask, labelled, and without."""
    if bool(args.val_img_dir) != bool(args.val_ann_dir) or (args.val_img_dir and args.val):
        raise ValueError('give --val, or both --val-img-dir and --val-ann-dir')
    if not args.val:
        refuse_unused(args, ('seed',), 'masks draws no images without --val')
    suffix, seed = given(args, ('suffix',)), SEED if args.seed is None else args.seed
    folder = read_folder(args.img_dir, args.ann_dir, **suffix)
    presence, names = read_presence(args, args.ann_dir, folder)
    stems = list(folder.masks)
    labeled, val = draw_validation(stems, presence, args.val, seed)
    bare = sorted(set(folder.images) - set(stems))
    unlabeled = bare if shared_scenes(labeled, val) else without_scenes(bare, val)
    counts = count_images(dict(labeled=labeled, val=val), stems, presence, names)
    never = [name for name, count in counts.items() if not count['all']]
    notes = [folder.note, binary_note(args.ann_dir, folder.masks, presence, **suffix)]
    notes.append(f'no mask in {args.ann_dir} shows {", ".join(never)}' if never else '')
    notes.append(empty_note([folder.masks[stem] for stem in stems], presence, args.ann_dir))
    facts = dict(kind='masks', val=args.val, **(dict(seed=seed) if args.val else {}))
    if args.val_img_dir:
        other = read_folder(args.val_img_dir, args.val_ann_dir, **suffix)
        check_val_folder(args, other)
        val_presence, _ = read_presence(args, args.val_ann_dir, other, names)
        for k, name in enumerate(names):
            counts[name]['val'] = int(val_presence[:, k].sum())
        notes += [other.note, binary_note(args.val_ann_dir, other.masks, val_presence, **suffix)]
        facts['val_folders'] = [args.val_img_dir, args.val_ann_dir]
    missing = {'labeled': missing_classes(counts)}
    if args.val or args.val_img_dir:
        missing['val'] = [n for n, k in counts.items() if max(k.values()) and not k['val']]
    facts.update(class_images=counts, missing_classes=missing)
    kept = val if args.val else None
    write_split(args.out, labeled, unlabeled, facts, val=kept, **given(args, ('overwrite',)))
    report(
        dict(
            folder=args.out,
            num_labeled=len(labeled),
            num_unlabeled=len(unlabeled),
            missing=missing['labeled'],
        )
    )
    report_validation(args, val, counts, missing.get('val', []))
    for line in scene_notes([*labeled, *unlabeled], val, len(bare) - len(unlabeled)):
        print(line)
    for note in filter(None, notes):
        print(f'warning: {note}')


def images_command(args: argparse.Namespace) -> None:
    """Split images without masks into those to learn from and those of validation."""
    stems = sorted(find_images(args.img_dir))
    if not 0 < args.val < len(stems):
        raise ValueError(
            f'--val {args.val} must be between 1 and {len(stems) - 1}: {args.img_dir} has '
            f'{len(stems)} images'
        )
    nothing = np.zeros((len(stems), 0), dtype=bool)
    seed = SEED if args.seed is None else args.seed
    unlabeled, val = draw_validation(stems, nothing, args.val, seed)
    facts = dict(kind='images', val=args.val, seed=seed)
    write_split(args.out, [], unlabeled, facts, val=val, **given(args, ('overwrite',)))
    print(f'{args.out}: {len(unlabeled)} images to learn from, {len(val)} for validation')
    for line in scene_notes(unlabeled, val):
        print(line)


def read_presence(
    args: argparse.Namespace, ann_dir: str, folder: MaskedFolder, names: Optional[List[str]] = None
) -> Tuple[np.ndarray, List[str]]:
    """Classes that the masks of a folder show, and all names."""
    names = names or known_classes(ann_dir, args.meta)
    if names and args.num_classes and len(names) != args.num_classes:
        raise ValueError(
            f'--num-classes {args.num_classes}, but the meta.json names {len(names)} classes'
        )
    if not names and args.num_classes:
        names = [f'class {k}' for k in range(args.num_classes)]
    return presence_of(ann_dir, folder.masks, names, **id_settings(args))


def check_val_folder(args: argparse.Namespace, folder: MaskedFolder) -> None:
    """Every image of a folder for validation has a mask, and none is trained on."""
    trained, own = Path(args.img_dir).resolve(), Path(args.val_img_dir).resolve()
    if trained == own or trained in own.parents or own in trained.parents:
        raise ValueError(
            f'of --img-dir {args.img_dir} and --val-img-dir {args.val_img_dir} one holds the '
            'other: images for validation would be trained on; move them apart, or use --val'
        )
    bare = [name for stem, name in folder.images.items() if stem not in folder.masks]
    if bare:
        raise ValueError(
            f'{len(bare)} images in {args.val_img_dir} have no mask in {args.val_ann_dir}, such as '
            f'{bare[0]}: every image for validation needs one'
        )


def verify_command(args: argparse.Namespace) -> None:
    """Check every split below a folder."""
    folders = [path.parent for path in sorted(args.dir.rglob(MANIFEST_NAME))]
    for folder in folders or [args.dir]:
        manifest = verify_split(folder)
        print(
            f'{folder}: ok, {manifest["num_labeled"]} labelled, '
            f'{manifest["num_unlabeled"]} unlabelled'
        )


COMMANDS: Dict[str, Callable[[argparse.Namespace], None]] = {
    'make': make_command,
    'sequence': sequence_command,
    'masks': masks_command,
    'images': images_command,
    'import': import_command,
    'verify': verify_command,
}


def main() -> None:
    args = parse_args()
    COMMANDS[args.command](args)


if __name__ == '__main__':
    run(main)
