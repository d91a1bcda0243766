# Copyright (c) mmseg_ctt contributors.
import json

import numpy as np
import pytest
from copied import copy_of, prepared, training_set

from mmseg_ctt.lab.benchmark.loader import (
    COPY,
    ORIGINALS,
    benchmark_loader,
    draws_of,
    image_seconds,
    stage_seconds,
    workers_needed,
)

STEPS = [
    *('decode image', 'decode mask', 'RandomResize', 'RandomCrop', 'RandomFlip'),
    *('PhotoMetricDistortion', 'PackSegInputs', 'collate'),
]


@pytest.fixture
def cfg(root):
    return prepared(root)


def test_stages_of_originals_and_copy(cfg, tmp_path):
    copy_of(cfg, tmp_path / 'copy')
    result = benchmark_loader(cfg, images=4, repeats=1, workers=[0], copy=str(tmp_path / 'copy'))
    assert list(result['stages']) == list(result['images_per_second']) == [ORIGINALS, COPY]
    for stages in result['stages'].values():
        assert list(stages['labeled']) == STEPS
        assert list(stages['unlabeled']) == [step for step in STEPS if step != 'decode mask']
        assert all(0 <= value < 1 for steps in stages.values() for value in steps.values())
    assert result['images_per_second'][COPY]['0'] > 0
    json.dumps(result)


def test_draws_are_those_of_the_training(cfg):
    data = training_set(cfg)
    draws = draws_of(cfg, data, 6)
    assert [draw.number for draw in draws] == list(range(6))
    assert [draw.idx < 3 for draw in draws] == [True, False] * 3  # labelled, unlabelled, ...
    before = np.random.get_state()[1].tolist()
    stage_seconds({ORIGINALS: data}, draws, 1)
    assert np.random.get_state()[1].tolist() == before  # nothing of a run is disturbed
    assert image_seconds(cfg, data, 4) > 0


@pytest.mark.parametrize(
    'changes, words',
    [
        (dict(images=0), 'must be positive'),
        (dict(workers=[10_000]), 'must be in 0 to'),
        (dict(workers=[-1]), 'must be in 0 to'),
    ],
)
def test_wrong_numbers(cfg, changes, words):
    with pytest.raises(ValueError, match=words):
        benchmark_loader(cfg, **{**dict(images=2, repeats=1, workers=[0]), **changes})


def test_the_copy_that_the_config_names(cfg, tmp_path):
    copy = str(tmp_path / 'copy')
    copy_of(cfg, tmp_path / 'copy')
    cfg.train_dataloader.dataset.training_copy = copy
    numbers = dict(images=2, repeats=1, workers=[0])
    for given in (None, f'{copy}/../copy'):
        assert set(benchmark_loader(cfg, copy=given, **numbers)['stages']) == {ORIGINALS, COPY}
    with pytest.raises(ValueError, match='training_copy is .*, --training-copy other: leave one'):
        benchmark_loader(cfg, copy='other', **numbers)


def test_a_plain_data_set_is_refused(cfg):
    cfg.train_dataloader.dataset = cfg.val_dataloader.dataset
    with pytest.raises(ValueError, match='use "LabeledUnlabeledDataset"'):
        benchmark_loader(cfg, workers=[0])


@pytest.mark.parametrize(
    'seconds, batch, step, needed',
    [(0.06, 4, 0.03, 8), (0.06, 4, 0.24, 1), (0.06, 4, 0.239, 2), (0.001, 4, 10, 1)],
)
def test_workers_needed(seconds, batch, step, needed):
    assert workers_needed(seconds, batch, step) == needed


def test_command_line(cfg, root, tmp_path, load_tool, capsys):
    copy_of(cfg, tmp_path / 'copy')
    cfg.dump(tmp_path / 'toy.py')
    tool = load_tool('analysis_tools/benchmark_loader')
    code = tool.exit_code(
        *(tmp_path / 'toy.py', '--training-copy', tmp_path / 'copy', '--out', tmp_path / 'out'),
        *('--images', 2, '--repeats', 1, '--workers', 0),
    )
    printed = capsys.readouterr().out
    assert code == 0 and 'decode mask' in printed and 'times as fast from the copy' in printed
    result = json.loads((tmp_path / 'out' / 'loader.json').read_text())
    assert result['config'] == str(tmp_path / 'toy.py') and result['machine']['cpu']
