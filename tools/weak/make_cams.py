# Copyright (c) mmseg_ctt contributors.
"""Write the class maps (CAM) of images that have tags.

    python tools/weak/make_cams.py CONFIG CHECKPOINT --out DIR [--source tagged|FOLDER]
        [--scales 0.5 1 1.5 2] [--no-flip] [--refine pamr] [--member M] [--predict-tags 0.5]
        [--groups N]

CONFIG is that of a classifier with class maps (configs/cam, configs/group_wsss). The images are
those of its source `tagged`, or of FOLDER; an image of FOLDER that is in the source has its tags.
DIR gets a file a/b.npz for the image a/b.jpg: maps of the tagged classes alone, averaged over
scales and flips, each divided by its maximum, at the size of the image. class_maps.json says how.
Called again, it goes on where it was stopped; a file that exists is never changed.

With --groups N the maps of a model of configs/group_wsss are those of the image in N groups with
common tags, mean before and after the graph; without it, of the image alone.

At the end it prints how well the classifier gives the tags of these images. Next:
tools/weak/make_pseudo_labels.py.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import YesOrNo, add_cfg_options, check_file, described, given, read_config, run  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('config', help='config of the classifier')
    parser.add_argument('checkpoint', help='checkpoint file or URL')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder of the maps')
    parser.add_argument(
        '--source',
        help='source of train_dataloader.dataset, or a folder of images; default: tagged',
    )
    parser.add_argument(
        '--scales',
        nargs='+',
        type=float,
        help='factors of the size of the image; default: 0.5 1 1.5 2',
    )
    parser.add_argument('--flip', action=YesOrNo, help='average flipped images in; default: yes')
    parser.add_argument(
        '--refine', help='none, or pamr: by the colours of the image; default: none'
    )
    parser.add_argument('--member', help="default: the config's model.test_cfg.predict_on")
    parser.add_argument(
        '--predict-tags',
        dest='tag_threshold',
        type=float,
        metavar='P',
        help='images without tags get those of a probability above P; default: they are an error',
    )
    parser.add_argument(
        '--groups',
        type=int,
        metavar='N',
        help='groups an image, for models of configs/group_wsss; default: 0, the image alone',
    )
    parser.add_argument('--device', help='such as cuda:0 or cpu; default: a GPU where there is one')
    add_cfg_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = read_config(args.config, args.cfg_options)
    check_file(args.checkpoint, 'checkpoint')
    from mmengine.device import get_device

    from mmseg_ctt.datasets.sources import TAGGED
    from mmseg_ctt.deploy.api import load_model
    from mmseg_ctt.deploy.api.inputs import image_pipeline
    from mmseg_ctt.deploy.checkpoint import weights_checksum, without_pretrained
    from mmseg_ctt.deploy.class_maps import (
        ClassMapJob,
        ClassMapSettings,
        config_images,
        folder_images,
        load_group_model,
        make_class_maps,
    )
    from mmseg_ctt.deploy.class_maps.folder import score_tags
    from mmseg_ctt.engine.fingerprint import config_hash

    settings = ClassMapSettings(**given(args, ClassMapSettings._fields))
    settings.check()
    if args.source is not None and Path(args.source).is_dir():
        known = config_images(cfg) if TAGGED in cfg.train_dataloader.dataset else []
        images = folder_images(args.source, known)
    else:
        images = config_images(cfg, **given(args, ('source',)))
    device = args.device or get_device()
    if settings.groups and args.member:
        raise ValueError('--member and --groups: groups need the whole model, leave --member out')
    if settings.groups:
        model = load_group_model(cfg, args.checkpoint, device)
    else:
        model = load_model(cfg, args.checkpoint, args.member, device)
    read = dict(
        model=without_pretrained(cfg.model), test_dataloader=dict(pipeline=image_pipeline(cfg))
    )
    origin = dict(
        config=Path(args.config).name,
        config_hash=config_hash(read),
        checkpoint=Path(args.checkpoint).name,
        weights=weights_checksum(args.checkpoint),
        member=args.member,
    )
    job = ClassMapJob(images, Path(args.out), settings, origin)
    written = make_class_maps(model, job, report=lambda line: print(line, flush=True))
    head = model.decode_head
    scores = score_tags(job, len(model.dataset_meta['classes']), head.background)
    if scores is not None:
        print(
            f'tags of these images: mAP {100 * scores.mean_average_precision:.1f}, '
            f'F1 {100 * scores.f1:.1f} (precision {100 * scores.precision:.1f}, '
            f'recall {100 * scores.recall:.1f})'
        )
    print(f'{len(images)} images, {written} of them now: {args.out}')


if __name__ == '__main__':
    run(main)
