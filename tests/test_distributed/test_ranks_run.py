# Copyright (c) mmseg_ctt contributors.
"""A whole run on two ranks: equal state on both, and the collectives of an iteration."""

import os
import signal

import pytest
import torch
from mmengine.hooks import Hook
from ranks import Counted, Watch, on_ranks, rank_runner
from toy import NUM_CLASSES
from toy_data import toy_ctt
from versions import COMPILE, GLOO_BOOL

from mmseg_ctt.engine import PreemptionHook

pytestmark = GLOO_BOOL

SHARED = ('teachers.', 'students.', 'contrast', 'num_updates')


def run(root, work, iterations=5, start_iter=3, **changes):
    def body(rank):
        with Counted() as counted:
            runner = rank_runner(
                root,
                work,
                train_cfg=dict(type='ResumableTrainLoop', max_iters=iterations, val_interval=100),
                default_hooks=dict(
                    queue_warmup=dict(type='QueueWarmupHook', start_iter=start_iter, interval=1)
                ),
                **changes,
            )
            watch = Watch(counted)
            runner.register_hook(watch)
            runner.train()
        return watch.keys, watch.calls, watch.states

    return on_ranks(body)


def test_banks_teachers_and_switch_are_equal_on_both_ranks(root, tmp_path):
    (keys, _, first), (other_keys, _, second) = run(root, tmp_path / 'work')
    assert keys == other_keys and all(names == keys[0] for names in keys)  # in every iteration
    statistics = ('running_mean', 'running_var')  # of the local batch, unless SyncBN is used
    for state, other in zip(first, second):
        for name, value in state.items():
            if name.startswith(SHARED) and not name.endswith(statistics):
                assert torch.equal(value, other[name]), name
    assert [bool(state['contrast.on']) for state in first] == [False, False, True, True, True]
    assert first[-1]['contrast.bank.count'].sum() > 0
    for i in (0, 1):
        name = 'decode_head.conv_seg.weight'
        assert not torch.equal(first[-1][f'teachers.{i}.{name}'], first[-1][f'students.{i}.{name}'])


def test_bfloat16_and_accumulation(root, tmp_path):
    wrapper = dict(
        type='BFloat16OptimWrapper',
        constructor='StudentOptimWrapperConstructor',
        optimizer=dict(type='SGD', lr=0.05, momentum=0.9),
        accumulative_counts=2,
    )
    (_, _, first), (_, _, second) = run(root, tmp_path / 'work', optim_wrapper=wrapper)
    for state, other in zip(first, second):
        for name, value in state.items():
            assert not value.is_floating_point() or value.dtype == torch.float32, name
            if name.startswith('students.') and 'running_' not in name:
                assert torch.equal(value, other[name]), name
    changed = [int(state['num_updates']) for state in first]
    assert changed == sorted(changed) and changed[-1] == 3  # 2 of 4 iterations, and the last


@COMPILE
def test_compiled_networks(root, tmp_path):
    """The values of a run that is not compiled; gradients are summed over the ranks."""
    torch._dynamo.reset()
    settings = dict(regions='members', backend='eager')
    made = run(root, tmp_path / 'compiled', iterations=2, start_iter=0, compile=settings)
    plain = run(root, tmp_path / 'plain', iterations=2, start_iter=0)
    for (_, calls, states), (_, others, want) in zip(made, plain):
        assert calls == others and list(states[-1]) == list(want[-1])
        for name, value in want[-1].items():
            torch.testing.assert_close(states[-1][name], value, msg=name)


def test_collectives_of_an_iteration(root, tmp_path):
    """Two collectives for all banks, means of a few numbers; those of DDP are not counted."""
    for _, calls, _ in run(root, tmp_path / 'work'):
        labeled = 2 * 2  # images of both ranks: what a class may gain
        scores = ('all_gather', (2, 2, NUM_CLASSES, min(labeled, 2))), 1
        bank = ('all_reduce', (2, NUM_CLASSES, min(labeled, 2), 8)), 1
        ratio = ('all_reduce', (2, 1)), 1  # of confident pixels, a student; one view
        assert calls[:3] == [dict([scores, bank, ratio])] * 3
        counts = ('all_reduce', (2, 2 * NUM_CLASSES + 1)), 1  # pixels a student and class, 2 terms
        assert calls[3:] == [dict([scores, bank, ratio, counts])] * 2


def test_preemption_compares_one_number_more(root, tmp_path):
    def body(rank):
        with Counted() as counted:
            runner = rank_runner(root, tmp_path / 'work')
            runner.register_hook(PreemptionHook())
            watch = Watch(counted)
            runner.register_hook(watch)
            before = counted.calls['all_reduce', ()]
            runner.train()
            return before, watch.calls

    for _, calls in on_ranks(body):
        assert [call['all_reduce', ()] for call in calls] == [1, 1]


@pytest.mark.parametrize(
    'case', ['a rank has one class only', 'no pixel is confident', 'every pixel is confident']
)
def test_ranks_with_unlike_images(root, tmp_path, case, monkeypatch):
    model = toy_ctt()
    if case == 'no pixel is confident':
        model.update(consistency=dict(confidence_threshold=1.0), contrast=dict(threshold=1.0))
    elif case == 'every pixel is confident':
        model.update(consistency=dict(confidence_threshold=0.0), contrast=dict(threshold=0.0))

    def body(rank):
        if case == 'a rank has one class only' and rank == 0:
            from mmseg_ctt.methods.ctt.segmentor import CrossTeacherTraining

            loss = CrossTeacherTraining.loss

            def one_class(self, inputs, data_samples):
                for sample in data_samples['labeled']:
                    sample.gt_sem_seg.data.zero_()
                return loss(self, inputs, data_samples)

            CrossTeacherTraining.loss = one_class
        runner = rank_runner(
            root,
            tmp_path / 'work',
            model=model,
            train_cfg=dict(type='ResumableTrainLoop', max_iters=4, val_interval=100),
        )
        watch = Watch(Counted())
        runner.register_hook(watch)
        runner.train()
        return watch.keys, watch.states[-1]

    (keys, first), (other, second) = on_ranks(body)
    assert keys == other and all(names == keys[0] for names in keys)
    assert all(
        torch.equal(value, second[name])
        for name, value in first.items()
        if name.startswith('contrast')
    )
    assert all(torch.isfinite(value).all() for value in first.values())


@pytest.mark.parametrize(
    'signalled, name, code, interval, accumulation, end',
    [
        (0, 'SIGTERM', 75, 1, 1, 2),
        (1, 'SIGINT', 130, 1, 1, 2),
        (1, 'SIGTERM', 75, 3, 2, 4),  # agreed after 3 iterations, at a step of the optimiser
    ],
)
def test_all_ranks_leave_with_the_one_that_got_the_signal(
    root, tmp_path, signalled, name, code, interval, accumulation, end
):
    class Sender(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter + 1 == 2 and runner.rank == signalled:
                os.kill(os.getpid(), signal.Signals[name])

    def body(rank):
        runner = rank_runner(
            root,
            tmp_path / 'work',
            train_cfg=dict(type='ResumableTrainLoop', max_iters=50, val_interval=100),
            default_hooks=dict(
                checkpoint=dict(type='SafeCheckpointHook', interval=100),
                preemption=dict(type='PreemptionHook', interval=interval),
            ),
            optim_wrapper=dict(
                type='OptimWrapper',
                constructor='StudentOptimWrapperConstructor',
                optimizer=dict(type='SGD', lr=0.05, momentum=0.9),
                accumulative_counts=accumulation,
            ),
        )
        runner.register_hook(Sender())
        try:
            runner.train()
        except SystemExit as left:
            return left.code, runner.iter + 1

    assert on_ranks(body) == [(code, end), (code, end)]
    assert (tmp_path / 'work' / 'last_checkpoint').read_text().endswith(f'iter_{end}.pth')
    state = torch.load(tmp_path / 'work' / f'iter_{end}.pth')
    assert state['message_hub']['runtime_info']['draws'] == 8 * end


def test_a_line_of_the_log_costs_one_collective(root, tmp_path):
    """Both ranks write the largest memory and the mean wait."""

    def body(rank):
        with Counted() as counted:
            runner = rank_runner(
                root,
                tmp_path / 'work',
                log_processor=dict(type='RunLogProcessor', by_epoch=False),
                default_hooks=dict(
                    timer=dict(type='DataTimerHook'),
                    logger=dict(type='LoggerHook', interval=2, log_metric_by_epoch=False),
                ),
                train_cfg=dict(type='ResumableTrainLoop', max_iters=4, val_interval=100),
            )
            watch, tags = Watch(counted), []
            write = runner.visualizer.add_scalars
            runner.visualizer.add_scalars = lambda tag, **more: (
                tags.append(tag) or write(tag, **more)
            )
            runner.register_hook(watch)
            runner.train()
        hub = runner.message_hub
        waits = [hub.get_scalar(f'train/{name}').mean(10) for name in ('data_time', 'time')]
        tags = [tag for tag in tags if 'loss' in tag]  # those of training
        return tags, [calls.get(('all_gather', (2,)), 0) for calls in watch.calls], waits

    (tags, calls, first), (others, other_calls, second) = on_ranks(body)
    assert calls == other_calls == [0, 1, 0, 1]
    for tag, other in zip(tags, others):
        assert tag['memory'] == other['memory'] > 0
        assert tag['data_wait'] == other['data_wait']
    mean = (first[0] / first[1] + second[0] / second[1]) / 2
    assert tags[-1]['data_wait'] == pytest.approx(mean)
