# Copyright (c) mmseg_ctt contributors.
"""Export one member of a run as a plain mmseg config and checkpoint.

python tools/model_converters/export_segmentor.py CONFIG CHECKPOINT OUT_DIR [--member teacher0]

Stock mmseg runs both files without this package. A weight average (mean-teacher, mean-student)
averages batch-norm statistics too; it predicts well only if the networks started from the same
weights, so test it before use.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import add_cfg_options, described, read_config, run  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('config', help='config of the run')
    parser.add_argument('checkpoint', help='checkpoint file or URL')
    parser.add_argument('out_dir', help='folder for both files')
    parser.add_argument(
        '--member',
        help='student0, teacher0, ..., mean-student, mean-teacher; '
        "default: the config's model.test_cfg.predict_on",
    )
    parser.add_argument('--name', help='name of the files; default: <config>_<member>')
    add_cfg_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = read_config(args.config, args.cfg_options)
    from mmseg_ctt.engine.out_paths import check_out_folder, check_plain_name

    check_out_folder(args.out_dir)
    if args.name is not None:
        check_plain_name(args.name)
    from mmseg_ctt.deploy.export import export_member, read_checkpoint, write_export

    export = export_member(cfg, read_checkpoint(args.checkpoint), args.member)
    stem = Path(args.config).stem
    name = args.name or (f'{stem}_{export.member}' if export.member else stem)
    config, weights = write_export(export, args.out_dir, name)
    for note in export.notes:
        print(f'note: {note}')
    print(f'{export.member or "model"}: {config} {weights}')


if __name__ == '__main__':
    run(main)
