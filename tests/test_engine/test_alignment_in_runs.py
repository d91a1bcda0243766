# Copyright (c) mmseg_ctt contributors.
"""Distribution alignment in runs of every method, and its state in checkpoints."""

from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner
from test_engine.test_resume_anywhere import Notes
from toy import NUM_CLASSES, toy_batch, toy_model, toy_segmentor
from toy_data import toy_config, toy_ctt, toy_method

from mmseg_ctt.deploy.api import load_model
from mmseg_ctt.deploy.checkpoint import load_network
from mmseg_ctt.methods import registered_methods
from mmseg_ctt.nn.alignment import DistributionAlignment
from mmseg_ctt.nn.images import Images

ALIGN = dict(
    type='DistributionAlignmentHook', frequency=[1, 2, 4, 900], steps=3, uniform_start=False
)
NAMES = {f'alignment.teacher{i}.{key}' for i in (0, 1) for key in DistributionAlignment.SETTINGS}


def run(root, work, model=None, align=ALIGN, iterations=2, **changes):
    """The runner after a training, and the losses of its iterations."""
    cfg = toy_config(
        root,
        work,
        model=model or toy_ctt(),
        train_cfg=dict(type='ResumableTrainLoop', max_iters=iterations, val_interval=100),
        default_hooks=dict(alignment=align, checkpoint=dict(type='SafeCheckpointHook', interval=1)),
        **changes,
    )
    runner, notes = Runner.from_cfg(cfg), Notes()
    runner.register_hook(notes)
    runner.train()
    return runner, notes.losses


@pytest.mark.parametrize('kind', sorted(registered_methods()))
def test_every_method_aligns_or_refuses(root, tmp_path, kind):
    """Aligned, the terms of pseudo-labels differ from the first of them on.

    The supervised ones do not differ in that step.
    """
    align = dict(ALIGN, uniform_start=True)
    joint = dict(joint_forward=False) if registered_methods()[kind].joins_batches else {}
    settings = dict(model=toy_method(kind, **joint), iterations=3)
    _, plain = run(root, tmp_path / 'plain', align=None, **settings)
    try:
        runner, aligned = run(root, tmp_path / 'aligned', align=align, **settings)
    except ValueError as error:
        assert 'default_hooks.alignment' in str(error) and '\n' not in str(error)
        return
    assert plain[1].keys() == aligned[1].keys()
    differ = [
        {key for key, value in plain[i].items() if value != aligned[i][key]} for i in (1, 2, 3)
    ]
    # teachers that follow in turns label from their first update on
    changed = next((keys for keys in differ if any('.loss_' in key for key in keys)), set())
    assert any('.loss_' in key for key in changed)
    assert not [key for key in changed if '.decode.' in key]
    model = runner.model
    assert set(model.alignment) == set(model.possible_teachers)
    assert all(model.alignment[name].pointer > 0 for name in model.teaching_members)


def test_the_student_of_guidedmix_is_aligned(root, tmp_path):
    """It teaches itself; its labelled outputs and its embedding stay as they are."""
    runner, losses = run(root, tmp_path, model=toy_method('GuidedMixNet'), iterations=3)
    assert list(runner.model.alignment) == ['student0']
    assert runner.model.alignment['student0'].pointer == 3
    assert all(torch.isfinite(value).all() for value in runner.model.state_dict().values())
    again, resumed = run(
        root,
        tmp_path / 'again',
        model=toy_method('GuidedMixNet'),
        iterations=3,
        resume=True,
        load_from=str(tmp_path / 'iter_2.pth'),
    )
    assert resumed == {3: losses[3]}


@pytest.fixture
def trained(root, tmp_path):
    """A run with alignment, and its checkpoint."""
    runner, _ = run(root, tmp_path / 'work')
    return runner, tmp_path / 'work' / 'iter_2.pth'


def pseudo_labels(model):
    """Of a fixed batch, as a step would make them."""
    torch.manual_seed(0)
    data = model.train().data_preprocessor(toy_batch(), True)
    images = {
        name: Images(data['inputs'][name], data['data_samples'][name]) for name in model.sources
    }
    return model.inspect_pseudo_labels(**images)


def rebuilt():
    """The model of the run, not trained, without dropout."""
    settings = {**toy_ctt(), 'segmentor': toy_segmentor(dropout=0.0)}
    return toy_model(settings.pop('type'), **settings, seed=1)


def test_a_loader_without_the_hook_knows_the_alignment(trained):
    """The labels that it shows are those of the run."""
    runner, path = trained
    state = torch.load(path)['state_dict']
    assert set(state) >= NAMES
    with_state, without, with_hook = rebuilt(), rebuilt(), rebuilt()
    with_state.load_state_dict(state, strict=True)
    assert with_state.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[key]) for key, value in with_state.state_dict().items())
    without.load_state_dict(
        {key: value for key, value in state.items() if not key.startswith('alignment')}
    )
    assert without.alignment is None
    before = {key: value.clone() for key, value in with_state.alignment.state_dict().items()}
    aligned, plain = (pseudo_labels(model)['teacher0'].label for model in (with_state, without))
    rare = NUM_CLASSES - 1
    assert (aligned == rare).float().mean() > (plain == rare).float().mean()
    after = with_state.alignment.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    with_hook.alignment = runner.model.alignment
    with_hook.load_state_dict(state, strict=True)
    assert torch.equal(pseudo_labels(with_hook)['teacher0'].label, aligned)


def test_loaders_of_the_package(root, trained, tmp_path):
    runner, path = trained
    runner.cfg.dump(tmp_path / 'toy.py')
    assert load_network(runner.cfg, str(path)).alignment['teacher1'].pointer == 2
    ensemble = load_model(tmp_path / 'toy.py', path, member='ensemble')
    assert len(ensemble.teachers) == 2


def test_a_run_without_the_hook_is_not_aligned(root, trained, tmp_path, monkeypatch):
    """It drops the state of the checkpoint, whether it resumes that run or starts from it."""
    _, path = trained
    monkeypatch.setattr(
        DistributionAlignment, 'forward', lambda *_: pytest.fail('the step is aligned')
    )
    for name, resume in (('resume', True), ('start', False)):
        runner, losses = run(
            root, tmp_path / name, align=None, resume=resume, load_from=str(path), iterations=3
        )
        assert len(losses) == (1 if resume else 3)
        assert runner.model.alignment is None
        (log,) = Path(runner.log_dir).glob('*.log')
        assert 'default_hooks.alignment is off' in log.read_text()
        saved = torch.load(tmp_path / name / 'iter_3.pth')['state_dict']
        assert not [key for key in saved if key.startswith('alignment')]


def test_the_settings_of_the_run_count_not_those_of_the_checkpoint(root, trained, tmp_path):
    _, path = trained
    align = dict(ALIGN, frequency=[9, 1, 1, 1], only_raise=True)
    runner, _ = run(
        root, tmp_path / 'more', align=align, resume=True, load_from=str(path), iterations=3
    )
    part = runner.model.alignment['teacher0']
    torch.testing.assert_close(part.target, torch.tensor([9.0, 1, 1, 1]) / 12)
    assert part.only_raise and not part.uniform_start and part.pointer == 3
