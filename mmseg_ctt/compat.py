# Copyright (c) mmseg_ctt contributors.
"""Compatibility of mmseg 1.2.2 with a current PyTorch; importing the package applies it.

* Without compiled mmcv ops (``mmcv-lite``) a placeholder replaces ``mmcv._ext``: mmseg can be
  imported, and calling such an op raises. A full mmcv stays unchanged.
* Since torch 2.6 ``torch.load`` refuses unknown types. The types that mmengine writes into
  checkpoints are allowed one by one; a checkpoint with any other code is still refused. Before 2.6
  torch runs code of a checkpoint, and a warning says so.
* The fork ``onedl-mmsegmentation`` needs no placeholder and gets none; ``onedl-mmengine`` 0.10.12
  refuses its own checkpoints as mmengine does.
* A PyTorch built for numpy 1 is refused beside numpy 2, with which it cannot exchange arrays.
* timm, whose networks mmseg imports where it is installed, needs torchvision. Where the
  compiled operators of torchvision do not fit PyTorch, declarations replace those that its import
  needs.
* mmengine finds the configs named ``mmseg_ctt::...``.
"""

import importlib
import importlib.util
import sys
import warnings
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, List, Optional, Tuple

_EXT = 'mmcv._ext'
_PACKAGE = 'mmseg_ctt'
# Operators that torchvision declares in compiled code and describes to PyTorch when it is imported.
_VISION_OPS = ('nms', 'qnms')
_VISION_SCHEMA = '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor'
_LITE = "pip install 'mmcv-lite==2.1.0', or build the full mmcv 2.1.0 for its compiled ops"
# Types of the arrays and scalars that mmengine logs.
_NUMBERS = ('bool', 'uint8', 'int8', 'int16', 'int32', 'int64', 'float16', 'float32', 'float64')


class MissingOps(ModuleType):
    """Placeholder for ``mmcv._ext``: every op exists, calling one raises."""

    def __getattr__(self, name: str) -> Callable:
        if name.startswith('__'):  # for Python itself this is a plain module
            raise AttributeError(name)

        def missing_op(*args: Any, **kwargs: Any) -> None:
            raise RuntimeError(
                f'the op "{name}" is compiled code of the full mmcv, and the mmcv '
                'installed here has no compiled ops: build the full mmcv 2.1.0, or '
                'use a model without this op'
            )

        return missing_op


def apply() -> None:
    """Check the versions and adapt the installation; a second call changes nothing.

    Raises:
        ImportError: If a package is missing, too old or too new; says what to install.
    """
    _check_torch()
    _prepare_torchvision()
    _check_mmengine()
    if not _installed('onedl-mmsegmentation'):
        _check_mmseg()
        if importlib.util.find_spec(_EXT) is None:
            _add_placeholder()
    _allow_checkpoint_types()
    _name_configs()


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _import(module: str, remedy: str) -> ModuleType:
    """Import a module; raise ``ImportError`` with the remedy if it is missing."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:  # the module exists, one that it imports does not
            raise
        raise ImportError(f'mmseg_ctt needs {module}: {remedy}') from None


def _release(version: str) -> Tuple[int, ...]:
    from packaging.version import Version

    return Version(version).release


def _check_torch() -> None:
    torch = _import('torch', "pip install 'torch>=2.6'")
    if _release(torch.__version__) < (2, 0):
        raise ImportError(
            f"mmseg_ctt needs torch>=2.0, not {torch.__version__}: pip install 'torch>=2.6'"
        )
    try:
        torch.zeros(1).numpy()
    except RuntimeError:  # "Numpy is not available": of torch before 2.3
        import numpy

        raise ImportError(
            f'torch {torch.__version__} cannot use numpy {numpy.__version__}: '
            "pip install 'numpy<2' 'opencv-python<4.12', or 'torch>=2.6'"
        ) from None


def _prepare_torchvision() -> None:
    """Let torchvision be imported where its compiled operators do not fit the installed PyTorch.

    Its Python code, all that timm needs, works without them; a call of ``nms`` raises.
    """
    if importlib.util.find_spec('torchvision') is None:
        return
    try:
        importlib.import_module('torchvision')
    except RuntimeError as error:
        if 'torchvision::' not in str(error):
            raise
        import torch

        for name in [name for name in sys.modules if name.split('.')[0] == 'torchvision']:
            del sys.modules[name]  # imported in part
        for name in _VISION_OPS:
            torch.library.define(f'torchvision::{name}', _VISION_SCHEMA)
        importlib.import_module('torchvision')


def _check_mmengine() -> None:
    mmengine = _import('mmengine', "pip install 'mmengine==0.10.7'")
    if _release(mmengine.__version__) < (0, 10, 4):
        raise ImportError(
            f'mmseg_ctt needs mmengine>=0.10.4, not {mmengine.__version__}: '
            "pip install 'mmengine==0.10.7'"
        )
    if not _installed('onedl-mmengine'):
        # mmengine finds inherited configs (`mmseg::...`) through pkg_resources
        if importlib.util.find_spec('pkg_resources') is None:
            raise ImportError(
                'mmengine needs pkg_resources, which newer setuptools lack: '
                "pip install 'setuptools<81'"
            )


def _check_mmseg() -> None:
    """Check the version bounds of mmseg 1.2, before its own assertion without a message."""
    mmcv = _import('mmcv', _LITE)
    if not (2, 0, 0) <= _release(mmcv.__version__) < (2, 2):
        raise ImportError(
            'mmsegmentation 1.2 works with mmcv>=2.0.0,<2.2.0 only, not '
            f'{mmcv.__version__}: {_LITE}'
        )
    for name in ('ftfy', 'regex'):
        _import(name, f'pip install {name}')
    mmseg = _import('mmseg', "pip install 'mmsegmentation==1.2.2'")
    if _release(mmseg.__version__) < (1, 2):
        raise ImportError(
            f'mmseg_ctt needs mmsegmentation>=1.2, not {mmseg.__version__}: '
            "pip install 'mmsegmentation==1.2.2'"
        )


def _add_placeholder() -> None:
    module = MissingOps(_EXT)
    # A spec without a loader: importable, yet mmengine's search for compiled ops finds none.
    module.__spec__ = ModuleSpec(_EXT, None)
    sys.modules[_EXT] = module
    sys.modules['mmcv'].__dict__['_ext'] = module


def config_folder() -> Path:
    """``configs`` beside the package, or the copy of an installed one."""
    package = Path(__file__).resolve().parent
    roots = package.parent / 'configs', package / '.mim' / 'configs'
    return next((root for root in roots if (root / '_base_' / 'methods').is_dir()), roots[0])


def _name_configs() -> None:
    """Let configs inherit those of this package by name, ``_base_ = ['mmseg_ctt::ctt/...']``.

    mmengine has a table of packages with such configs. It takes the name of the package for the
    scope of the types, which here is ``mmseg``.
    """
    from mmengine.config import Config, utils

    if _PACKAGE in utils.MODULE2PACKAGE:
        return
    # The name of a module: with that of the distribution mmengine looks into the wrong folder of
    # an editable installation.
    utils.MODULE2PACKAGE[_PACKAGE] = f'{_PACKAGE}.version'
    if _installed('onedl-mmsegmentation'):
        utils.MODULE2PACKAGE['mmseg'] = 'mmseg'  # the entry names the distribution of stock mmseg
    find = Config._get_cfg_path

    def find_in_mmseg_scope(cfg_path: str, filename: str) -> Tuple[str, Optional[str]]:
        package, _, name = cfg_path.partition('::')
        own = config_folder() / name
        if package == _PACKAGE and own.is_file():  # in a clone that is not installed, too
            return str(own), 'mmseg'
        path, scope = find(cfg_path, filename)
        return path, 'mmseg' if scope == _PACKAGE else scope

    Config._get_cfg_path = staticmethod(find_in_mmseg_scope)


def _allow_checkpoint_types() -> None:
    import torch

    if _release(torch.__version__) < (2, 6):
        warnings.warn(
            f'torch {torch.__version__} runs any code that a checkpoint contains: load '
            'only files you trust, or install torch>=2.6'
        )
        return
    torch.serialization.add_safe_globals(_checkpoint_types())


def _checkpoint_types() -> List[Any]:
    """Types in the message hub and meta of mmengine: numbers, arrays of numbers, log buffers."""
    import numpy as np
    from mmengine.logging import HistoryBuffer

    scalar, array = np.float64(0).__reduce__()[0], np.zeros(0).__reduce__()[0]
    both_names = [
        (function, f'numpy.{core}.multiarray.{name}')  # numpy 1 and numpy 2
        for core in ('core', '_core')
        for function, name in ((scalar, 'scalar'), (array, '_reconstruct'))
    ]
    dtypes = {type(np.dtype(name)) for name in _NUMBERS}
    # `HistoryBuffer.mean` is pickled as getattr(HistoryBuffer, 'mean'). The real getattr would
    # let a checkpoint reach any attribute.
    return [
        HistoryBuffer,
        np.ndarray,
        np.dtype,
        *dtypes,
        *both_names,
        (_log_statistic, 'builtins.getattr'),
    ]


def _log_statistic(owner: type, name: str) -> Callable:
    from pickle import UnpicklingError

    from mmengine.logging import HistoryBuffer

    if owner is not HistoryBuffer or name not in ('min', 'max', 'current', 'mean'):
        raise UnpicklingError(f'a checkpoint may not read the attribute "{name}" of {owner}')
    return getattr(HistoryBuffer, name)
