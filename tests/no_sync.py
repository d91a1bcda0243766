# Copyright (c) mmseg_ctt contributors.
"""What would make the host wait for a device, found without one.

Numbers that are made on the host by numpy and copied over (``torch.from_numpy``: random numbers of
the samples, sizes of the images) do not count: the copy does not wait.
"""

from typing import Any, Callable, List

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

READS_BACK = ('_local_scalar_dense', 'item', 'nonzero', 'masked_select', 'unique', 'is_nonzero')


class Recorder(TorchDispatchMode):
    """Names of the operations that would wait for a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: List[str] = []
        self.calls = 0
        self.sending = False

    def __enter__(self) -> 'Recorder':
        self.from_numpy = torch.from_numpy
        torch.from_numpy = self._send
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        torch.from_numpy = self.from_numpy
        super().__exit__(*error)

    def _send(self, array: Any) -> Tensor:
        self.sending = True
        try:
            return self.from_numpy(array)
        finally:
            self.sending = False

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        by_mask = name in ('index', 'index_put', 'index_put_') and any(
            i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1]
        )
        # a tensor made from Python numbers is copied over
        from_host = name == 'lift_fresh' and not self.sending
        if any(name.startswith(bad) for bad in READS_BACK) or by_mask or from_host:
            self.waiting.append(str(function))
        self.calls += 1
        return function(*args, **(kwargs or {}))


def record(function: Callable[[], Any]) -> List[str]:
    """Operations of a call that would wait."""
    with Recorder() as recorder:
        function()
    assert recorder.calls > 0
    return recorder.waiting
