# Copyright (c) mmseg_ctt contributors.
"""Files of weights that some nodes have and others lack."""

import os
from urllib.error import URLError

import pytest
import torch
from mmengine.runner import CheckpointLoader
from ranks import on_ranks
from torch import nn
from versions import GLOO_BOOL

pytestmark = GLOO_BOOL
FILE = 'net.pth'
SOURCES = (
    f'pretrained:{FILE}|random',
    f'pretrained:{FILE}|https://nowhere.invalid/{FILE}|random',
    f'pretrained:{FILE}|https://nowhere.invalid/{FILE}',
)


def unreachable(*_, **__):
    raise URLError('no network')


def node(folder, rank):
    """The folder of weights of a node, made and set: of one name, with other files."""
    own = folder / f'node{rank}' / 'weights'
    own.mkdir(parents=True, exist_ok=True)
    os.chdir(own.parent)
    os.environ['PRETRAINED_ROOT'] = own.name
    return own


@pytest.mark.parametrize(
    'checkpoint, owners',
    [
        (checkpoint, owners)
        for checkpoint in SOURCES
        for owners in [(0,), (1,), (0, 1), ()]
        # without a random start mmengine says on the first rank that it cannot download
        if 0 in owners or checkpoint.endswith('random')
    ],
)
def test_all_ranks_read_what_the_first_finds(tmp_path, monkeypatch, checkpoint, owners):
    """No rank waits for another, as in a collective that depends on a file of its own."""
    for target in ('torch.hub.load_state_dict_from_url', 'mmengine.runner.checkpoint.load_url'):
        monkeypatch.setattr(target, unreachable)

    def body(rank):
        own = node(tmp_path, rank)
        if rank in owners:
            torch.save(dict(state_dict=nn.Linear(1, 1).state_dict()), own / FILE)
        torch.distributed.barrier()
        try:
            return len(CheckpointLoader.load_checkpoint(checkpoint)['state_dict'])
        except (OSError, RuntimeError) as error:
            return f'{type(error).__name__}: {error}'

    first, second = on_ranks(body, seconds=60)
    if 0 not in owners:
        assert first == second == 0
    elif 1 in owners:
        assert first == second == 2
    else:
        assert first == 2
        assert second.startswith('FileNotFoundError: pretrained:') and 'PRETRAINED_ROOT' in second


@pytest.mark.parametrize('owner', [0, 1])
def test_one_guidance_on_all_ranks(tmp_path, owner):
    """DDP does not send what is in no state."""
    pytest.importorskip('timm', reason='timm is not installed')
    import numpy as np

    from mmseg_ctt.methods.semivl import ImageTextGuidance, SemiVL

    small = SemiVL.toy_settings['guidance']
    texts = ['sky', 'road', 'tree', 'car']

    def body(rank):
        own = node(tmp_path, rank)
        random = ImageTextGuidance(4, texts, **small)
        if rank == owner:
            state = {name: value + 1 for name, value in random.network.state_dict().items()}
            torch.save(state, own / FILE)
            np.savez(own / 'texts.npz', texts=texts, embeddings=np.eye(4, 8, dtype=np.float32))
        torch.distributed.barrier()
        files = dict(
            checkpoint=f'pretrained:{FILE}|random', text_file='pretrained:texts.npz|random'
        )
        made = ImageTextGuidance(4, texts, **files, **small)
        with pytest.raises(FileNotFoundError, match='absent'):
            ImageTextGuidance(4, texts, checkpoint='absent.pth', **small)
        return random.state_dict(), made.state_dict()

    (random, first), (_, second) = on_ranks(body)
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    assert torch.equal(first['text'], random['text']) == (owner == 1)
    assert torch.equal(first['network.head.weight'], random['network.head.weight']) == (owner == 1)
