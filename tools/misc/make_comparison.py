# Copyright (c) mmseg_ctt contributors.
"""Write the tables of published figures in docs/guide/which_method.md.

python tools/misc/make_comparison.py            write the tables
python tools/misc/make_comparison.py --check    say whether the page is up to date

Figures are those of the metafiles of configs, `Published mIoU`; measured ones are written by
make_league.py. Exit status: 0 done or up to date, 1 not up to date.
"""

import sys
from pathlib import Path
from typing import Dict, Sequence, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import run  # noqa: E402
from _figures import Published, published  # noqa: E402
from _made_tables import parse_args, update  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = 'tools/misc/make_comparison.py'
PAGE = 'docs/guide/which_method.md'
# columns of the published tables, in the order of their labels
PARTITIONS = {
    'VOC': ('92', '183', '366', '732', '1464'),
    'Cityscapes': ('1/16', '1/8', '1/4', '1/2'),
}


def published_table(data: str, partitions: Sequence[str]) -> str:
    """Published mIoU of a data set; the best at the second partition first."""
    lines = [
        f'| method | network | {" | ".join(partitions)} |',
        f'| --- | --- |{" --- |" * len(partitions)}',
    ]

    def order(row: Published) -> float:
        return -float(row.values.get(partitions[1], row.values.get(partitions[0], 0)))

    rows = [row for row in published(ROOT) if row.data == data]
    for row in sorted(rows, key=order):
        cells = ' | '.join(row.values.get(part, '-') for part in partitions)
        name = f'[{row.method}](../../configs/{row.config}/README.md)'
        lines.append(f'| {name} | {row.network} | {cells} |')
    return '\n'.join(lines)


def tables() -> Dict[Tuple[str, str], str]:
    """Tables by page and name."""
    return {
        (PAGE, f'published, {data}'): published_table(data, partitions)
        for data, partitions in PARTITIONS.items()
    }


def main() -> None:
    check = parse_args(__doc__).check
    import mmengine  # noqa: F401, without an environment the error is that of all tools

    update(ROOT, tables(), SCRIPT, check)


if __name__ == '__main__':
    run(main)
