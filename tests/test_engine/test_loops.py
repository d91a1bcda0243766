# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from toy import toy_segmentor
from toy_data import toy_config, toy_ctt, toy_method

from mmseg_ctt.datasets import LabeledUnlabeledDataset
from mmseg_ctt.engine import TeacherEMAHook


class Interrupted(Exception):
    """The job is killed."""


class Recorder(Hook):
    """Keeps the losses and draws of each iteration, and may end the run."""

    def __init__(self, last=None, noise=None):
        self.last, self.noise = last, noise
        self.losses, self.draws, self.shown = {}, {}, {}

    def before_train(self, runner):
        if self.noise is not None:
            torch.manual_seed(self.noise)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        number = runner.iter + 1
        self.losses[number] = {key: float(value) for key, value in outputs.items()}
        self.draws[number] = [sample.draw[1] for sample in data_batch['data_samples']]
        self.shown[number] = [image.clone() for image in data_batch['inputs']]
        if number == self.last:
            raise Interrupted


def build(root, work_dir, workers=0, resume=None, **changes):
    changes.setdefault('train_cfg', dict(type='ResumableTrainLoop', max_iters=6, val_interval=100))
    cfg = toy_config(root, work_dir, resume=resume is not None, load_from=resume, **changes)
    cfg.default_hooks.checkpoint.interval = 3
    cfg.train_dataloader.update(num_workers=workers, persistent_workers=workers > 0)
    return Runner.from_cfg(cfg)


def train(runner, last=None, noise=None):
    recorder = Recorder(last, noise)
    runner.register_hook(recorder, priority='LOWEST')
    if last is None:
        runner.train()
    else:
        with pytest.raises(Interrupted):
            runner.train()
    workers = runner.train_loop.dataloader._iterator  # kept where workers are persistent
    if workers is not None:
        workers._shutdown_workers()  # the garbage collector takes five seconds for each
    return recorder


@pytest.mark.parametrize('workers', [0, 2])
def test_resumed_run_is_the_uninterrupted_run(root, tmp_path, workers):
    whole = build(root, tmp_path / 'whole', workers)
    expected = train(whole)
    first = train(build(root, tmp_path / 'parts', workers), last=4)  # killed after the checkpoint
    resumed = build(root, tmp_path / 'parts', workers, str(tmp_path / 'parts' / 'iter_3.pth'))
    second = train(resumed, noise=99)

    assert sorted(second.losses) == [4, 5, 6]
    assert first.losses == {i: expected.losses[i] for i in (1, 2, 3, 4)}
    assert second.losses == {i: expected.losses[i] for i in (4, 5, 6)}
    assert {**first.draws, **second.draws} == expected.draws
    for number, images in second.shown.items():
        assert all(map(torch.equal, images, expected.shown[number]))
    for i, name in ((i, name) for i in (3, 4) for name in ('ct', 'hc', 'lc')):
        assert expected.losses[i][f'student0.loss_{name}'] > 0, name

    states = whole.model.state_dict(), resumed.model.state_dict()
    assert states[0].keys() == states[1].keys()
    parts = {'students', 'teachers', 'contrast', 'num_updates'}
    assert {name.split('.')[0] for name in states[0]} >= parts
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert states[0]['contrast.bank.count'].sum() > 0 and bool(states[0]['contrast.on'])
    momentum = [runner.optim_wrapper.state_dict()['state'] for runner in (whole, resumed)]
    assert all(
        torch.equal(momentum[0][i]['momentum_buffer'], momentum[1][i]['momentum_buffer'])
        for i in momentum[0]
    )
    assert whole.optim_wrapper.get_lr() == resumed.optim_wrapper.get_lr()


def test_past_batches_are_not_loaded(root, tmp_path, monkeypatch):
    train(build(root, tmp_path), last=3)
    loaded = []
    load = LabeledUnlabeledDataset.__getitem__
    monkeypatch.setattr(
        LabeledUnlabeledDataset,
        '__getitem__',
        lambda self, draw: loaded.append(draw.number) or load(self, draw),
    )
    runner = build(root, tmp_path, resume=str(tmp_path / 'iter_3.pth'))
    recorder = train(runner)
    assert loaded == list(range(12, 24))
    assert recorder.draws == {4: [12, 13, 14, 15], 5: [16, 17, 18, 19], 6: [20, 21, 22, 23]}
    assert runner.message_hub.get_info('draws') == 24


def test_resume_with_another_batch_size(root, tmp_path):
    train(build(root, tmp_path), last=3)
    runner = build(root, tmp_path, resume=str(tmp_path / 'iter_3.pth'))
    runner._train_dataloader['batch_size'] = 2
    assert train(runner).draws == {4: [12, 13], 5: [14, 15], 6: [16, 17]}


@pytest.mark.parametrize('seed', [None, 4])
def test_resumed_run_keeps_its_seed(root, tmp_path, seed):
    """Also where the config has none, or another by now."""
    expected = train(build(root, tmp_path / 'whole', randomness=dict(seed=3)))
    train(build(root, tmp_path / 'parts', randomness=dict(seed=3)), last=4)
    resumed = build(
        root,
        tmp_path / 'parts',
        resume=str(tmp_path / 'parts' / 'iter_3.pth'),
        randomness=dict(seed=seed),
    )
    second = train(resumed)
    assert second.losses == {i: expected.losses[i] for i in (4, 5, 6)}
    for number, images in second.shown.items():
        assert all(map(torch.equal, images, expected.shown[number]))


def test_random_numbers_of_an_iteration_depend_on_nothing_before_it(root, tmp_path):
    """Dropout is the only random number of the step that the loop is responsible for."""
    losses = []
    for noise in (0, 5):
        runner = build(root, tmp_path / str(noise))
        losses.append(train(runner, last=2, noise=noise).losses)
    assert losses[0] == losses[1]
    other = build(root, tmp_path / 'seed', randomness=dict(seed=4))
    assert train(other, last=2).losses != losses[0]


def test_validation_at_the_interval_and_at_the_end(root, tmp_path):
    runner = build(
        root,
        tmp_path,
        train_cfg=dict(type='ResumableTrainLoop', max_iters=5, val_begin=3, val_interval=2),
    )
    when = []
    runner.val_loop.run = lambda: when.append(runner.iter)
    train(runner)
    assert when == [4, 5]


def test_wrong_sampler(root, tmp_path):
    runner = build(root, tmp_path)
    runner._train_dataloader['sampler'] = dict(type='InfiniteSampler')
    with pytest.raises(ValueError, match='train_dataloader.sampler.*InfiniteSampler'):
        runner.train()


def test_batch_that_the_ratio_cannot_divide(root, tmp_path):
    runner = build(root, tmp_path)
    runner._train_dataloader['batch_size'] = 3
    with pytest.raises(ValueError, match=r'batch_size=3 .*ratio=.*labeled.: 1.*multiple of 2'):
        runner.train()


@pytest.mark.parametrize('model', [toy_ctt(), toy_segmentor()], ids=['semi-supervised', 'plain'])
def test_class_counts_of_model_and_data(root, tmp_path, model):
    part = model.get('segmentor', model)
    part['decode_head']['num_classes'] = 5
    runner = build(root, tmp_path, model=model)
    with pytest.raises(ValueError, match='num_classes=5.* 4 classes'):
        runner.train()


LOOPS = pytest.mark.parametrize('loop', ['ResumableTrainLoop', 'IterBasedTrainLoop'])


def test_a_plain_segmentor_gets_images_with_masks_alone(root, tmp_path):
    runner = build(root, tmp_path, model=toy_segmentor())
    with pytest.raises(ValueError, match='learns from masks alone, and .*unlabeled has none'):
        runner.train()


def test_a_plain_segmentor_may_draw_the_labelled_images_of_both(root, tmp_path):
    model = toy_segmentor()
    model['data_preprocessor']['size_divisor'] = 4
    runner = build(root, tmp_path, model=model)
    runner._train_dataloader['sampler']['ratio'] = dict(labeled=1, unlabeled=0)
    train(runner, last=1)


def train_loop(kind):
    return dict(train_cfg=dict(type=kind, max_iters=6, val_interval=100))


@LOOPS
@pytest.mark.parametrize(
    'kind, name, words',
    [
        ('CrossTeacherTraining', 'teacher_ema', 'no hook updates the teachers'),
        ('CrossTeacherTraining', 'queue_warmup', 'no hook switches the contrast on'),
        ('STPG', 'anchor_assignment', 'no hook matches'),
    ],
)
def test_a_hook_that_the_model_needs_is_missed_before_the_first_iteration(
    root, tmp_path, kind, name, words, loop
):
    runner = build(
        root, tmp_path, model=toy_method(kind), default_hooks={name: None}, **train_loop(loop)
    )
    recorder = Recorder()
    runner.register_hook(recorder)
    with pytest.raises(
        ValueError, match=rf'{words}.*add default_hooks.{name}=dict\(type="'
    ) as error:
        runner.train()
    assert '\n' not in str(error.value)
    assert not recorder.losses


@LOOPS
def test_a_hook_of_version_0_1_beside_the_present_one(root, tmp_path, loop):
    runner = build(root, tmp_path, custom_hooks=[dict(type='TeacherEMAHook')], **train_loop(loop))
    with pytest.raises(
        ValueError, match='2 hooks of type TeacherEMAHook: keep default_hooks.teach'
    ):
        runner.train()


def test_a_hook_that_is_registered_after_building(root, tmp_path):
    """A subclass would update the teachers a second time, too."""

    class OwnEMAHook(TeacherEMAHook):
        """One of the user."""

    runner = build(root, tmp_path)
    runner.register_hook(OwnEMAHook())
    with pytest.raises(ValueError, match='2 hooks of type OwnEMAHook, TeacherEMAHook: keep'):
        runner.train()


def test_hooks_that_no_model_needs_are_simply_off(root, tmp_path):
    names = ('alignment', 'pseudo_labels', 'guards', 'preemption', 'timer')
    runner = build(root, tmp_path, default_hooks=dict.fromkeys(names))
    kinds = {type(hook).__name__ for hook in runner.hooks}
    assert {'TeacherEMAHook', 'QueueWarmupHook', 'RuntimeInfoHook'} <= kinds
    absent = {'PseudoLabelHook', 'GuardHook', 'PreemptionHook', 'IterTimerHook'}
    assert not absent & kinds
    assert len(train(runner).losses) == 6


def test_a_model_without_teachers_or_banks_needs_no_hook(root, tmp_path):
    runner = build(
        root,
        tmp_path,
        model=toy_method('CrossPseudoSupervision'),
        default_hooks=dict(teacher_ema=None, queue_warmup=None, anchor_assignment=None),
    )
    assert len(train(runner).losses) == 6
