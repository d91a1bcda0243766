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

from _common import FLAG, described, given, run  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('config', help='exported config, or config of a run')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('out', help='ONNX file, such as model.onnx')
    parser.add_argument('--member', help='of a run: student0, teacher0, ..., mean-teacher')
    parser.add_argument(
        '--shape',
        dest='size',
        type=int,
        nargs=2,
        metavar=('H', 'W'),
        help='size of the images; default: data_preprocessor.size of the config, else 512 512',
    )
    parser.add_argument('--dynamic-batch', **FLAG, help='free batch size; default: 1')
    parser.add_argument('--images', nargs='*', help='images of the check; default: two random ones')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    import mmseg_ctt  # noqa: F401
    from mmseg_ctt.deploy.api import load_model
    from mmseg_ctt.deploy.export.onnx_check import check_size, export_checked
    from mmseg_ctt.engine.out_paths import check_out_file

    check_out_file(args.out)
    settings = given(args, ('size', 'dynamic_batch', 'images'))
    if args.size is not None:
        check_size(args.size)
    model = load_model(args.config, args.checkpoint, args.member)
    if model.test_cfg.get('mode') == 'slide':
        print('note: the graph takes the whole image, without sliding windows')
    found = export_checked(model, args.out, **settings)
    print(
        f'{args.out}: {found.differing} of {found.pixels} labels differ from PyTorch, '
        f'confidence by at most {found.confidence:.1e}'
    )


if __name__ == '__main__':
    run(main)
