# Copyright (c) mmseg_ctt contributors.
"""Mixed precision: which one a start takes, and whole runs in bfloat16 on a CPU."""

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from toy_data import write_toy_data
from toy_run import stopped_config

from mmseg_ctt.engine import precision
from mmseg_ctt.engine.precision import BFloat16OptimWrapper, check_precision, set_amp


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_toy_data(tmp_path_factory.mktemp('data'))


@pytest.fixture(params=['cpu', 'cuda'])
def device(request, monkeypatch):
    monkeypatch.setattr(precision, 'get_device', lambda: request.param)
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda: True)
    return request.param


def wrapper(**settings) -> Config:
    return Config(dict(optim_wrapper={'type': 'OptimWrapper', **settings}))


def amp(cfg: Config, *given) -> dict:
    set_amp(cfg, *given)
    return cfg.optim_wrapper.to_dict()


def test_bfloat16_on_any_device(device):
    bf16 = dict(type='BFloat16OptimWrapper', accumulative_counts=2)
    assert amp(wrapper(accumulative_counts=2), 'bf16') == bf16
    of_gpu = dict(type='AmpOptimWrapper', dtype='bfloat16', loss_scale='dynamic')
    assert amp(wrapper(accumulative_counts=2, **of_gpu), True) == bf16  # the config says bfloat16
    assert amp(wrapper(**bf16)) == bf16


def test_float16_on_a_gpu_alone(device):
    for given in (True, 'fp16'):
        if device == 'cuda':
            made = amp(wrapper(), given)
            assert made == dict(type='AmpOptimWrapper', loss_scale='dynamic')
            continue
        with pytest.raises(ValueError, match='float16 needs a GPU.*--amp bf16'):
            set_amp(wrapper(), given)
    if device == 'cuda':
        bf16 = wrapper(type='AmpOptimWrapper', dtype='bfloat16', loss_scale=8.0)
        assert amp(bf16, 'fp16') == dict(type='AmpOptimWrapper', dtype='float16', loss_scale=8.0)


def test_what_is_refused(device):
    with pytest.raises(ValueError, match="amp='bf32' is not known"):
        set_amp(wrapper(), 'bf32')
    for given in ('bf16', 'fp16'):
        with pytest.raises(ValueError, match='ApexOptimWrapper'):
            set_amp(wrapper(type='ApexOptimWrapper'), given)


def test_what_a_config_may_not_say(monkeypatch):
    monkeypatch.setattr(precision, 'get_device', lambda: 'cpu')
    with pytest.raises(ValueError, match='needs a GPU.*BFloat16OptimWrapper.*--amp bf16'):
        check_precision(wrapper(type='mmengine.AmpOptimWrapper'))
    for kind in ('OptimWrapper', 'BFloat16OptimWrapper', BFloat16OptimWrapper):
        check_precision(dict(optim_wrapper=dict(type=kind)))
    check_precision({})
    monkeypatch.setattr(precision, 'get_device', lambda: 'cuda')
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda: False)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda: 'an old GPU')
    with pytest.raises(ValueError, match='an old GPU has not: use float16'):
        check_precision(wrapper(type='BFloat16OptimWrapper'))


class Notes(Hook):
    """Losses by iteration, and the types of numbers in the passes."""

    def before_train(self, runner):
        self.losses, self.passes = {}, set()
        for student in runner.model.students:
            student.decode_head.register_forward_hook(
                lambda head, given, made: head.training and self.passes.add(made.dtype) or None
            )

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        assert all(value.dtype == torch.float32 for value in outputs.values())
        self.losses[runner.iter] = {key: value.item() for key, value in outputs.items()}


def trained(root, work, iterations=4, resume=None, amp='bf16', accumulate=1, **changes):
    cfg = stopped_config(root, work, iterations, resume, **changes)
    cfg.optim_wrapper.accumulative_counts = accumulate
    if amp:
        set_amp(cfg, amp)
    runner, notes = Runner.from_cfg(cfg), Notes()
    runner.register_hook(notes)
    runner.train()
    return notes, torch.load(work / f'iter_{iterations}.pth', weights_only=False)


def test_a_resumed_run_is_the_uninterrupted_run(root, tmp_path):
    notes, whole = trained(root, tmp_path / 'whole', accumulate=2)
    assert notes.passes == {torch.bfloat16}
    stop = str(tmp_path / 'whole' / 'iter_2.pth')
    again, resumed = trained(root, tmp_path / 'again', resume=stop, accumulate=2)
    assert again.losses == {key: notes.losses[key] for key in (2, 3)}
    assert str(whole['optimizer']['state']) == str(resumed['optimizer']['state'])
    for name, value in whole['state_dict'].items():
        assert torch.equal(value, resumed['state_dict'][name]), name
        assert not value.is_floating_point() or value.dtype == torch.float32, name
    plain, _ = trained(root, tmp_path / 'plain', amp=None, accumulate=2)
    assert plain.passes == {torch.float32}
    for key, value in plain.losses[0].items():
        assert notes.losses[0][key] == pytest.approx(value, rel=0.05, abs=0.02), key


def test_state_of_another_precision_is_loaded(root, tmp_path):
    trained(root, tmp_path / 'plain', iterations=2, amp=None)
    path = tmp_path / 'plain' / 'iter_2.pth'
    checkpoint = torch.load(path, weights_only=False)
    checkpoint['optimizer']['loss_scaler'] = dict(scale=65536.0)  # of AmpOptimWrapper
    torch.save(checkpoint, path)
    notes, _ = trained(root, tmp_path / 'half', resume=str(path))
    assert set(notes.losses) == {2, 3}
