# Copyright (c) mmseg_ctt contributors.
"""What stock mmseg 1.2.2 needs beside mmcv-lite; put on PYTHONPATH as ``sitecustomize.py``.

mmseg imports ``mmcv.ops``, and that the compiled ``mmcv._ext``, which mmcv-lite does not have. An
empty stand-in lets it be imported; an op that is looked up is a function that raises. With the
full mmcv nothing of this is needed. ``STOCK_BLOCK`` names a package that must not be found.
"""

import os
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class Extension(ModuleType):
    """The stand-in of ``mmcv._ext``."""

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return self.refuse

    @staticmethod
    def refuse(*_, **__):
        raise RuntimeError('mmcv-lite has no compiled ops')


class Blocker(MetaPathFinder):
    """Makes one package impossible to import, installed or not."""

    def __init__(self, name):
        self.name = name

    def find_spec(self, fullname, path=None, target=None):
        if fullname.split('.')[0] == self.name:
            raise ModuleNotFoundError(f'No module named {self.name!r}', name=self.name)
        return None


if __name__ == 'sitecustomize':
    extension = Extension('mmcv._ext')
    extension.__spec__ = ModuleSpec('mmcv._ext', None)
    sys.modules['mmcv._ext'] = extension
    if os.environ.get('STOCK_BLOCK'):
        sys.meta_path.insert(0, Blocker(os.environ['STOCK_BLOCK']))
