# Copyright (c) mmseg_ctt contributors.
"""Versions and devices for a report of a problem: ``python -m mmseg_ctt.collect_env``."""

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Dict, List, Optional

from .version import __version__

# Packages that the package itself imports, by the distributions that may bring them.
CORE = (
    *('mmengine', 'onedl-mmengine', 'mmsegmentation', 'onedl-mmsegmentation'),
    *('numpy', 'scipy', 'setuptools'),
)
NOT_OF_USERS = ('docs', 'tests')  # extras whose packages no training needs
LEFT_OUT = ('numpy_random_seed', 'PyTorch compiling details', 'TorchVision', 'MMEngine')
HUGE_PAGES = Path('/sys/kernel/mm/transparent_hugepage/enabled')
EXTRA = re.compile(r'^([\w.-]+).*;.*extra == [\'"]([\w-]+)[\'"]')


def collect_env() -> Dict[str, str]:
    """What a problem may depend on: versions, devices, operating system.

    It extends ``collect_env`` of mmengine by the packages that this one and its extras need.

    Returns:
        dict[str, str]: Value by name, in the order in which it is printed. Optional packages that
        are not installed are ``'not installed'``.
    """
    import torch
    from mmengine.utils.dl_utils import collect_env as collect

    found = {name: value for name, value in collect().items() if name not in LEFT_OUT}
    if not found.get('MUSA available'):
        found.pop('MUSA available', None)
    cuda, cudnn = torch.version.cuda, torch.backends.cudnn.version()
    built = f'CUDA {cuda}, cuDNN {cudnn}' if cuda else f'HIP {torch.version.hip}'
    return {
        'mmseg_ctt': f'{__version__}{_commit()}',
        'OS': platform.platform(),
        **{name: str(value).strip() for name, value in found.items()},
        'PyTorch built for': built if cuda or torch.version.hip else 'CPU',
        'CPU cores': str(os.cpu_count()),
        'Huge pages': _huge_pages(),
        'mmcv': _mmcv(),
        **{name: installed for name in CORE if (installed := _version(name))},
        **{name: _version(name) or 'not installed' for name in optional_packages()},
    }


def optional_packages() -> List[str]:
    """Packages of the extras, without those for tests and documentation; none if unknown."""
    try:
        lines = requires('mmseg_ctt') or []
    except PackageNotFoundError:  # imported from a folder
        return []
    matches = filter(None, map(EXTRA.match, lines))
    names = [match[1] for match in matches if match[2] not in NOT_OF_USERS]
    return sorted({name for name in names if name != 'mmcv-lite'}, key=str.lower)


def _version(name: str) -> Optional[str]:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _mmcv() -> str:
    """Version and kind: compiled ops are in the full mmcv alone."""
    kinds = [('mmcv', 'full'), ('onedl-mmcv', 'full'), ('mmcv-lite', 'lite')]
    found = [f'{_version(name)} ({kind}: {name})' for name, kind in kinds if _version(name)]
    both = ': they overwrite one another, install one of them' if len(found) > 1 else ''
    return ' and '.join(found) + both or 'not installed'


def _huge_pages() -> str:
    """Whether PyTorch asks for them on the CPU, and what the kernel says to that."""
    asked = os.environ.get('THP_MEM_ALLOC_ENABLE', 'not set, which the tools do without a GPU')
    try:
        found = re.search(r'\[(\w+)\]', HUGE_PAGES.read_text())
    except OSError:
        found = None
    kernel = found[1] if found else 'unknown'
    return f'THP_MEM_ALLOC_ENABLE={asked}; kernel: {kernel}'


def _commit() -> str:
    """Commit of a clone, and whether its files have changed; '' for an installed package."""
    root = Path(__file__).resolve().parents[1]
    if not (root / '.git').exists():
        return ''
    commit = _git(root, 'rev-parse', '--short=10', 'HEAD')
    changed = _git(root, 'status', '--porcelain', '--untracked-files=no')
    return f', commit {commit}{" with changes" if changed else ""}' if commit else ''


def _git(root: Path, *arguments: str) -> str:
    try:
        return subprocess.run(
            ['git', '-C', str(root), *arguments], capture_output=True, text=True, timeout=30
        ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ''


def main() -> None:
    """Print what :func:`collect_env` finds, a line for each name."""
    for name, value in collect_env().items():
        print(f'{name}: {value}')


if __name__ == '__main__':
    main()
