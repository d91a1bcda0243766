# Copyright (c) mmseg_ctt contributors.
"""``compile=dict(regions='members')`` of a config: each network of a method is compiled.

mmengine's ``compile=True`` compiles the whole training step, losses and optimiser included.
Importing this module extends its ``Runner``; the other keys of ``compile`` are those of
``torch.compile`` in both cases.
"""

import shutil
from functools import wraps
from inspect import signature
from typing import Any, Dict, Mapping, Optional

import torch
from mmengine.runner import Runner
from mmengine.utils import digit_version

from ..nn.compiled import compile_network
from ..nn.settings import as_dict, check_choice, check_keys
from ..nn.unwrap import unwrapped
from .held_log import SHOWN

REGIONS = 'regions'
OLDEST = '2.6'  # which traces the networks without a gap
OFF = 'or leave compile out'

_compile_step = Runner._maybe_compile


def check_compile(cfg: Mapping[str, Any]) -> None:
    """Check the settings of ``compile``, and that this machine can compile.

    Args:
        cfg (Mapping): Complete config of a training.

    Raises:
        TypeError: If it is neither a dict nor a bool.
        ValueError: For an unknown setting, an old PyTorch, or a missing compiler.
    """
    given = cfg.get('compile')
    if not given:
        return
    settings = {} if given is True else as_dict('compile', given)
    known = [name for name in signature(torch.compile).parameters if name != 'model']
    check_keys('compile', settings, [REGIONS, *known])
    if REGIONS in settings:
        check_choice(f'compile.{REGIONS}', settings[REGIONS], ('members',))
        if digit_version(torch.__version__) < digit_version(OLDEST):
            raise ValueError(
                f'compile.{REGIONS} needs PyTorch {OLDEST} or newer, and {torch.__version__} is '
                f'installed: install it, {OFF}'
            )
    if settings.get('backend', 'inductor') == 'inductor' and not _has_compiler():
        raise ValueError(
            'compile needs a C++ compiler, and PyTorch finds none: install g++ (apt-get install '
            f'g++), name another one by the environment variable CXX, {OFF}'
        )


def _has_compiler() -> bool:
    from torch._inductor import config

    names = config.cpp.cxx  # with None for one that PyTorch would download
    return any(shutil.which(name) for name in names if name)


def compile_error(error: Exception) -> Optional[str]:
    """Line about an error of ``torch.compile`` in a training step, None for any other error.

    Args:
        error (Exception): Of a training step.
    """
    if not type(error).__module__.startswith(('torch._dynamo', 'torch._inductor')):
        return None
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = next((line for line in lines if 'rror' in line), lines[0] if lines else '')
    return f'PyTorch could not compile the networks ({reason}): leave compile out'


def compile_members(model: Any, settings: Mapping[str, Any]) -> int:
    """Compile the networks of a method, or a plain segmentor.

    Args:
        model (BaseModel): Without a distributed wrapper; changed in place.
        settings (Mapping): ``compile`` of the config.

    Returns:
        int: Number of networks.

    Raises:
        ValueError: If a network has no part that is compiled.
    """
    options: Dict[str, Any] = {key: value for key, value in settings.items() if key != REGIONS}
    members = getattr(model, 'members', None)
    networks = [model] if members is None else [model.member(name) for name in members]
    if not all([compile_network(network, model, **options) for network in networks]):
        raise ValueError(
            f'compile.{REGIONS}: {type(model).__name__} has a network without backbone and decode '
            f'head, which are what is compiled: set compile=True, {OFF}'
        )
    return len(networks)


@wraps(_compile_step)
def _compile_regions(self: Runner, target: str) -> None:
    """``Runner._maybe_compile`` of mmengine, or :func:`compile_members`."""
    settings = self.cfg.get('compile')
    if not isinstance(settings, Mapping) or REGIONS not in settings:
        return _compile_step(self, target)
    number = compile_members(unwrapped(self.model), settings)
    self.logger.info(
        f'compile: {number} networks; the first iteration takes minutes, those of later runs less, '
        'since PyTorch keeps what it has compiled',
        extra={SHOWN: True},
    )


Runner._maybe_compile = _compile_regions
