# Copyright (c) mmseg_ctt contributors.
"""Results of multi-planar co-training: scores of each plane and of the fusion, by round."""

import csv
import io
import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from prettytable import PrettyTable

from ..engine.files import write_whole
from ..evaluation.volumes import SCORES, ScoreTable
from ..evaluation.volumes.scores import RATIOS
from ..evaluation.volumes.table import LEGEND, MARK

FILE = 'scores.json'


def write_results(folder: Path, tables: Mapping[str, Mapping[str, ScoreTable]]) -> None:
    """Write scores of all evaluated sets of a round: ``scores.json``.

    Args:
        folder (Path): Of the round.
        tables (Mapping): Tables by set and network.
    """
    content = {
        name: {network: table.as_dict() for network, table in of_set.items()}
        for name, of_set in tables.items()
    }
    write_whole(folder / FILE, json.dumps(content, indent=1) + '\n')


def read_results(rounds: Sequence[Path]) -> List[dict]:
    """Rows of the table of results: means over the cases by set, round and network.

    ``penalties`` is the number of cases with a distance that is a penalty; empty where it is not
    known, in rounds of earlier versions.

    Args:
        rounds (Sequence[Path]): Folders of the rounds; those without scores are left out.
    """
    rows = []
    for number, folder in enumerate(rounds):
        if not (folder / FILE).is_file():
            continue
        for name, networks in json.loads((folder / FILE).read_text()).items():
            for network, scores in networks.items():
                mean: Dict[str, float] = scores['mean']['all classes']
                marked = scores.get('penalties')
                penalties = '' if marked is None else len(marked)
                row = dict(set=name, round=number, network=network, **mean, penalties=penalties)
                rows.append(row)
    return rows


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Content of the CSV file of results; a score that is not known is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Table to print, with a mark at distances that hold penalties."""
    names = [name for name in rows[0] if name != 'penalties']
    table = PrettyTable(names)
    for row in rows:
        cells = [_printed(name, row[name], bool(row['penalties'])) for name in SCORES]
        table.add_row([row['set'], row['round'], row['network'], *cells])
    legend = f'\n{LEGEND}' if any(row['penalties'] for row in rows) else ''
    return f'{table.get_string()}{legend}'


def _printed(name: str, score: Optional[float], penalties: bool) -> str:
    mark = MARK if penalties and name not in RATIOS else ''
    return '' if score is None else f'{score:.4f}{mark}'
