# Copyright (c) mmseg_ctt contributors.
"""Commands in the pages name options that the scripts know and settings that the configs have."""

import contextlib
import functools
import inspect
import io
import re
from pathlib import Path
from typing import Any, List, Optional, Set

import mmseg.registry
import pytest
from mmengine.config import Config
from mmengine.registry import Registry
from pages import PAGES, ROOT, commands

LAUNCHERS = {
    'dist_train.sh': 'train',
    'slurm_train.sh': 'train',
    'dist_test.sh': 'test',
    'slurm_test.sh': 'test',
}
FREE = re.compile(r'load_from|work_dir|self_training\.\w+')  # what a config may leave out
SCRIPT = re.compile(r'tools/([\w/]+)\.py')
PARTS = {'make_split': ('make', 'sequence', 'masks', 'import', 'verify')}


def calls() -> List[tuple]:
    """Page, script and the words behind it, of every command that starts one of ours."""
    found = []
    for page in PAGES:
        for words in commands(page):
            for place, word in enumerate(words):
                script = SCRIPT.fullmatch(word)
                name = script[1] if script else LAUNCHERS.get(word[len('tools/') :])
                if name and word.startswith('tools/'):
                    found.append((page, name, words[place + 1 :]))
    return found


CALLS = calls()


def test_there_are_commands():
    assert len(CALLS) > 30


@pytest.fixture(scope='module')
def known_options(load_tool):
    @functools.lru_cache(maxsize=None)
    def options(name: str, part: Optional[str]) -> Set[str]:
        return set(re.findall(r'--[\w-]+', load_help(load_tool(name), part)))

    return options


def load_help(script, part: Optional[str]) -> str:
    """What ``--help`` prints."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert script.exit_code(*([part] if part else []), '--help') == 0
    return said.getvalue()


def test_options(known_options):
    for page, name, words in CALLS:
        part = words[0] if words and words[0] in PARTS.get(Path(name).name, ()) else None
        used = {word.partition('=')[0] for word in words if word.startswith('--')}
        unknown = used - known_options(name, part)
        assert not unknown, f'{page}: {name} has no {sorted(unknown)}'


def test_settings():
    checked = 0
    for page, _, words in CALLS:
        configs = [word for word in words if word.startswith('configs/') and word.endswith('.py')]
        if not configs or '--cfg-options' not in words:
            continue
        for word in words[words.index('--cfg-options') + 1 :]:
            if word.startswith('-'):
                break
            key = word.partition('=')[0]
            assert is_setting(load(configs[0]), key), f'{page}: {configs[0]} has no {key}'
            checked += 1
    assert checked > 20


def test_a_wrong_setting_is_found():
    cfg = load('configs/ctt/ctt_deeplabv3plus_streets_1-8.py')
    assert is_setting(cfg, 'model.loss_weights.hc') and is_setting(cfg, 'custom_hooks.1.interval')
    for key in (
        'model.los_weights.hc',
        'custom_hooks.7.start_iter',
        'train_cfg.max_iter',
        'custom_hooks.1.start',
    ):
        assert not is_setting(cfg, key), key


@functools.lru_cache(maxsize=None)
def load(config: str) -> Config:
    return Config.fromfile(ROOT / config)


def is_setting(cfg: Config, key: str) -> bool:
    """Whether a config has the key, or an argument of that name belongs to what is built there."""
    node: Any = cfg
    for name in key.split('.'):
        if isinstance(node, (list, tuple)):
            if int(name) >= len(node):
                return False
            node = node[int(name)]
        elif name in node:
            node = node[name]
        else:
            return bool(FREE.fullmatch(key)) or name in arguments(node.get('type'))
    return True


def arguments(kind: Optional[str]) -> Set[str]:
    """Arguments of a registered class and its parents."""
    registries = [value for value in vars(mmseg.registry).values() if isinstance(value, Registry)]
    found = [cls for cls in (one.get(kind) for one in registries if kind) if cls is not None]
    return {
        name
        for cls in found
        for parent in getattr(cls, '__mro__', ())
        if inspect.isfunction(vars(parent).get('__init__'))
        for name in inspect.signature(parent.__init__).parameters
    }
