# Copyright (c) mmseg_ctt contributors.
"""Defaults of a method, from the attributes of its class."""

from typing import Any, Iterator, Tuple, Type

from mmseg_ctt.methods import SemiSegmentor


def defaults_table(cls: Type[SemiSegmentor]) -> str:
    """Table of the settings that every method has, with the defaults of one."""
    rows = [f'| {name} | {value} |' for name, value in defaults(cls)]
    return '\n'.join(['| setting | default |', '| --- | --- |', *rows, ''])


def defaults(cls: Type[SemiSegmentor]) -> Iterator[Tuple[str, str]]:
    """Name and default of each setting, as Markdown."""
    fixed = ', no other' if cls.fixed_graph else ''
    yield '`num_pairs`', f'{code(cls.default_num_pairs)}{fixed}'
    yield '`supervision`', f'{code(cls.default_supervision)}{fixed}'
    yield '`test_cfg.predict_on`', code(cls.default_predict_on({}))
    yield '`loss_weights`', code(cls.usual_weights())
    if cls.default_auxiliary_tasks:
        yield '`auxiliary_tasks`', code(list(cls.default_auxiliary_tasks))
    if cls.ramped_terms:
        terms = ', '.join(f'`{term}`' for term in cls.ramped_terms)
        yield '`ramp_up`', f'{code(cls.default_ramp_up)}, of {terms}'
    if cls.default_augmentation is not None:
        yield '`strong_augmentation`', code(list(cls.default_augmentation))
    if cls.default_consistency is not None:
        part = cls.consistency_class
        name = part if isinstance(part, str) else part.__name__
        yield '`consistency`', f'{code(cls.default_consistency)}, settings of `{name}`'
    for name, mode in list(cls.modes.items())[1:]:
        yield f"`mode='{name}'`", code({**mode.get('build', {}), **mode, 'build': None})
    sources = ', '.join(f'`{source}`' for source in cls.sources)
    yield 'image sources', sources


def code(value: Any) -> str:
    """A value as it stands in a config, in code font."""
    return f'`{python(value)}`'


def python(value: Any) -> str:
    """The same without the font; entries of None are left out of a dict."""
    if hasattr(value, 'items'):
        entries = (f'{key}={python(item)}' for key, item in value.items() if item is not None)
        return f'dict({", ".join(entries)})'
    if isinstance(value, (list, tuple)):
        items = ', '.join(map(python, value))
        return f'[{items}]' if isinstance(value, list) else f'({items})'
    return f'{value:g}' if isinstance(value, float) else repr(value)
