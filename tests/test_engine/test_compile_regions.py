# Copyright (c) mmseg_ctt contributors.
"""``compile=dict(regions='members')``: settings, and whole runs whose networks are compiled.

The graphs are counted by a backend that runs them as they are; the numbers are then those of a run
that is not compiled.
"""

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from toy_data import write_toy_data
from toy_run import stopped_config
from versions import COMPILE

from mmseg_ctt.engine.compile_regions import check_compile, compile_error, compile_members
from mmseg_ctt.engine.run_checks import explained


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_toy_data(tmp_path_factory.mktemp('data'))


@COMPILE
@pytest.mark.parametrize(
    'given, words',
    [
        (dict(regions='heads'), "compile.regions must be one of ('members',), got 'heads'"),
        (dict(regions='members', dynamics=True), "compile has unknown settings ['dynamics']"),
    ],
)
def test_settings(given, words):
    with pytest.raises(ValueError) as error:
        check_compile(dict(compile=given))
    assert words in str(error.value)
    with pytest.raises(TypeError, match='compile must be a dict'):
        check_compile(dict(compile='members'))
    for off in ({}, dict(compile=None), dict(compile=False)):
        check_compile(off)


@COMPILE
def test_a_machine_without_a_compiler(monkeypatch):
    monkeypatch.setattr(torch._inductor.config.cpp, 'cxx', (None, 'absent-g++'))
    for given in (True, dict(regions='members')):
        with pytest.raises(ValueError, match='needs a C\\+\\+ compiler.*install g\\+\\+') as error:
            check_compile(dict(compile=given))
        assert '\n' not in str(error.value)
    check_compile(dict(compile=dict(regions='members', backend='aot_eager')))


def test_an_old_pytorch(monkeypatch):
    monkeypatch.setattr(torch, '__version__', '2.1.2')
    with pytest.raises(ValueError, match='compile.regions needs PyTorch 2.6 or newer, and 2.1.2'):
        check_compile(dict(compile=dict(regions='members')))


class Graphs(Hook):
    """Losses by iteration, and the number of graphs that have been compiled by then."""

    priority = 'LOWEST'

    def __init__(self):
        self.compiled, self.losses, self.counts = 0, {}, []

    def backend(self, graph, inputs):
        self.compiled += 1
        return graph.forward

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses[runner.iter] = {key: value.item() for key, value in outputs.items()}
        self.counts.append(self.compiled)


def trained(root, work, hook, iterations=4, resume=None, compiled=True, workers=0):
    cfg = stopped_config(root, work, iterations, resume, val_interval=2)
    cfg.train_dataloader.update(num_workers=workers, persistent_workers=workers > 0)
    runner = Runner.from_cfg(cfg)
    if compiled:
        runner.cfg.compile = dict(regions='members', backend=hook.backend)
    runner.register_hook(hook)
    runner.train()
    if workers:
        runner.train_loop.dataloader._iterator._shutdown_workers()
    return torch.load(work / f'iter_{iterations}.pth', weights_only=False)['state_dict']


@COMPILE
def test_a_compiled_run_is_the_plain_run(root, tmp_path):
    """Backbones and heads of the students and of the teachers are four graphs, and stay four."""
    torch._dynamo.reset()
    plain, hook, folder = Graphs(), Graphs(), tmp_path / 'plain'
    want = trained(root, folder, plain, compiled=False)
    trained(root, tmp_path / 'run', hook, iterations=2, workers=1)
    made = trained(root, tmp_path / 'resumed', hook, resume=str(folder / 'iter_2.pth'))
    assert hook.counts == [4] * 4  # images of validations have other sizes and are not compiled
    assert hook.losses == plain.losses
    assert list(made) == list(want)  # also the names of weights
    assert all(torch.equal(made[name], value) for name, value in want.items())


def test_a_model_without_parts():
    with pytest.raises(ValueError, match='Linear has a network without backbone and decode head'):
        compile_members(torch.nn.Linear(1, 1), dict(regions='members'))


def test_errors_of_the_compiler_are_one_line():
    kind = type('BackendCompilerFailed', (RuntimeError,), dict(__module__='torch._dynamo.exc'))
    error = kind("backend='inductor' raised:\nCppCompileError: Python.h is missing\n\nmore lines")
    line = 'PyTorch could not compile the networks (CppCompileError: Python.h is missing): leave'
    assert explained(error, {}, torch.nn.Linear(1, 1)).startswith(line)
    assert compile_error(RuntimeError('CppCompileError')) is None
