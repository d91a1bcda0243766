# Copyright (c) mmseg_ctt contributors.
"""Networks that never train: a run does not begin while nothing has given their weights."""

import pytest
import torch
from mmengine.runner import Runner
from mmseg.registry import MODELS
from toy import toy_model, toy_settings
from toy_data import toy_config, toy_ctt, toy_method, write_toy_data

OLD = r'^no checkpoint has all weights of the network old, .*set model.old_checkpoint=FILE'
TEACHER = r'^no checkpoint has all weights of the network teacher0, .*set load_from=FILE'


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_toy_data(tmp_path_factory.mktemp('data'))


def written(path, network):
    torch.save(dict(meta={}, state_dict=network.state_dict()), path)
    return str(path)


def wilson(root, folder, **changes):
    return toy_config(root, folder, model=toy_method('WILSON'), custom_hooks=[], **changes)


def frozen(root, folder, segmentor=None, **changes):
    settings = dict(num_pairs=1, supervision='self', frozen_teachers=True)
    model = toy_ctt(**settings, loss_weights=dict(hc=0, lc=0), segmentor=segmentor or {})
    return toy_config(root, folder, model=model, **changes)


@pytest.mark.parametrize('config, words', [(wilson, OLD), (frozen, TEACHER)])
def test_a_network_that_nothing_gave_weights(root, tmp_path, config, words):
    with pytest.raises(ValueError, match=words) as error:
        Runner.from_cfg(config(root, tmp_path / 'work')).train()
    assert '\n' not in str(error.value)
    assert not list((tmp_path / 'work').rglob('*.pth'))


def test_plain_weights_are_none_of_the_old_network(root, tmp_path):
    """It has fewer classes; the student alone takes them."""
    plain = toy_model('WILSON', **toy_settings('WILSON')).students[0]
    given = written(tmp_path / 'plain.pth', plain)
    with pytest.raises(ValueError, match=OLD):
        Runner.from_cfg(wilson(root, tmp_path / 'work', load_from=given)).train()


def test_a_run_of_the_method_has_the_old_network(root, tmp_path):
    made = MODELS.build(toy_method('WILSON'))
    for weight in made.old.parameters():
        weight.data.add_(1)
    given = written(tmp_path / 'run.pth', made)
    runner = Runner.from_cfg(wilson(root, tmp_path / 'work', load_from=given))
    runner.train()
    found = dict(runner.model.old.named_parameters())
    assert all(torch.equal(value, found[key]) for key, value in made.old.named_parameters())
    last = str(tmp_path / 'work' / 'iter_2.pth')
    longer = dict(type='ResumableTrainLoop', max_iters=3, val_interval=100)
    cfg = wilson(root, tmp_path / 'work', load_from=last, resume=True, train_cfg=longer)
    Runner.from_cfg(cfg).train()


def test_a_run_of_another_step_has_not(root, tmp_path):
    given = written(tmp_path / 'run.pth', MODELS.build(toy_method('WILSON', old_classes=3)))
    with pytest.raises(ValueError, match=OLD):
        Runner.from_cfg(wilson(root, tmp_path / 'work', load_from=given)).train()


def test_plain_weights_are_those_of_frozen_teachers(root, tmp_path):
    plain = MODELS.build(frozen(root, tmp_path).model).students[0]
    given = written(tmp_path / 'plain.pth', plain)
    Runner.from_cfg(frozen(root, tmp_path / 'work', load_from=given)).train()
    few = {k: v for k, v in plain.state_dict().items() if 'decode_head' not in k}
    torch.save(dict(state_dict=few), given)
    with pytest.raises(ValueError, match=TEACHER):
        Runner.from_cfg(frozen(root, tmp_path / 'few', load_from=given)).train()


def test_weights_of_the_config_are_those_of_frozen_teachers(root, tmp_path):
    plain = MODELS.build(frozen(root, tmp_path).model).students[0]
    given = dict(type='Pretrained', checkpoint=written(tmp_path / 'plain.pth', plain))
    runner = Runner.from_cfg(frozen(root, tmp_path / 'work', dict(init_cfg=given)))
    runner.train()
    found = runner.model.teachers[0].state_dict()
    assert torch.equal(found['backbone.body.weight'], plain.backbone.body.weight)
