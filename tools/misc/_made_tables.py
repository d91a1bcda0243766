# Copyright (c) mmseg_ctt contributors.
"""Tables in pages between two marks, made by a script from the package itself."""

import argparse
import sys
from pathlib import Path
from typing import Dict, Mapping, Optional, Tuple

from _common import described

Tables = Mapping[Tuple[str, str], str]  # by path of the page and name of the table


def parse_args(description: str) -> argparse.Namespace:
    """Arguments of such a script: ``--check``."""
    parser = described(description.split('\n')[0])
    parser.add_argument('--check', action='store_true', help='change nothing, compare only')
    return parser.parse_args()


def marks(name: str, script: str) -> Tuple[str, str]:
    """Lines before and after a table."""
    return f'<!-- {name}: made by {script} -->', f'<!-- end of {name} -->'


def filled(text: str, table: str, start: str, end: str) -> Optional[str]:
    """A page with the table between the marks; None without marks."""
    first, last = text.find(start), text.find(end)
    if first < 0 or last < first:
        return None
    return f'{text[: first + len(start)]}\n\n{table}\n\n{text[last:]}'


def update(root: Path, tables: Tables, script: str, check: bool) -> None:
    """Write the tables into their pages, or name the pages that are not up to date and exit.

    Raises:
        ValueError: If a page has no marks.
    """
    pages: Dict[str, str] = {}
    for (page, name), table in tables.items():
        start, end = marks(name, script)
        new = filled(pages.get(page) or (root / page).read_text(), table, start, end)
        if new is None:
            raise ValueError(f'{page} has no lines {start!r} and {end!r} around a table')
        pages[page] = new
    outdated = [page for page, text in pages.items() if text != (root / page).read_text()]
    if check and outdated:
        print(f'{", ".join(outdated)}: run python {script}')
        sys.exit(1)
    for page in outdated:
        (root / page).write_text(pages[page])
    print(f'written: {", ".join(outdated)}' if outdated else 'up to date')
