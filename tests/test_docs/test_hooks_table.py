# Copyright (c) mmseg_ctt contributors.
"""The guide names every hook of the package that configs switch on."""

import re

from leaves import CONFIGS, parsed
from mmseg.registry import HOOKS
from pages import ROOT

GUIDE = (ROOT / 'docs/guide/training.md').read_text()


def own_hooks():
    """Names in ``default_hooks`` and types of the hooks of this package in the base configs."""
    for path in sorted((CONFIGS / '_base_').rglob('*.py')):
        for name, hook in (parsed(path).get('default_hooks') or {}).items():
            kind = HOOKS.get(hook['type']) if hook and 'type' in hook else None
            if kind is not None and kind.__module__.startswith('mmseg_ctt.'):
                yield name, kind.__name__


def test_every_hook_is_in_the_table():
    told = dict(re.findall(r'^\| `(\w+)` \| `(\w+Hook)`', GUIDE, re.MULTILINE))
    found = dict(own_hooks())
    assert len(found) > 8
    assert found.items() <= told.items()
    assert all(kind in HOOKS for kind in told.values())
