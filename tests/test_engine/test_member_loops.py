# Copyright (c) mmseg_ctt contributors.
import copy
import logging

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.models.segmentors.base import BaseSegmentor
from mmseg.registry import TRANSFORMS
from PIL import Image
from toy import toy_batch, toy_segmentor
from toy_data import LABELED, toy_config, toy_ctt

from mmseg_ctt.engine.member_loops import images_by_size
from mmseg_ctt.evaluation import class_tables

MEMBERS = ('student0', 'student1', 'teacher0', 'teacher1', 'ensemble')
METRICS = ('aAcc', 'mIoU', 'mAcc')


class Recorder(Hook):
    """Names of the hooks that are called and what they are given."""

    def __init__(self):
        self.calls, self.outputs, self.metrics = [], [], None

    def __getattribute__(self, name):
        if name.startswith(('before_val', 'after_val', 'before_test', 'after_test')):

            def note(runner, *_, outputs=None, metrics=None, **__):
                self.calls.append(name)
                self.outputs += outputs or []
                self.metrics = metrics or self.metrics

            return note
        return super().__getattribute__(name)


def build(root, tmp_path, **changes):
    """A runner whose four members differ."""
    runner = Runner.from_cfg(toy_config(root, tmp_path / 'work', **changes))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in runner.model.parameters():
            parameter += 0.5 * torch.randn(parameter.shape, generator=generator)
    runner.model.eval()
    return runner


def run(runner, stage):
    """Metrics of a validation or test pass."""
    loop = getattr(runner, f'{stage}_loop')
    runner.call_hook('before_run')
    return loop.run()


def alone(runner, name):
    """Metrics of one member, by mmengine's own loop."""
    runner.model.predict_on = name
    evaluator = copy.deepcopy(runner.test_loop.evaluator)
    for batch in runner.test_loop.dataloader:
        with torch.no_grad():
            evaluator.process(runner.model.test_step(batch), batch)
    return evaluator.evaluate(len(LABELED))


def by_stock(runner, name):
    """Metrics of one member: mmseg's prediction, mmseg's metric, no code of this package."""
    model, evaluator = runner.model, copy.deepcopy(runner.test_loop.evaluator)
    for batch in runner.test_loop.dataloader:
        data = model.data_preprocessor(batch, False)
        inputs, samples = data['inputs'], data['data_samples']
        with torch.no_grad():
            if name == 'ensemble':
                metas = [sample.metainfo for sample in samples]
                mean = sum(
                    teacher.inference(inputs, metas).softmax(dim=1) for teacher in model.teachers
                ) / len(model.teachers)
                samples = BaseSegmentor.postprocess_result(model.teachers[0], mean.log(), samples)
            else:
                samples = model.member(name).predict(inputs, samples)
        evaluator.process(samples, batch)
    return evaluator.evaluate(len(LABELED))


@pytest.mark.parametrize('stage', ['val', 'test'])
def test_keys(root, tmp_path, stage):
    runner = build(root, tmp_path, model=toy_ctt(test_cfg=dict(predict_on='student1')))
    recorder = Recorder()
    runner.register_hook(recorder)
    metrics = run(runner, stage)
    expected = {f'{member}/{metric}' for member in MEMBERS for metric in METRICS}
    assert set(metrics) == expected | set(METRICS)
    assert all(metrics[metric] == metrics[f'student1/{metric}'] for metric in METRICS)
    assert len({metrics[f'{member}/aAcc'] for member in MEMBERS}) == 5  # members differ
    assert recorder.metrics == metrics
    middle = [f'before_{stage}_iter', f'after_{stage}_iter'] * 3
    assert recorder.calls == [
        f'before_{stage}',
        f'before_{stage}_epoch',
        *middle,
        f'after_{stage}_epoch',
        f'after_{stage}',
    ]


def test_equal_to_separate_evaluation(root, tmp_path):
    runner = build(root, tmp_path)
    metrics = run(runner, 'test')
    for member in MEMBERS:
        expected = alone(runner, member)
        assert {key: metrics[f'{member}/{key}'] for key in expected} == expected


@pytest.mark.parametrize('channels_last, batch_size', [(False, 1), (True, 1), (True, 3)])
def test_equal_to_stock_mmseg(root, tmp_path, channels_last, batch_size):
    """Images are resized for the network, so that predictions are resized too."""
    runner = build(root, tmp_path, model=toy_ctt(channels_last=channels_last))
    dataset = runner.test_loop.dataloader.dataset
    dataset.pipeline.transforms.insert(1, TRANSFORMS.build(dict(type='Resize', scale=(40, 24))))
    loader = runner.cfg.test_dataloader
    runner.test_loop.dataloader = runner.build_dataloader(
        dict(loader, dataset=dataset, batch_size=batch_size)
    )
    metrics = run(runner, 'test')
    for member in MEMBERS:
        expected = by_stock(runner, member)
        assert {key: metrics[f'{member}/{key}'] for key in expected} == expected
    assert len({metrics[f'{member}/aAcc'] for member in MEMBERS}) > 1


@pytest.mark.parametrize('batch_size', [2, 3])
def test_images_of_unequal_size_in_one_batch(root, tmp_path, batch_size):
    """Those of equal size pass together; the metrics are those of single images."""
    runner = build(root, tmp_path)
    dataset = runner.test_loop.dataloader.dataset
    sizes = iter([(40, 24), (32, 32), (40, 24)] * 2)

    class Resized:
        def __call__(self, results):
            step = dict(type='Resize', scale=next(sizes), keep_ratio=False)
            return TRANSFORMS.build(step)(results)

    dataset.pipeline.transforms.insert(1, Resized())
    alone = run(runner, 'test')
    loader = dict(runner.cfg.test_dataloader, dataset=dataset, batch_size=batch_size)
    runner.test_loop.dataloader = runner.build_dataloader(loader)
    recorder = Recorder()
    runner.register_hook(recorder)
    assert run(runner, 'test') == alone
    names = [sample.img_path.rsplit('/', 1)[-1].split('.')[0] for sample in recorder.outputs]
    assert names == list(LABELED)


def test_images_by_size():
    images = [torch.zeros(3, *size) for size in ((4, 6), (6, 4), (4, 6), (5, 5), (6, 4))]
    assert images_by_size(images) == [[0, 2], [1, 4], [3]]
    assert images_by_size(torch.zeros(2, 3, 4, 6)) == [[0, 1]]


def test_members_are_predicted_one_after_the_other(root, tmp_path, monkeypatch):
    """Their maps, at the size of the image as it was read, need not all fit into memory."""
    model = build(root, tmp_path).model
    calls = []
    for name in MEMBERS[:-1]:
        inference = model.member(name).inference
        monkeypatch.setattr(
            model.member(name),
            'inference',
            lambda *arguments, name=name, inference=inference: (
                calls.append(name) or inference(*arguments)
            ),
        )
    data = model.data_preprocessor(toy_batch(labeled=2, unlabeled=0), False)
    each = model.predict_each(data['inputs'], data['data_samples'])
    for i, member in enumerate(MEMBERS):
        name, samples = next(each)
        assert name == member and len(samples) == 2
        assert calls == list(MEMBERS[:-1][: i + 1])


def test_each_image_is_loaded_once(root, tmp_path):
    runner = build(root, tmp_path)
    dataset = runner.val_loop.dataloader.dataset
    loaded, prepare = [], dataset.prepare_data
    dataset.prepare_data = lambda index: loaded.append(index) or prepare(index)
    run(runner, 'val')
    assert loaded == [0, 1, 2]


def test_hooks_see_the_predicting_member(root, tmp_path):
    runner = build(root, tmp_path, model=toy_ctt(test_cfg=dict(predict_on='teacher1')))
    recorder = Recorder()
    runner.register_hook(recorder)
    run(runner, 'val')
    assert len(recorder.outputs) == 3
    for batch, shown in zip(runner.val_loop.dataloader, recorder.outputs):
        with torch.no_grad():
            (sample,) = runner.model.test_step(batch)
        assert torch.equal(shown.pred_sem_seg.data, sample.pred_sem_seg.data)


def test_members_run_in_evaluation_mode_and_leave_no_trace(root, tmp_path):
    runner = build(root, tmp_path)
    runner.model.train()
    before = {name: value.clone() for name, value in runner.model.state_dict().items()}
    run(runner, 'val')
    assert not runner.model.training
    assert all(
        torch.equal(value, before[name]) for name, value in runner.model.state_dict().items()
    )


def test_label_images_of_each_member(root, tmp_path):
    out = tmp_path / 'out'
    runner = build(
        root,
        tmp_path,
        test_evaluator=dict(type='IoUMetric', iou_metrics=['mIoU'], output_dir=str(out)),
    )
    run(runner, 'test')
    assert sorted(path.name for path in out.iterdir()) == sorted(MEMBERS)
    for member in MEMBERS:
        runner.model.predict_on = member
        for batch, stem in zip(runner.test_loop.dataloader, LABELED):
            with torch.no_grad():
                (sample,) = runner.model.test_step(batch)
            written = np.array(Image.open(out / member / f'{stem}.png'))
            assert np.array_equal(written, sample.pred_sem_seg.data[0].numpy())


@pytest.mark.parametrize('stage', ['val', 'test'])
def test_plain_model(root, tmp_path, stage):
    runner = build(root, tmp_path, model=toy_segmentor())
    assert set(run(runner, stage)) == set(METRICS)


def test_best_checkpoint_of_a_member(root, tmp_path):
    runner = Runner.from_cfg(
        toy_config(
            root,
            tmp_path,
            default_hooks=dict(
                checkpoint=dict(
                    type='CheckpointHook', by_epoch=False, interval=100, save_best='ensemble/mIoU'
                )
            ),
        )
    )
    runner.train()
    assert (tmp_path / 'best_ensemble_mIoU_iter_2.pth').is_file()


def test_one_table_of_the_classes_for_all_members(root, tmp_path):
    runner, lines = build(root, tmp_path), []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    runner.logger.addHandler(handler)
    metrics = run(runner, 'test')
    (table,) = [line for line in lines if '+--' in line]
    rows = [[cell.strip() for cell in row.split('|')[1:-1]] for row in table.splitlines()]
    header, *rows, means = [row for row in rows if row]
    assert header == ['IoU in %', *MEMBERS]
    assert [row[0] for row in rows] == list(runner.test_loop.evaluator.dataset_meta['classes'])
    for column, member in enumerate(MEMBERS, 1):
        mean = np.nanmean([float(row[column]) for row in rows])
        assert mean == pytest.approx(metrics[f'{member}/mIoU'], abs=0.02)
        assert float(means[column]) == pytest.approx(metrics[f'{member}/mIoU'], abs=0.006)
    assert means[0] == 'mean'


def test_mean_of_a_table_is_over_the_classes_that_have_a_value():
    values = dict(IoU=np.array([40.0, np.nan, 50.0])), dict(IoU=np.full(3, np.nan))
    (table,) = class_tables(('a', 'b', 'c'), dict(zip(('teacher0', 'student0'), values)))
    *_, mean = [row for row in table.splitlines() if '|' in row]
    assert [cell.strip() for cell in mean.split('|')[1:-1]] == ['mean', '45.00', 'nan']
