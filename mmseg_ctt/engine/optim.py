# Copyright (c) mmseg_ctt contributors.
from typing import List

import torch.nn as nn
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class StudentOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """mmengine's constructor, with everything but the teachers handed to the optimiser.

    Without ``paramwise_cfg`` mmengine passes frozen parameters to the optimiser, with it a
    warning for each is logged. Works for any model; one without teachers loses nothing.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimiser wrapper of ``model``."""
        # any key makes the parent go through `add_params`; this one changes nothing
        self.paramwise_cfg = {'bypass_duplicate': False, **(self.paramwise_cfg or {})}
        return super().__call__(model)

    def add_params(self, params: List[dict], module: nn.Module, prefix: str = '',
                   **kwargs) -> None:
        """Add the parameters of ``module``, unless it is the list of teachers."""
        if prefix == 'teachers':
            return
        super().add_params(params, module, prefix=prefix, **kwargs)
