# Copyright (c) mmseg_ctt contributors.
"""Results of multi-planar co-training: scores of each plane and of the fusion, by round."""

import csv
import io
import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

from prettytable import PrettyTable

from ..engine.files import write_whole
from ..evaluation.volumes import SCORES, ScoreTable

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
                rows.append(dict(set=name, round=number, network=network, **mean))
    return rows


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Content of the CSV file of results; a score that is not known is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Table to print."""
    table = PrettyTable(list(rows[0]))
    for row in rows:
        scores: List[Any] = [row[score] for score in SCORES]
        cells = ['' if score is None else f'{score:.4f}' for score in scores]
        table.add_row([row['set'], row['round'], row['network'], *cells])
    return table.get_string()
