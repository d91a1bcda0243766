# Copyright (c) mmseg_ctt contributors.
import copy
import json

import pytest
import torch
from mmengine.runner import Runner
from toy import toy_segmentor
from toy_data import toy_config

from mmseg_ctt.lab.benchmark.evaluation import (
    SECTIONS,
    Evaluation,
    ProcessorMeter,
    benchmark_evaluation,
    summarise,
    validation_config,
)

NETWORKS, IMAGES = 4, 2


@pytest.fixture
def config(root, tmp_path):
    return toy_config(root, tmp_path / 'work')


@pytest.fixture
def evaluation(config, tmp_path):
    return Evaluation(Runner.from_cfg(validation_config(config, str(tmp_path / 'run'))), IMAGES)


class Stretches:
    """Names of the sections, in the order in which they end."""

    def start(self):
        self.names = []

    def lap(self, section):
        self.names.append(section)


def watched(evaluation, action):
    """How often a section was left or interrupted while ``action`` ran."""
    seen = Stretches()
    with evaluation.attached(), evaluation.stack.watched_by(seen):
        action()
    return {name: seen.names.count(name) for name in SECTIONS if name in seen.names}


def plain(config):
    """The same run with a segmentor of mmseg alone."""
    config.model = toy_segmentor()
    config.default_hooks.teacher_ema = config.default_hooks.queue_warmup = None
    return config


def test_report(config):
    before = copy.deepcopy(config.to_dict())
    result = benchmark_evaluation(config, images=IMAGES, repeats=3)
    json.dumps(result)
    assert config.to_dict() == before
    assert list(result['sections']) == list(SECTIONS)
    assert (result['networks'], result['images'], result['repeats']) == (NETWORKS, IMAGES, 3)
    for name in ('seconds', 'cpu_seconds'):
        one = result[name]
        assert len(one['loops']) == len(one['floors']) == 3
        assert one['ratio'] == one['loop'] / one['floor'] > 0
        assert one['ratio_with_data'] > one['ratio']
    assert result['ratio'] == result['seconds']['ratio']
    assert result['cpu_ratio'] == result['cpu_seconds']['ratio']
    assert result['machine']['threads'] == torch.get_num_threads()


def test_stock_evaluations(config, monkeypatch):
    """Each member once, the ensemble by passes of its own: two teachers more."""
    assert 0 < benchmark_evaluation(config, images=1, repeats=1, stock=True)['of_stock'] < 5
    assert 'of_stock' not in benchmark_evaluation(plain(config), images=1, repeats=1)


def test_passes_of_stock_evaluations(evaluation, monkeypatch):
    calls = []
    for network in evaluation.networks:
        inference = network.inference
        monkeypatch.setattr(
            network, 'inference', lambda *args, run=inference: (calls.append(1), run(*args))[1]
        )
    assert evaluation.stock_seconds() > 0
    assert len(calls) == IMAGES * (NETWORKS + 2)


def test_sections_of_a_loop(evaluation):
    seen = watched(evaluation, evaluation.loop.run)
    assert list(seen) == list(SECTIONS)
    expected = dict(
        data=IMAGES,
        normalisation=IMAGES,
        forwards=IMAGES * NETWORKS,
        ensemble=IMAGES,
        metric=IMAGES * (NETWORKS + 1),
        summary=NETWORKS + 1,
    )
    expected['post-processing'] = IMAGES * (NETWORKS + 1)
    assert {name: seen[name] for name in expected} == expected


def test_the_floor_is_the_networks_alone(evaluation):
    seen = watched(evaluation, evaluation.floor)
    assert set(seen) == {'forwards', 'other'} and seen['forwards'] == IMAGES * NETWORKS


def test_floor_and_loop_run_the_same_images(evaluation, monkeypatch):
    images = []
    for network in evaluation.networks:
        inference = network.inference
        monkeypatch.setattr(
            network,
            'inference',
            lambda inputs, metas, inference=inference: (
                images.append(inputs),
                inference(inputs, metas),
            )[1],
        )
    evaluation.floor()
    of_floor, images[:] = images[:], []
    evaluation.loop.run()
    assert len(of_floor) == IMAGES * NETWORKS
    assert all(map(torch.equal, of_floor, images))


def test_the_loop_is_that_of_users(config, tmp_path):
    """The same figures, also after everything was detached again."""
    expected = Runner.from_cfg(config).val()
    torch.manual_seed(0)
    evaluation = Evaluation(
        Runner.from_cfg(validation_config(config, str(tmp_path / 'run'))), images=100
    )
    with evaluation.attached():
        found = evaluation.loop.run()
    assert found == expected == evaluation.loop.run()
    assert not any('inference' in vars(network) for network in evaluation.networks)


def test_a_plain_segmentor(config):
    result = benchmark_evaluation(plain(config), images=IMAGES, repeats=1)
    assert list(result['sections']) == [name for name in SECTIONS if name != 'ensemble']
    assert result['networks'] == 1


def test_images_are_read_in_this_process(config):
    config.val_dataloader.update(num_workers=2, persistent_workers=True, prefetch_factor=4)
    result = benchmark_evaluation(config, images=1, repeats=1)
    assert result['images'] == 1 and result['sections']['data']['cpu_seconds'] > 0
    assert config.val_dataloader.num_workers == 2


@pytest.mark.parametrize('batch_size, images, read', [(2, 1, 2), (2, 3, 3), (1, 100, 3)])
def test_whole_batches_are_read(config, batch_size, images, read):
    config.val_dataloader.batch_size = batch_size
    assert benchmark_evaluation(config, images=images, repeats=1)['images'] == read


def test_figures_are_medians():
    def one(data, forwards, other, floor):
        loop = dict(data=data, forwards=forwards, other=other)
        half = {name: value / 2 for name, value in loop.items()}
        return [dict(forwards=floor), dict(forwards=floor / 2), loop, half]

    found = summarise([one(1, 8, 2, 8), one(2, 8, 4, 16), one(40, 80, 80, 8)])
    seconds = found['seconds']
    assert seconds['floors'] == [8, 16, 8] and seconds['floor'] == 8
    assert seconds['loops'] == [10, 12, 160] and found['ratio'] == 12 / 8
    assert seconds['loops_with_data'] == [11, 14, 200] and seconds['ratio_with_data'] == 14 / 8
    assert found['cpu_ratio'] == found['ratio'] and found['cpu_seconds']['floor'] == 4
    assert found['sections'] == {
        'data': dict(seconds=2, cpu_seconds=1, cpu_of_floor=1 / 4),
        'forwards': dict(seconds=8, cpu_seconds=4, cpu_of_floor=1),
        'other': dict(seconds=4, cpu_seconds=2, cpu_of_floor=1 / 2),
    }


def test_processor_time_is_that_of_the_process(monkeypatch):
    times = iter([0.0, 10.0, 11.0, 14.0])  # the first by TimeMeter.start itself
    monkeypatch.setattr('time.process_time', lambda: next(times))
    meter = ProcessorMeter()
    meter.start()
    meter.lap('a')
    meter.lap('b')
    assert meter.seconds() == dict(a=1.0, b=3.0)


@pytest.mark.parametrize('counts', [dict(images=0), dict(repeats=0)])
def test_counts_must_be_positive(config, counts):
    with pytest.raises(ValueError, match='must be positive'):
        benchmark_evaluation(config, **counts)


def test_a_config_without_validation(config):
    config.val_evaluator = None
    with pytest.raises(ValueError, match='the config has no val_evaluator'):
        benchmark_evaluation(config)


# ---- the tool


@pytest.fixture
def tool(load_tool):
    return load_tool('analysis_tools/benchmark_evaluation')


def test_tool(tool, tmp_path, config, capsys):
    config.dump(tmp_path / 'toy.py')
    out = tmp_path / 'deep' / 'out'
    assert (
        tool.exit_code(
            tmp_path / 'toy.py', '--images', 1, '--out', out, '--cfg-options', 'model.num_pairs=3'
        )
        == 0
    )
    result = json.loads((out / 'evaluation.json').read_text())
    assert list(result)[:2] == ['ratio', 'cpu_ratio']
    assert (result['repeats'], result['networks'], result['weights']) == (10, 6, 'random')
    assert '--images 1' in result['command']
    printed = ' '.join(capsys.readouterr().out.split())  # long paths break lines
    assert all(name in printed for name in SECTIONS)
    assert f'{result["cpu_ratio"]:.3f} x floor' in printed
    assert ('no GPU found' in printed) == (result['machine']['device'] == 'cpu')


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['absent.py'], 'the config absent.py does not exist'),
        (['absent.py', '--repeats', 9], '--repeats=9: a median needs at least 10'),
    ],
)
def test_errors_are_one_line(tool, capsys, arguments, words):
    assert tool.exit_code(*arguments) == 2
    assert capsys.readouterr().err == f'error: {words}\n'
