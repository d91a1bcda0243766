# Copyright (c) mmseg_ctt contributors.
"""Commands in the pages name options that the scripts know and settings that the configs have."""

import contextlib
import functools
import inspect
import io
import itertools
import re
import sys
from pathlib import Path
from typing import Any, Iterator, List, Optional, Set

import mmseg.registry
import pytest
from leaves import LEAVES
from mmengine.config import Config
from mmengine.registry import Registry
from pages import PAGES, ROOT, commands

from mmseg_ctt.engine.start_config import read_config

sys.path.insert(0, str(ROOT / 'docs' / '_ext'))

from inventory import methods, own_arguments, parts, registered  # noqa: E402

LAUNCHERS = {
    'dist_train.sh': 'train',
    'slurm_train.sh': 'train',
    'dist_test.sh': 'test',
    'slurm_test.sh': 'test',
}
FREE = re.compile(r'load_from|work_dir|self_training\.\w+')  # what a config may leave out
SCRIPT = re.compile(r'tools/([\w/]+)\.py')
PARTS = {
    'make_split': ('make', 'sequence', 'masks', 'images', 'import', 'verify'),
    'patient_lists': ('make', 'import'),
}


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
def help_of(load_tool):
    @functools.lru_cache(maxsize=None)
    def text(name: str, part: Optional[str]) -> str:
        return load_help(load_tool(name), part)

    return text


def load_help(script, part: Optional[str]) -> str:
    """What ``--help`` prints."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert script.exit_code(*([part] if part else []), '--help') == 0
    return said.getvalue()


def options_in(text: str) -> Set[str]:
    return set(re.findall(r'--[\w-]+', text))


def needed(text: str) -> Set[str]:
    """Options that the usage in a help has outside of brackets."""
    usage, count = text.partition('\n\n')[0], 1
    while count:
        usage, count = re.subn(r'\[[^][]*\]|\([^()]*\)', '', usage)
    return options_in(usage)


def test_needed_options():
    usage = 'usage: a.py [-h] [--b [B ...]] --c C (--d | --e)\n --f-g x [x ...]\n\n --k K'
    assert needed(usage) == {'--c', '--f-g'}


def test_options(help_of):
    for page, name, words in CALLS:
        part = words[0] if words and words[0] in PARTS.get(Path(name).name, ()) else None
        text = help_of(name, part)
        used = {word.partition('=')[0] for word in words if word.startswith('--')}
        unknown = used - options_in(text)
        assert not unknown, f'{page}: {name} has no {sorted(unknown)}'
        rest_given = any(word.startswith('$@') for word in words)  # by the calls of a function
        missing = set() if rest_given or '--help' in used else needed(text) - used
        assert not missing, f'{page}: {name} needs {sorted(missing)}'


# ---- checkpoints


NUMBER = re.compile(r'.*/iter_(\d+)\.pth')
STEMS = {path.stem: path.relative_to(ROOT).as_posix() for path in LEAVES.values()}


def named_checkpoints() -> Iterator[tuple]:
    """Page, config and number of every checkpoint whose folder or command says its config."""
    for page, _, words in CALLS:
        given = [w for w in words if w.startswith('configs/') and (ROOT / w).is_file()][:1]
        for word in words:
            key, _, path = word.rpartition('=')
            file = NUMBER.fullmatch(path)
            runs = [STEMS[part] for part in Path(path).parts if part in STEMS]
            known = runs or ([] if key else given)
            if file and known:
                yield page, known[0], int(file[1])


def lengths(page: str, config: str) -> Set[int]:
    """Iterations of the trainings of a config: its own, and those that the page sets."""
    set_there = {
        int(value)
        for where, file, key, value in settings()
        if (where, file) == (page, config) and key in ('sizes.max_iters', 'train_cfg.max_iters')
    }
    return {read_config(str(ROOT / config)).train_cfg.max_iters, *set_there}


def test_checkpoints_are_those_that_the_runs_make():
    found = list(named_checkpoints())
    assert len(found) > 5
    wrong = [
        f'{page}: {config} makes no iter_{number}.pth, but iter_{sorted(lengths(page, config))}'
        for page, config, number in found
        if number not in lengths(page, config)
    ]
    assert not wrong, '\n'.join(wrong)


def test_tags_are_compared_as_they_are_made():
    """With another number of pixels of a tag, tags of masks would not agree with these."""
    made: dict = {}
    for page, name, words in CALLS:
        if name == 'weak/make_tags' and words[0] in ('masks', 'compare'):
            option = '--min-pixels'
            pixels = words[words.index(option) + 1] if option in words else '1'
            made.setdefault((page, words[1]), {})[words[0]] = pixels
    assert any(len(of_both) == 2 for of_both in made.values())
    assert all(len(set(of_both.values())) == 1 for of_both in made.values()), made


# ---- settings


def settings() -> List[tuple]:
    """Page, config, key and value of every ``--cfg-options`` of a command with a config of ours."""
    found = []
    for page, _, words in CALLS:
        configs = [word for word in words if word.startswith('configs/') and word.endswith('.py')]
        if configs and '--cfg-options' in words:
            options = words[words.index('--cfg-options') + 1 :]
            keys = itertools.takewhile(lambda word: not word.startswith('-'), options)
            files = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(configs[0]))
            assert files, f'{page}: there is no {configs[0]}'
            found += [(page, files[0], *key.partition('=')[::2]) for key in keys]
    return found


def test_settings():
    keys = settings()
    assert len(keys) > 20
    wrong = [
        f'{page}: {config} has no {key}'
        for page, config, key, value in keys
        if not (ROOT / config).is_file()
        or not (is_setting(load(config), key) or is_new_hook(key, value))
    ]
    assert not wrong, '\n'.join(wrong)


def test_a_wrong_setting_is_found():
    assert is_new_hook('default_hooks.do_no_harm.type', 'DoNoHarmHook')
    assert not is_new_hook('default_hooks.do_no_harm.type', 'DoNoHarm')
    assert not is_new_hook('default_hooks.do_no_harm.margin', 'DoNoHarmHook')
    hooks = dict(queue_warmup=dict(type='QueueWarmupHook'))
    model = dict(type='CrossTeacherTraining', segmentor=dict(), contrast=dict(pool=2))
    cfg = Config(dict(model=model, default_hooks=hooks, train_cfg=dict(type='ResumableTrainLoop')))
    for key in (
        'model.loss_weights.hc',
        'model.shared_view',
        'model.contrast.pool',
        'model.contrast.directional',
        'default_hooks.queue_warmup.interval',
    ):
        assert is_setting(cfg, key), key
    for key in (
        'model.los_weights.hc',
        'model.contrast.poll',
        'default_hooks.warmup.start_iter',
        'train_cfg.max_iter',
        'default_hooks.queue_warmup.start',
    ):
        assert not is_setting(cfg, key), key


@functools.lru_cache(maxsize=None)
def load(config: str) -> Config:
    return Config.fromfile(ROOT / config)


def is_new_hook(key: str, value: str) -> bool:
    """Whether an option adds a registered hook, such as ``default_hooks.guard.type=GuardHook``."""
    adds = re.fullmatch(r'default_hooks\.\w+\.type', key) is not None
    return adds and mmseg.registry.HOOKS.get(value) is not None


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
            part = part_arguments() if key.startswith('model.') else set()
            return bool(FREE.fullmatch(key)) or name in arguments(node.get('type')) | part
    return True


def arguments(kind: Optional[str]) -> Set[str]:
    """Arguments of a registered class and its parents, and those of a method's ``build``."""
    registries = [value for value in vars(mmseg.registry).values() if isinstance(value, Registry)]
    found = [registry.get(kind) for registry in registries if kind]
    names = set()
    for cls in filter(inspect.isclass, found):
        names.update(own_arguments(cls))
        for parent in cls.__mro__:
            if inspect.isfunction(vars(parent).get('__init__')):
                names.update(inspect.signature(parent.__init__).parameters)
    return names


@functools.lru_cache(maxsize=None)
def part_arguments() -> Set[str]:
    """Settings of the parts of methods, which a config gives as dicts without a type."""
    kinds = [*parts(), *set(registered()['MODELS']) - set(methods().values())]
    return {name for kind in kinds for name in own_arguments(kind)}
