# Copyright (c) mmseg_ctt contributors.
import io

import numpy as np
import pytest
import torch
from toy_run import make_run
from versions import SAFE_GLOBALS

from mmseg_ctt.deploy.export import checkpoint_bytes, export_member, inference_part, read_checkpoint


@pytest.fixture
def checkpoint():
    meta = dict(
        iter=np.int64(3),
        seed=1,
        dataset_meta=dict(classes=('a', 'b'), label_map={0: 1}, palette=np.zeros((2, 3), np.uint8)),
        hook_msgs=dict(last='/home/me'),
        time='20240102_030405',
    )
    return dict(
        meta=meta,
        state_dict=dict(a=torch.ones(2)),
        optimizer=dict(state=1),
        message_hub=dict(log=1),
        param_schedulers=[],
    )


def test_only_what_inference_needs(checkpoint):
    part = inference_part(checkpoint)
    assert part.keys() == {'meta', 'state_dict'}
    assert part['meta'] == dict(
        iter=3,
        seed=1,
        time='20240102_030405',
        dataset_meta=dict(classes=('a', 'b'), label_map={0: 1}, palette=[[0, 0, 0]] * 2),
    )
    assert type(part['meta']['iter']) is int


@SAFE_GLOBALS
def test_strict_load_and_equal_bytes(checkpoint):
    """Without the types that this package makes known to torch."""
    part = inference_part(checkpoint)
    data = checkpoint_bytes(part)
    assert data == checkpoint_bytes(part)
    allowed = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        loaded = torch.load(io.BytesIO(data), weights_only=True)
    finally:
        torch.serialization.add_safe_globals(allowed)
    assert loaded['meta'] == part['meta'] and torch.equal(loaded['state_dict']['a'], torch.ones(2))


@pytest.mark.parametrize(
    'content, error, words',
    [
        (None, FileNotFoundError, 'x.pth does not exist'),
        (b'no checkpoint', ValueError, 'x.pth is no checkpoint'),
        (dict(a=1), ValueError, 'x.pth has no "state_dict"'),
        ([1], ValueError, 'has no "state_dict"'),
        (dict(state_dict={}), ValueError, 'has no "state_dict"'),
    ],
)
def test_files_that_are_none(tmp_path, content, error, words):
    path = tmp_path / 'x.pth'
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(error, match=words):
        read_checkpoint(path)


def test_exported_checkpoint(tmp_path):
    run = make_run(tmp_path)
    export = export_member(run.cfg, read_checkpoint(run.checkpoint))
    assert export.checkpoint.keys() == {'meta', 'state_dict'}
    meta = export.checkpoint['meta']
    assert meta['member'] == export.member == 'teacher0'
    assert meta['iter'] == 40 and meta['dataset_meta']['classes'] == (
        'class0',
        'class1',
        'class2',
        'class3',
    )
    assert 'CrossTeacherTraining' not in meta['cfg'] and 'EncoderDecoder' in meta['cfg']
    assert 'hook_msgs' not in meta
    assert all(
        key.split('.')[0] in ('backbone', 'decode_head') for key in export.checkpoint['state_dict']
    )
    del run.state_dict['teachers.0.decode_head.conv_seg.bias']
    with pytest.raises(ValueError, match='do not belong together.*conv_seg.bias'):
        export_member(run.cfg, dict(state_dict=run.state_dict))


def test_run_without_dataset_meta(tmp_path):
    run = make_run(tmp_path)
    export = export_member(run.cfg, dict(state_dict=run.state_dict), 'student0')
    assert list(export.checkpoint['meta']['dataset_meta']['classes'])[0] == 'class0'
