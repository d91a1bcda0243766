# Copyright (c) mmseg_ctt contributors.
"""Scores of the steps of class-incremental learning."""

import csv
import io
import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Sequence

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.evaluator import Evaluator
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from prettytable import PrettyTable

from ..deploy.api import load_model
from ..engine.config import prepare_config
from ..engine.files import write_whole
from ..evaluation import recorded_classes

FILE = 'scores.json'
PREFIX = 'mIoU_'  # of the groups


class Scores(NamedTuple):
    """Scores of a network, in per cent.

    Attributes:
        means (dict[str, float]): ``mIoU``, those of groups, and so on.
        iou (dict[str, float | None]): Of each class; None where no label shows it.
    """

    means: Dict[str, float]
    iou: Dict[str, Any]


@torch.no_grad()
def scores_of(
    cfg: Config, checkpoint: Path, check_stop: Callable[[], None], images: int = 0
) -> Scores:
    """Scores of a network on the test images of a config.

    Args:
        cfg (Config): Of its training.
        checkpoint (Path): Of the network.
        check_stop (Callable): Called before every batch.
        images (int): Batches that are scored. Defaults to 0: all.
    """
    model = load_model(cfg, checkpoint, None, get_device())
    cfg = prepare_config(Config(cfg.to_dict()))
    settings = {**cfg.test_dataloader, 'num_workers': 0, 'persistent_workers': False}
    with DefaultScope.overwrite_default_scope('mmseg'):
        loader = Runner.build_dataloader(settings)
        evaluator = Evaluator(cfg.test_evaluator)
    evaluator.dataset_meta = loader.dataset.metainfo
    seen = 0
    for number, batch in enumerate(loader):
        check_stop()
        if images and number >= images:
            break
        evaluator.process(data_samples=model.test_step(batch), data_batch=batch)
        seen += len(batch['inputs'])
    with recorded_classes(evaluator.metrics) as values:  # not printed
        found = evaluator.evaluate(seen)
    iou = zip(loader.dataset.metainfo['classes'], values.get('IoU', ()))
    return Scores(
        {name: round(float(value), 2) for name, value in found.items()},
        {name: round(float(value), 2) if value == value else None for name, value in iou},
    )


def write_scores(folder: Path, scores: Scores) -> None:
    """Write ``scores.json`` of a step."""
    write_whole(folder / FILE, json.dumps(scores._asdict(), indent=1) + '\n')


def read_rows(folders: Sequence[Path], method: str) -> List[Dict[str, Any]]:
    """Rows of the table of results; steps without scores are left out.

    Args:
        folders (Sequence[Path]): Of the steps in order.
        method (str): Of the recipe.
    """
    rows = []
    for folder in folders:
        if (folder / FILE).is_file():
            found = json.loads((folder / FILE).read_text())['means']
            groups = {k[len(PREFIX) :]: v for k, v in found.items() if k.startswith(PREFIX)}
            rows.append(dict(method=method, step=folder.name, all=found['mIoU'], **groups))
    return rows


def columns(rows: Sequence[Mapping[str, Any]]) -> List[str]:
    """Columns of the table: old, new, all, then the classes of each step."""
    names = dict.fromkeys(name for row in rows for name in row)
    first = ['method', 'step', 'old', 'new', 'all']
    return first + [name for name in names if name not in first]


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Content of the CSV file of results; a score that there is not is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns(rows), lineterminator='\n', restval='')
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Table to print, mean IoU in per cent."""
    table = PrettyTable(columns(rows))
    for row in rows:
        cells = (row.get(name, '') for name in columns(rows))
        table.add_row([f'{cell:.2f}' if isinstance(cell, float) else cell for cell in cells])
    return table.get_string()
