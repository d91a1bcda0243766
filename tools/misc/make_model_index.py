# Copyright (c) mmseg_ctt contributors.
"""Write model-index.yml, the list of metafiles that MIM reads, from the folders of configs.

python tools/misc/make_model_index.py          # after a folder of configs was added or removed
python tools/misc/make_model_index.py --check  # an error if the file is out of date
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import described, run  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
INDEX = ROOT / 'model-index.yml'


def index_text(root: Path) -> str:
    """Content of the index: every metafile of ``configs``, by name."""
    found = sorted(
        path.relative_to(root).as_posix() for path in root.glob('configs/*/metafile.yaml')
    )
    return ''.join(['Import:\n', *(f'  - {name}\n' for name in found)])


def main() -> None:
    parser = described(__doc__)
    parser.add_argument('--check', action='store_true', help='compare, and change nothing')
    args = parser.parse_args()
    text = index_text(ROOT)
    if not args.check:
        INDEX.write_text(text)
    elif not INDEX.is_file() or INDEX.read_text() != text:
        raise ValueError(f'{INDEX.name} is out of date: run tools/misc/make_model_index.py')


if __name__ == '__main__':
    run(main)
