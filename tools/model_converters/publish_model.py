# Copyright (c) mmseg_ctt contributors.
"""Make a checkpoint ready to be given away.

python tools/model_converters/publish_model.py CHECKPOINT OUT_DIR

Keeps weights and the facts about them, leaves out optimiser, schedulers, logs and paths, and
writes OUT_DIR/<config>_<date>-<sha8>.pth, sha8 being the beginning of that very file's sha256.
"""

import argparse
import hashlib
import re
import sys
import time
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import described, run  # noqa: E402

DATE = '%Y%m%d_%H%M%S'
# Names that mmengine gives to the files of any run.
COMMON = re.compile(r'(iter|epoch)_\d+$|best_|latest$|last$|averaged')
# A quoted absolute path in the text of a config: folders, and the last part of it.
ABSOLUTE = re.compile(r"""(['"])(?:/|~|[A-Za-z]:[\\/])(?:[^'"\n]*[\\/])?([^'"\n\\/]*)\1""")


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('checkpoint', help='checkpoint of a run, or an exported one')
    parser.add_argument('out_dir', help='folder for the file')
    parser.add_argument(
        '--name',
        help='of the model; default: the name of the file if it has one '
        'of its own, else of the config',
    )
    return parser.parse_args()


def model_name(path: Path, meta: dict) -> str:
    """``<config>`` of the file's name."""
    if not COMMON.match(path.stem):
        return path.stem
    experiment = re.sub(r'_\d{8}_\d{6}$', '', str(meta.get('experiment_name') or ''))
    return experiment or path.resolve().parent.name


def date_of(path: Path, meta: dict) -> str:
    """When the training ended, or the file was written."""
    written = str(meta.get('time') or '')
    try:
        time.strptime(written, DATE)
    except ValueError:
        return time.strftime(DATE, time.localtime(path.stat().st_mtime))
    return written


def publish(path: Path, out_dir: Path, name: Optional[str] = None) -> Path:
    """Write the published file and return it."""
    from mmseg_ctt.deploy.export import checkpoint_bytes, inference_part, read_checkpoint
    from mmseg_ctt.engine.checkpoint import write_whole

    checkpoint = inference_part(read_checkpoint(path))
    if isinstance(checkpoint['meta'].get('cfg'), str):
        checkpoint['meta']['cfg'] = ABSOLUTE.sub(r'\1\2\1', checkpoint['meta']['cfg'])
    name = name or model_name(path, checkpoint['meta'])
    if name != Path(name).name:
        raise ValueError(f'--name {name} must be a plain name, not a path')
    data = checkpoint_bytes(checkpoint)
    sha8 = hashlib.sha256(data).hexdigest()[:8]
    final = out_dir / f'{name}_{date_of(path, checkpoint["meta"])}-{sha8}.pth'
    write_whole(final, data)
    return final


def main() -> None:
    args = parse_args()
    import mmseg_ctt  # noqa: F401

    print(publish(Path(args.checkpoint), Path(args.out_dir), args.name))


if __name__ == '__main__':
    run(main)
