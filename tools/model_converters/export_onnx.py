# Copyright (c) mmseg_ctt contributors.
"""Export a model as ONNX and check its labels in onnxruntime.

python tools/model_converters/export_onnx.py CONFIG CHECKPOINT OUT.onnx [--shape H W]

CONFIG and CHECKPOINT are an exported member or a run (--member). The graph takes `image`, float32
(B, C, H, W) in 0-255, where three channels are RGB, and gives `label`, int64 (B, H, W), and
`confidence`, float32. Needs the packages of the extra mmseg_ctt[onnx].
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import check_file, described, errors_in_one_line, run  # noqa: E402

with errors_in_one_line():
    import numpy as np

TOLERANCE = 1e-4  # fraction of pixels whose two best classes may be swapped by rounding


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('config', help='exported config, or config of a run')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('out', help='ONNX file, such as model.onnx')
    parser.add_argument('--member', help='of a run: student0, teacher0, ..., mean-teacher')
    parser.add_argument(
        '--shape',
        type=int,
        nargs=2,
        metavar=('H', 'W'),
        help='size of the images; default: data_preprocessor.size of the config, else 512 512',
    )
    parser.add_argument('--dynamic-batch', action='store_true', help='free batch size; default: 1')
    parser.add_argument(
        '--images', nargs='*', default=[], help='images of the check; default: two random ones'
    )
    return parser.parse_args()


def check_images(model, paths: list, size: tuple) -> np.ndarray:
    """Images ``(B, H, W, C)`` of the check: resized files, or noise and coarse blocks."""
    import mmcv

    from mmseg_ctt.deploy.api.predict import read_input
    from mmseg_ctt.methods.checks import input_channels

    channels = input_channels(model) or 3
    if paths:
        for path in paths:
            check_file(path, 'image')
        images = [mmcv.imresize(read_input(model, path), size[::-1]) for path in paths]
        return np.stack([image.reshape(*size, channels) for image in images])
    random = np.random.RandomState(0)
    coarse = random.randint(0, 256, (-(-size[0] // 16), -(-size[1] // 16), channels))
    coarse = coarse.repeat(16, 0).repeat(16, 1)[: size[0], : size[1]]
    return np.stack([random.randint(0, 256, (*size, channels)), coarse]).astype(np.uint8)


def main() -> None:
    args = parse_args()
    import mmseg_ctt  # noqa: F401
    from mmseg_ctt.deploy.api import load_model
    from mmseg_ctt.deploy.export.onnx_graph import Agreement, check_packages, compare, export_onnx

    check_packages()
    if args.member == 'ensemble':
        raise ValueError('the ensemble is several networks: choose one member')
    model = load_model(args.config, args.checkpoint, args.member)
    size = tuple(args.shape or model.data_preprocessor.size or (512, 512))
    images = check_images(model, args.images, size)
    if model.test_cfg.get('mode') == 'slide':
        print('note: the graph takes the whole image, without sliding windows')
    export_onnx(model, args.out, size, args.dynamic_batch)
    batches = [images] if args.dynamic_batch else [images[i : i + 1] for i in range(len(images))]
    checks = [compare(model, args.out, batch) for batch in batches]
    found = Agreement(
        sum(check.pixels for check in checks),
        sum(check.differing for check in checks),
        max(check.confidence for check in checks),
    )
    print(
        f'{args.out}: {found.differing} of {found.pixels} labels differ from PyTorch, '
        f'confidence by at most {found.confidence:.1e}'
    )
    if found.differing > TOLERANCE * found.pixels:
        raise ValueError(f'onnxruntime does not give the labels of PyTorch: do not use {args.out}')


if __name__ == '__main__':
    run(main)
