# Copyright (c) mmseg_ctt contributors.
"""Scores of every member of a checkpoint as JSON; run_matrix starts this module as a process.

python -m mmseg_ctt.lab.experiments.evaluate CONFIG CHECKPOINT --eval-sets val --out scores.json
"""

import argparse
import json
from pathlib import Path
from typing import Dict, Mapping

import mmseg_ctt

from ...engine.files import write_whole
from ...evaluation.evaluators import iou_settings
from .class_iou import CLASS_KEY

PLAIN_MODEL = 'model'  # name of the only network of a plain segmentor

Scores = Dict[str, Dict[str, float]]


def evaluate(config: str, checkpoint: str, eval_set: str, work_dir: Path) -> Scores:
    """Scores of all members from one pass over the images.

    The mIoU is that of the config's evaluator, and measured also where that measures another score.

    Args:
        config (str): Config file.
        checkpoint (str): Checkpoint file.
        eval_set (str): ``val`` or ``test``.
        work_dir (Path): Folder of the logs.

    Returns:
        dict[str, dict[str, float]]: By member: ``mIoU`` and the IoU of each class, in per cent.
    """
    from mmengine.config import Config
    from mmengine.runner import Runner

    cfg = Config.fromfile(config)
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = f'{work_dir.parent.name}-{eval_set}'  # mmengine keeps hubs by name
    cfg.load_from, cfg.resume, cfg.launcher = checkpoint, False, 'none'
    cfg.test_dataloader = cfg[f'{eval_set}_dataloader']
    # None of a run that only validates
    cfg.test_cfg = cfg.get('test_cfg') or dict(type='MemberTestLoop')
    cfg.test_evaluator = dict(iou_settings(cfg[f'{eval_set}_evaluator']), type='ClassIoUMetric')
    return by_member(Runner.from_cfg(cfg).test())


def by_member(metrics: Mapping[str, float]) -> Scores:
    """Metrics of a test loop, grouped by member.

    Args:
        metrics (Mapping): Keys ``teacher0/mIoU`` and ``teacher0/IoU/<class>``; without the
            member for a plain segmentor.

    Returns:
        dict[str, dict[str, float]]: By member: ``mIoU`` and the IoU of each class.
    """
    members = [key[: -len('/mIoU')] for key in metrics if key.endswith('/mIoU')]
    prefixes = {member: f'{member}/' for member in members} or {PLAIN_MODEL: ''}
    scores = {}
    for member, prefix in prefixes.items():
        classes = {
            key[len(prefix + CLASS_KEY) :]: float(value)
            for key, value in metrics.items()
            if key.startswith(prefix + CLASS_KEY)
        }
        scores[member] = {'mIoU': float(metrics[f'{prefix}mIoU']), **classes}
    return scores


def facts_of(checkpoint: str) -> dict:
    """Number of iterations of a checkpoint, versions and device."""
    import torch
    from mmengine.device import get_device

    from ...deploy.checkpoint import read_checkpoint
    from .fingerprint import versions

    device = 'cpu' if get_device() == 'cpu' else torch.cuda.get_device_name()
    return dict(versions(), iterations=read_checkpoint(checkpoint)['meta']['iter'], device=device)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('--eval-sets', nargs='+', required=True)
    parser.add_argument('--out', type=Path, required=True)
    args = parser.parse_args()
    # a folder of its own: mmengine would overwrite the config of the training
    scores = {
        name: evaluate(args.config, args.checkpoint, name, args.out.parent / f'evaluate_{name}')
        for name in args.eval_sets
    }
    write_whole(args.out, json.dumps(dict(scores=scores, facts=facts_of(args.checkpoint))))


if __name__ == '__main__':
    assert mmseg_ctt.__version__  # imported before mmseg, which it prepares
    main()
