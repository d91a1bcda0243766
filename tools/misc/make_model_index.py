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
INDEX = 'model-index.yml'


def index_text(root: Path) -> str:
    """Content of the index: every metafile of ``configs``, by name.

    Raises:
        ValueError: If a metafile is not YAML or describes no collection.
    """
    import yaml

    found = sorted(root.glob('configs/*/metafile.yaml'))
    for path in found:
        try:
            collections = yaml.safe_load(path.read_text()).get('Collections')
        except (yaml.YAMLError, AttributeError) as error:
            raise ValueError(f'{path} is not YAML of a metafile: {error}') from None
        if not collections:
            raise ValueError(f'{path} has no Collections')
    names = [path.relative_to(root).as_posix() for path in found]
    return ''.join(['Import:\n', *(f'  - {name}\n' for name in names)])


def main() -> None:
    parser = described(__doc__)
    parser.add_argument('--check', action='store_true', help='compare, and change nothing')
    args = parser.parse_args()
    text, index = index_text(ROOT), ROOT / INDEX
    if not args.check:
        index.write_text(text)
    elif not index.is_file() or index.read_text() != text:
        raise ValueError(f'{INDEX} is out of date: run tools/misc/make_model_index.py')


if __name__ == '__main__':
    run(main)
