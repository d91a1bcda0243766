# Copyright (c) mmseg_ctt contributors.
"""Write the weights of a backbone, with which another training starts.

python tools/model_converters/export_backbone.py CONFIG CHECKPOINT OUT.pth [--member student0]

CONFIG and CHECKPOINT are of a run of any method, or of a plain segmentor. The file is for
`backbone.init_cfg=dict(type='Pretrained', checkpoint='OUT.pth')`, here and in stock MMSegmentation.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import FLAG, add_cfg_options, check_file, described, given, read_config, run  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('config', help='config of the run')
    parser.add_argument('checkpoint', help='checkpoint file or URL')
    parser.add_argument('out', help='.pth file to write')
    parser.add_argument(
        '--member',
        help='student0, teacher0, ..., mean-student, mean-teacher; '
        "default: the config's model.test_cfg.predict_on",
    )
    parser.add_argument('--force', **FLAG, help='replace OUT.pth if it exists')
    add_cfg_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    check_file(args.checkpoint, 'checkpoint')
    cfg = read_config(args.config, args.cfg_options)
    from mmseg_ctt.deploy.export import check_out, export_backbone, read_checkpoint, write_backbone

    force = given(args, ('force',))
    check_out(args.out, **force)
    backbone = export_backbone(cfg, read_checkpoint(args.checkpoint), args.member)
    path = write_backbone(backbone, args.out, **force)
    for note in backbone.notes:
        print(f'note: {note}')
    number = len(backbone.checkpoint['state_dict'])
    print(f'backbone of {backbone.member or "the model"}, {number} tensors: {path}')


if __name__ == '__main__':
    run(main)
