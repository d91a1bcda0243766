# Copyright (c) mmseg_ctt contributors.
"""Compare trained runs on one evaluation set: a table of every member's mIoU, and pictures.

python tools/analysis_tools/compare_runs.py supervised=CONFIG:CHECKPOINT ctt=CONFIG:CHECKPOINT \
    --out DIR [--eval-set val] [--images 5]

All runs must have the same images and classes in that set, and an evaluator that gives the mIoU.

Writes comparison.md, comparison.json and pictures.png into DIR, and which runs they are of into
runs.json. A later call for the same runs and set replaces these files, one for others refuses DIR.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import check_file, described, not_negative, read_config, run  # noqa: E402

if TYPE_CHECKING:
    from mmengine.dataset import BaseDataset
    from mmengine.runner import Runner

RUNS, SCORES, TABLE, PICTURES = 'runs.json', 'comparison.json', 'comparison.md', 'pictures.png'


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('runs', nargs='+', metavar='NAME=CONFIG:CHECKPOINT')
    parser.add_argument('--out', required=True, help='folder for the results')
    parser.add_argument('--eval-set', choices=('val', 'test'), default='val')
    parser.add_argument(
        '--images', type=not_negative, default=5, help='number of pictures, evenly spread'
    )
    return parser.parse_args()


def build_runner(config: str, checkpoint: str, eval_set: str, work_dir: Path) -> 'Runner':
    from mmengine.runner import Runner

    from mmseg_ctt.engine.option_checks import check_evaluated

    cfg = read_config(config)
    check_evaluated(cfg, eval_set)
    cfg.work_dir = str(work_dir)
    cfg.load_from = checkpoint
    cfg.test_dataloader = cfg.get(f'{eval_set}_dataloader')
    cfg.test_evaluator = cfg.get(f'{eval_set}_evaluator')
    # None of a run that only validates
    cfg.test_cfg = cfg.get('test_cfg') or dict(type='MemberTestLoop')
    return Runner.from_cfg(cfg)


def split_runs(entries: list) -> List[Tuple[str, str, str]]:
    """Name, config and checkpoint of each run; their files exist, and no name is given twice."""
    runs = []
    for entry in entries:
        name, _, files = entry.partition('=')
        config, _, checkpoint = files.partition(':')
        if not checkpoint:
            raise ValueError(f'{entry}: write NAME=CONFIG:CHECKPOINT')
        check_file(config, 'config')
        check_file(checkpoint, 'checkpoint')
        runs.append((name, config, checkpoint))
    names = [name for name, _, _ in runs]
    if len(set(names)) < len(names):
        raise ValueError(f'a name is given twice: {names}')
    return runs


def record_of(runs: List[Tuple[str, str, str]], eval_set: str, out: Path) -> str:
    """What a folder compares; paths are relative to it, so that all may be moved together."""
    files = {
        name: [os.path.relpath(Path(file).resolve(), out.resolve()) for file in files]
        for name, *files in runs
    }
    return json.dumps(dict(eval_set=eval_set, runs=files), indent=2) + '\n'


def check_earlier(out: Path, record: str) -> None:
    """Raise where files of another comparison, or of something else, would be replaced."""
    wanted = json.loads(record)
    if (out / RUNS).exists():
        known = json_of(out / RUNS) == wanted
    else:  # an earlier version wrote no such file: names and set are all it tells
        scores = json_of(out / SCORES)
        known = isinstance(scores, dict) and set(scores) == set(wanted['runs'])
        known = known and table_is_of(out / TABLE, wanted['eval_set'])
    if known:
        return
    for name in (RUNS, SCORES, TABLE, PICTURES):
        if (out / name).exists():
            raise ValueError(
                f'{out / name} exists, and is not of these runs and this set: give another --out'
            )


def json_of(path: Path) -> Any:
    """Content of a JSON file; None where it is no such file."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def table_is_of(path: Path, eval_set: str) -> bool:
    """Whether the first line of a table names an evaluation set, if there is a table."""
    if not path.exists():
        return True
    first = path.read_bytes().split(b'\n', 1)[0] if path.is_file() else b''
    return first.endswith(f' images of the {eval_set} set'.encode())


def check_comparable(runs: List[Tuple[str, str, str]], eval_set: str) -> None:
    """All runs have the same images and classes in the evaluation set, in the same order."""
    found = [(name, *evaluated(config, eval_set)) for name, config, _ in runs]
    (first, images, classes), *others = found
    for name, other_images, other_classes in others:
        if other_images != images:
            what = 'images'
        elif other_classes != classes:
            what = 'classes'
        else:
            continue
        raise ValueError(
            f'{first} and {name} have other {what} in their {eval_set} sets: set the same '
            f'{eval_set}_dataloader.dataset in both configs'
        )


def evaluated(config: str, eval_set: str) -> Tuple[List[str], List[str]]:
    """Files and classes of the evaluation set of a config, whose evaluator gives the mIoU."""
    from mmengine.registry import DefaultScope
    from mmseg.registry import DATASETS

    from mmseg_ctt.datasets.wrappers import distinct_infos, with_pipeline
    from mmseg_ctt.evaluation.evaluators import lacks_miou
    from mmseg_ctt.volumes.address import real_address

    cfg = read_config(config)
    loader = cfg.get(f'{eval_set}_dataloader')
    if not loader:
        raise ValueError(f'{config} has no {eval_set}_dataloader')
    metrics = lacks_miou(cfg.get(f'{eval_set}_evaluator'))
    if metrics:
        raise ValueError(
            f'{config}: {eval_set}_evaluator ({metrics}) gives no mIoU, by which runs are '
            "compared: set it to dict(type='IoUMetric', iou_metrics=['mIoU'])"
        )
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = DATASETS.build(with_pipeline(loader.dataset, []))
    images = [real_address(info['img_path']) for info in distinct_infos(dataset)]
    return images, list(dataset.metainfo.get('classes') or ())


def member_scores(metrics: dict) -> dict:
    """mIoU by member; the only member of a plain model is 'model'."""
    scores = {
        key.split('/')[0]: value for key, value in metrics.items() if key.endswith('/mIoU')
    } or {'model': metrics['mIoU']}
    return {name: round(float(value), 2) for name, value in scores.items()}  # from float32


def predicted_labels(runner: 'Runner', indices: list) -> list:
    """Label maps ``(H, W)`` of some images by the predicting member."""
    from mmengine.dataset import pseudo_collate

    dataset = runner.test_dataloader.dataset
    labels = []
    for index in indices:
        (sample,) = runner.model.test_step(pseudo_collate([dataset[index]]))
        labels.append(sample.pred_sem_seg.data.squeeze(0).cpu().numpy().astype('int64'))
    return labels


def images_and_truths(dataset: 'BaseDataset', indices: list) -> Tuple[list, list]:
    import mmcv

    from mmseg_ctt.datasets.image_values import read_picture

    images, truths = [], []
    for index in indices:
        truth = dataset[index]['data_samples'].gt_sem_seg.data.squeeze(0).numpy()
        image = read_picture(dataset.get_data_info(index)['img_path'])
        images.append(mmcv.imresize(image, truth.shape[::-1]))
        truths.append(truth)
    return images, truths


def write_tables(out: Path, scores: dict, eval_set: str, images: int) -> None:
    from mmseg_ctt.engine.files import write_whole

    write_whole(out / SCORES, json.dumps(scores, indent=2) + '\n')
    lines = [
        f'mIoU on {images} images of the {eval_set} set',
        '',
        '| run | member | mIoU |',
        '| --- | --- | --- |',
    ]
    lines += [
        f'| {name} | {member} | {value:.2f} |'
        for name, members in scores.items()
        for member, value in members.items()
    ]
    write_whole(out / TABLE, '\n'.join(lines) + '\n')
    (out / PICTURES).unlink(missing_ok=True)  # of an earlier call with other images


def print_table(scores: dict, title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table('run', 'member', title=title)
    table.add_column('mIoU', justify='right')
    for name, members in scores.items():
        for member, value in members.items():
            table.add_row(name, member, f'{value:.2f}')
    Console().print(table)


def main() -> None:
    args = parse_args()
    import mmseg_ctt  # noqa: F401
    from mmseg_ctt.engine.files import write_whole
    from mmseg_ctt.engine.out_paths import check_out_folder
    from mmseg_ctt.visualization import colorize, save_grid

    out, runs = check_out_folder(args.out), split_runs(args.runs)
    record = record_of(runs, args.eval_set, out)
    check_earlier(out, record)
    check_comparable(runs, args.eval_set)
    scores, columns, indices = {}, {}, []
    for name, config, checkpoint in runs:
        runner = build_runner(config, checkpoint, args.eval_set, out / 'logs' / name)
        scores[name] = member_scores(runner.test())
        dataset = runner.test_dataloader.dataset
        count = min(args.images, len(dataset))
        indices = [i * len(dataset) // max(count, 1) for i in range(count)]
        columns[name] = predicted_labels(runner, indices)
    write_whole(out / RUNS, record)
    write_tables(out, scores, args.eval_set, len(dataset))
    if indices:
        images, truths = images_and_truths(dataset, indices)
        classes, palette = dataset.metainfo['classes'], dataset.metainfo['palette']
        rows = [
            [image, *(colorize(label, palette) for label in labels)]
            for image, *labels in zip(images, truths, *columns.values())
        ]
        save_grid(out / PICTURES, rows, ['image', 'truth', *columns], classes, palette)
    print_table(scores, f'{args.eval_set} set, {len(dataset)} images')
    print(f'{"tables and pictures" if indices else "tables"}: {out}')


if __name__ == '__main__':
    run(main)
