# Copyright (c) mmseg_ctt contributors.
from typing import Any, Dict, Mapping, Optional

import torch
from mmengine.hooks import RuntimeInfoHook
from mmengine.runner import Runner
from mmseg.registry import HOOKS


@HOOKS.register_module()
class LogValuesHook(RuntimeInfoHook):
    """mmengine's ``RuntimeInfoHook``, which waits for the device once an iteration.

    mmengine reads every logged value on its own. Here they are stacked and read together; the
    values are the same.
    """

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Optional[dict] = None
    ) -> None:
        """Log what the model returned."""
        super().after_train_iter(runner, batch_idx, data_batch, outputs and read_together(outputs))


@torch.no_grad()
def read_together(values: Mapping[str, Any]) -> Dict[str, Any]:
    """Float32 scalars of one device as numbers; all else as it is.

    Args:
        values (Mapping): By name.
    """
    first = next((value for value in values.values() if _is_scalar(value)), None)
    if first is None:
        return dict(values)
    names = [
        name for name, value in values.items() if _is_scalar(value) and value.device == first.device
    ]
    numbers = torch.stack([values[name] for name in names]).tolist()
    return {**values, **dict(zip(names, numbers))}


def _is_scalar(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.dim() == 0 and value.dtype == torch.float32
