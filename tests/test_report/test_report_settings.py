# Copyright (c) mmseg_ctt contributors.
from mmengine.config import Config

from mmseg_ctt.lab.report.settings import ABSENT, MAX_CHARACTERS, config_differences


def rows(*configs):
    return {row.key: row.values for row in config_differences(configs)}


def test_nested_keys():
    assert rows(dict(a=dict(b=1, c=2), d=3), dict(a=dict(b=1, c=5), d=3)) == {'a.c': ('2', '5')}


def test_lists_of_one_length_item_by_item():
    hooks = [[dict(type='A', n=1), dict(type='B')], [dict(type='A', n=2), dict(type='B')]]
    assert rows(*(dict(hooks=one) for one in hooks)) == {'hooks.0.n': ('1', '2')}
    assert rows(dict(x=[1]), dict(x=[1, 2])) == {'x': ('[1]', '[1, 2]')}


def test_a_part_that_one_lacks_is_one_row():
    made = rows(dict(model=dict(bank=dict(size=2, dim=3))), dict(model={}), dict(model=dict(k=1)))
    assert made == {
        'model.bank': ("{'dim': 3, 'size': 2}", ABSENT, ABSENT),
        'model.k': (ABSENT, ABSENT, '1'),
    }


def test_not_a_difference():
    assert rows(dict(work_dir='a', size=(1, 2), n=1), dict(work_dir='b', size=[1, 2], n=1)) == {}
    assert rows(dict(flag=True), dict(flag=1)) == {'flag': ('True', '1')}


def test_configs():
    one, other = (Config(dict(model=dict(type='A', lr=lr), s='text')) for lr in (0.1, 0.2))
    assert rows(one.to_dict(), other.to_dict()) == {'model.lr': ('0.1', '0.2')}


def test_long_values_are_cut():
    value, _ = rows(dict(a=list(range(500))), dict(a=1))['a']
    assert len(value) == MAX_CHARACTERS + len(' ...') and value.endswith(' ...')
