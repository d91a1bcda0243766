# Copyright (c) mmseg_ctt contributors.
"""Entries of a checkpoint that belong together are loaded together, or not at all."""

import pytest
import torch
from toy import ready_model, toy_model, toy_settings

from mmseg_ctt.nn.alignment import MemberAlignment

BANK = dict(size=2, dim=8)
# method, settings of the checkpoint and of the model, entries that begin anew, one that does not
CASES = [
    (
        'CrossTeacherTraining',
        dict(bank=BANK),
        dict(bank=dict(BANK, size=3)),
        ('contrast.bank.', 'contrast.on'),
        'contrast.bank.features is (2, 4, 2, 8) in the checkpoint and (2, 4, 3, 8) here',
    ),
    (
        'STPG',
        dict(contrast=dict(dim=8)),
        dict(contrast=dict(dim=6)),
        ('contrast.bank.', 'contrast.on', 'contrast.targets', 'contrast.assignment', 'contrast.c'),
        'contrast.targets is (4, 8) in the checkpoint and (4, 6) here: contrast.targets, ',
    ),
    (
        'U2PL',
        dict(bank=dict(size=9)),
        dict(bank=dict(size=7)),
        ('contrast.bank.',),
        'contrast.bank.features',
    ),
    (
        'ContextAwareConsistency',
        dict(bank=dict(size=40, budget=20)),
        dict(bank=dict(size=30, budget=20)),
        ('contrast.bank.',),
        'contrast.bank.features',
    ),
    (
        'AllSpark',
        dict(memory=dict(grid=(8, 8))),
        dict(memory=dict(grid=(4, 4))),
        ('memory.',),
        'memory.features',
    ),
    (
        'PrevMatch',
        dict(num_past=2),
        dict(num_past=3),
        ('ring.',),
        'past.2.backbone.stem.weight is absent in the checkpoint',
    ),
]


def used(kind, settings):
    """A model, and its state in which every number of a memory is 1."""
    model = toy_model(kind, **toy_settings(kind, **settings))
    state = model.state_dict()
    for name, value in state.items():
        if name.startswith(('contrast.', 'memory.', 'ring.')):
            state[name] = torch.ones_like(value)
    return model, state


@pytest.mark.parametrize('kind, old, new, anew, words', CASES, ids=[case[0] for case in CASES])
def test_another_size_begins_anew(kind, old, new, anew, words, monkeypatch):
    said = []
    monkeypatch.setattr('mmseg_ctt.nn.joint_state.print_log', lambda text, *_: said.append(text))
    model, _ = used(kind, new)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    given = {
        name: value
        for name, value in used(kind, old)[1].items()
        if name.startswith(anew) or name in before and value.shape == before[name].shape
    }
    model.load_state_dict(given, strict=False)
    for name, value in model.state_dict().items():
        if name.startswith(anew):
            assert torch.equal(value, before[name]), name
        elif name in given and not name.startswith('past.'):
            assert torch.equal(value, given[name]), name
    assert any(words in text and text.endswith(' begin anew') for text in said)
    if kind == 'PrevMatch':
        assert model.ring.stored == 0


@pytest.mark.parametrize('kind, old', [case[:2] for case in CASES], ids=[case[0] for case in CASES])
def test_the_same_sizes_are_loaded(kind, old):
    model, state = used(kind, old)
    model.load_state_dict(state)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_fewer_past_models_are_those_that_are_there():
    model, state = used('PrevMatch', dict(num_past=3))
    fewer, _ = used('PrevMatch', dict(num_past=2))
    fewer.load_state_dict(state, strict=False)
    assert fewer.ring.stored == 1


def test_the_weights_of_a_network_fill_no_ring(monkeypatch):
    said = []
    monkeypatch.setattr('mmseg_ctt.nn.joint_state.print_log', lambda text, *_: said.append(text))
    model = ready_model('PrevMatch')
    plain = toy_model('UniMatch', seed=3).students[0].state_dict()
    model.load_state_dict(plain, strict=False)
    assert torch.equal(model.past[1].backbone.stem.weight, plain['backbone.stem.weight'])
    assert not said


def test_the_mean_of_an_alignment_of_another_length():
    models = []
    for steps in (5, 3):
        model = toy_model()
        model.alignment = MemberAlignment(['teacher0'], torch.full((4,), 0.25), steps)
        models.append(model)
    old, new = models
    old.alignment['teacher0'].pointer.fill_(4)
    old.alignment['teacher0'].target.copy_(torch.tensor([0.1, 0.2, 0.3, 0.4]))
    new.load_state_dict(old.state_dict(), strict=False)
    assert new.alignment['teacher0'].pointer == 0
    assert torch.equal(new.alignment['teacher0'].target, old.alignment['teacher0'].target)
