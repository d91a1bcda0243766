# Copyright (c) mmseg_ctt contributors.
"""Sections of a training step, attached from outside, so that the model's code has no markers."""

from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, Callable, Iterable, Iterator, List, Protocol, Sequence, Tuple, Union
from unittest.mock import patch

import torch
from mmengine.runner import Runner
from torch import nn

from ...nn.unwrap import unwrapped
from .networks import head_calls, heads_of, network_calls, networks_of

OTHER, BACKWARD = 'other', 'backward'
SECTIONS = (
    'data',
    'strong view',
    'perturbation',
    'teachers',
    'pseudo-labels',
    'students forward',
    'losses',
    'contrast',
    BACKWARD,
    'optimiser',
    'EMA',
    'bank',
    'logging',
    OTHER,
)
Section = Union[str, Callable[..., str]]


def _pass_section(names: Sequence[str], *_: Any) -> str:
    """Passes of students with gradient train; all others make targets."""
    trains = names[0].startswith('student') and torch.is_grad_enabled()
    return 'students forward' if trains else 'teachers'


# Sections of what every model has. Modules and hooks of this package say by their attribute
# `sections` which of their methods belong to which section.
METHODS: Tuple[Tuple[Section, str], ...] = (
    ('data', 'model.data_preprocessor.forward'),
    (_pass_section, 'model.forward_members'),
    ('logging', 'model.parse_losses'),
    (BACKWARD, 'optim_wrapper.backward'),
    ('optimiser', 'optim_wrapper.step'),
    ('optimiser', 'optim_wrapper.zero_grad'),
)
# (section, class of a stock hook, its method)
HOOKS = (
    ('EMA', 'EMAHook', 'after_train_iter'),
    ('optimiser', 'ParamSchedulerHook', 'after_train_iter'),
    ('logging', 'RuntimeInfoHook', 'before_train_iter'),
    ('logging', 'RuntimeInfoHook', 'after_train_iter'),
    ('logging', 'IterTimerHook', 'before_train_iter'),
    ('logging', 'IterTimerHook', 'after_train_iter'),
    ('logging', 'LoggerHook', 'after_train_iter'),
)


class Watcher(Protocol):
    """Is told of every stretch of a section, when it ends."""

    def start(self) -> None:
        """Forget what was; the first stretch begins now."""

    def lap(self, section: str) -> None:
        """The program has been in ``section`` since the last call."""


class SectionStack:
    """Which section is running.

    Sections nest; an inner one interrupts the outer, so what a watcher adds up is exclusive and
    its sum is the whole. ``in_network`` is True while a network itself runs.
    """

    def __init__(self) -> None:
        self._names, self._networks = [OTHER], 0
        self._watchers: List[Watcher] = []

    @property
    def current(self) -> str:
        """Name of the innermost section."""
        return self._names[-1]

    @property
    def in_network(self) -> bool:
        """Whether a network is running."""
        return self._networks > 0

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Everything in the ``with`` block belongs to section ``name``."""
        self._lap()
        self._names.append(name)
        try:
            yield
        finally:
            self._lap()
            self._names.pop()

    @contextmanager
    def network(self) -> Iterator[None]:
        """Everything in the ``with`` block is done by a network."""
        self._networks += 1
        try:
            yield
        finally:
            self._networks -= 1

    @contextmanager
    def watched_by(self, watcher: Watcher) -> Iterator[None]:
        """Report every change of section in the ``with`` block to ``watcher``."""
        watcher.start()
        self._watchers.append(watcher)
        try:
            yield
        finally:
            self._lap()
            self._watchers.remove(watcher)

    def _lap(self) -> None:
        for watcher in self._watchers:
            watcher.lap(self.current)


@contextmanager
def attached(
    runner: Runner, stack: SectionStack, methods: Sequence[Tuple[Section, str]] = METHODS
) -> Iterator[None]:
    """Wrap what the tables name and every network of the model; undone at the end.

    Args:
        runner (Runner): With its model, optimiser wrapper and hooks built. Hooks that hand their
            methods on in ``before_train`` must not have done so yet.
        stack (SectionStack): Is told of the sections.
        methods (Sequence): Table of methods. Defaults to :data:`METHODS`.
    """
    model = unwrapped(runner.model)
    with ExitStack() as undo:
        for owner, name in _networks(model):
            _wrap(undo, owner, name, lambda *_: stack.network())
        for section, owner, name in [
            *_forward_and_losses(model),
            *_methods(runner, model, methods),
            *_hooks(runner),
            *_declared(model.modules()),
            *_declared(runner.hooks),
        ]:
            _wrap(undo, owner, name, _entering(stack, section))
        yield


def _entering(stack: SectionStack, section: Section) -> Callable:
    named = section if callable(section) else lambda *_: section
    return lambda *args: stack.inside(named(*args))


def _wrap(undo: ExitStack, owner: Any, name: str, context: Callable) -> None:
    original = getattr(owner, name)

    @wraps(original)
    def wrapper(*args, **kwargs):
        with context(*args):
            return original(*args, **kwargs)

    undo.enter_context(patch.object(owner, name, wrapper))


def _networks(model: nn.Module) -> Iterator[Tuple[Any, str]]:
    for network in networks_of(model):
        yield from network_calls(network)


def _forward_and_losses(model: nn.Module) -> Iterator[Tuple[str, Any, str]]:
    """Passes outside of ``forward_members``: a plain segmentor, auxiliary heads of students."""
    plain = networks_of(model) == [model]
    for network in networks_of(model):
        calls = (
            network_calls(network)
            if plain
            else (
                call for head in heads_of(network, ['auxiliary_head']) for call in head_calls(head)
            )
        )
        yield from (('students forward', owner, name) for owner, name in calls)
    if plain:
        yield from (('losses', head, 'loss_by_feat') for head in heads_of(model))


def _methods(
    runner: Runner, model: nn.Module, table: Sequence[Tuple[Section, str]]
) -> Iterator[Tuple[Section, Any, str]]:
    for section, path in table:
        root, *between, name = path.split('.')
        owner = model if root == 'model' else getattr(runner, root)
        for part in between:
            owner = getattr(owner, part, None)
        if hasattr(owner, name):
            yield section, owner, name


def _hooks(runner: Runner) -> Iterator[Tuple[str, Any, str]]:
    for hook in runner.hooks:
        kinds = [kind.__name__ for kind in type(hook).__mro__]
        yield from ((section, hook, name) for section, kind, name in HOOKS if kind in kinds)


def _declared(owners: Iterable[Any]) -> Iterator[Tuple[str, Any, str]]:
    """Sections that modules and hooks declare themselves."""
    for owner in owners:
        for name, section in getattr(owner, 'sections', {}).items():
            yield section, owner, name
