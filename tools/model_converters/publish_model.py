# Copyright (c) mmseg_ctt contributors.
"""Prepare a checkpoint for publication.

python tools/model_converters/publish_model.py CHECKPOINT OUT_DIR

Keeps weights and meta, removes optimiser, schedulers, logs and paths, and writes
OUT_DIR/<config>_<date>-<sha8>.pth, where sha8 is the beginning of the sha256 of the file.
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
# File names that mmengine uses for every run.
COMMON = re.compile(r'(iter|epoch)_\d+$|best_|latest$|last$|averaged')
# Quoted absolute path in the text of a config: its folders, and its last part.
ABSOLUTE = re.compile(r"""(['"])(?:/|~|[A-Za-z]:[\\/])(?:[^'"\n]*[\\/])?([^'"\n\\/]*)\1""")


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('checkpoint', help='checkpoint of a run, or an exported one')
    parser.add_argument('out_dir', help='folder for the file')
    parser.add_argument(
        '--name',
        help='name of the model; default: that of the file if mmengine did not name it, else that '
        'of the config',
    )
    return parser.parse_args()


def model_name(path: Path, meta: dict) -> str:
    """Name of the model, the first part of the name of the file."""
    if not COMMON.match(path.stem):
        return path.stem
    experiment = re.sub(r'_\d{8}_\d{6}$', '', str(meta.get('experiment_name') or ''))
    return experiment or path.resolve().parent.name


def date_of(path: Path, meta: dict) -> str:
    """Date of the checkpoint, else of its file."""
    saved = str(meta.get('time') or '')
    try:
        time.strptime(saved, DATE)
    except ValueError:
        return time.strftime(DATE, time.localtime(path.stat().st_mtime))
    return saved


def publish(path: Path, out_dir: Path, name: Optional[str] = None) -> Path:
    """Write the published file and return it."""
    from mmseg_ctt.datasets.whole_files import write_whole
    from mmseg_ctt.deploy.export import checkpoint_bytes, inference_part, read_checkpoint
    from mmseg_ctt.engine.out_paths import check_plain_name

    if name is not None:
        check_plain_name(name)
    checkpoint = inference_part(read_checkpoint(path))
    if isinstance(checkpoint['meta'].get('cfg'), str):
        checkpoint['meta']['cfg'] = ABSOLUTE.sub(r'\1\2\1', checkpoint['meta']['cfg'])
    name = name or model_name(path, checkpoint['meta'])
    data = checkpoint_bytes(checkpoint)
    sha8 = hashlib.sha256(data).hexdigest()[:8]
    published = out_dir / f'{name}_{date_of(path, checkpoint["meta"])}-{sha8}.pth'
    write_whole(published, data)
    return published


def main() -> None:
    args = parse_args()
    import mmseg_ctt  # noqa: F401

    print(publish(Path(args.checkpoint), Path(args.out_dir), args.name))


if __name__ == '__main__':
    run(main)
