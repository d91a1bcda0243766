# Copyright (c) mmseg_ctt contributors.
from typing import Dict, Type

from mmseg.registry import MODELS

from .base import SemiSegmentor


def registered_methods() -> Dict[str, Type[SemiSegmentor]]:
    """Every method by its registered name, those of other packages too."""
    return {
        name: kind
        for name, kind in sorted(MODELS.module_dict.items())
        if isinstance(kind, type) and issubclass(kind, SemiSegmentor)
    }
