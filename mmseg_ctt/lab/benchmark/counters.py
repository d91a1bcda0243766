# Copyright (c) mmseg_ctt contributors.
"""Counters of the dispatched operations and host synchronisations of a step."""

import warnings
from collections import Counter
from contextlib import contextmanager
from typing import Any, Iterable, Iterator, List, Optional

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from .sections import BACKWARD, SectionStack

# operations whose values, or their number, the host must wait for
READS = (
    '_local_scalar_dense',
    'nonzero',
    'masked_select',
    'equal',
    'unique_dim',
    '_unique2',
    'unique_consecutive',
)
INDEXING = (
    'index',
    'index_put',
    'index_put_',
    '_unsafe_index',
    '_unsafe_index_put',
    '_index_put_impl_',
)
COPIES = ('_to_copy', 'copy_')
# methods that read a tensor; on a GPU they dispatch a copy, on a CPU nothing
METHODS = {Tensor.cpu: 'cpu', Tensor.numpy: 'numpy', Tensor.tolist: 'tolist'}
MARKS = ('_record_function_enter_new', '_record_function_exit')  # marks of a profiler


class OperationCounter(TorchDispatchMode):
    """Counter of dispatched operations by section, views included; not used while timing.

    Networks compiled by torch.compile run uncompiled under it.

    Args:
        stack (SectionStack): Names the current section.
        device (torch.device): Device of the model. If it is a GPU, reading a tensor on the host
            is no synchronisation.
        on_host (Iterable[Tensor]): Tensors that are on the host for any device, such as the step
            counts of an optimiser. Defaults to none.

    Attributes:
        networks (Counter): Operations inside networks by ``(section, operation)``.
        outside (Counter): Operations outside networks by ``(section, operation)``.
        views (Counter): Those of ``outside`` that compute nothing, such as a slice.
        synchronisations (Counter): Host synchronisations by ``(section, kind)``.
    """

    def __init__(
        self, stack: SectionStack, device: torch.device, on_host: Iterable[Tensor] = ()
    ) -> None:
        super().__init__()
        self.stack, self.device = stack, device
        self.on_host = {tensor.data_ptr() for tensor in on_host}
        self.networks: Counter = Counter()
        self.outside: Counter = Counter()
        self.views: Counter = Counter()
        self.synchronisations: Counter = Counter()
        self._methods = _MethodCounter(self)

    def __enter__(self) -> 'OperationCounter':
        self._methods.__enter__()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._methods.__exit__(*error)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None) -> Any:
        kwargs = kwargs or {}
        name = function.overloadpacket.__name__
        if name in MARKS:
            return function(*args, **kwargs)
        key = self.stack.current, name
        if self.stack.in_network:
            self.networks[key] += 1
        else:
            self.outside[key] += 1
            self.views[key] += function.is_view
        kind = self._synchronisation(name, args, kwargs)
        if kind is not None:
            self.synchronisations[self.stack.current, kind] += 1
        return function(*args, **kwargs)

    def total(self, counts: Counter, section: Optional[str] = None) -> int:
        """Sum of a counter over all sections, or of one section."""
        return sum(n for (name, _), n in counts.items() if section in (None, name))

    @property
    def autograd(self) -> int:
        """Number of operations of the backward pass."""
        return self.total(self.outside, BACKWARD)

    def _synchronisation(self, name: str, args: tuple, kwargs: dict) -> Optional[str]:
        """Kind of synchronisation of host and device by an operation; None without any."""
        tensors = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, Tensor)]
        if name in COPIES:
            return _copy_direction(name, tensors, args, kwargs)
        if self.device.type != 'cpu' and all(t.device.type == 'cpu' for t in tensors):
            return None
        if name in INDEXING:
            by_mask = any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1])
            return f'{name} by a mask' if by_mask else None
        if name not in READS or tensors[0].data_ptr() in self.on_host:
            return None
        return name


class _MethodCounter(TorchFunctionMode):
    """Counter of calls of :data:`METHODS`, added to the synchronisations of another counter."""

    def __init__(self, counter: OperationCounter) -> None:
        super().__init__()
        self.counter = counter

    def __torch_function__(self, function, types, args=(), kwargs=None) -> Any:
        if function in METHODS and self.counter.device.type == 'cpu':
            key = self.counter.stack.current, METHODS[function]
            self.counter.synchronisations[key] += 1
        return function(*args, **(kwargs or {}))


def _copy_direction(name: str, tensors: List[Tensor], args: tuple, kwargs: dict) -> Optional[str]:
    if name == 'copy_':
        source, target = args[1].device, args[0].device
        waits = not (args[2] if len(args) > 2 else kwargs.get('non_blocking'))
    else:
        source = tensors[0].device
        target = torch.device(kwargs.get('device') or source)
        waits = not kwargs.get('non_blocking')
    if source.type == target.type or not waits:
        return None
    return f'copy from {source.type} to {target.type}'


@contextmanager
def device_synchronisations(stack: SectionStack) -> Iterator[Counter]:
    """Count the synchronisations that CUDA itself reports, by section.

    Yields:
        Counter: Number of warnings by ``(section, 'cuda')``; stays empty without a GPU.
    """
    counts: Counter = Counter()
    if not torch.cuda.is_available():
        yield counts
        return
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter('always')
        shown = warnings.showwarning

        def count(message, *args, **kwargs) -> None:
            if 'synchroniz' in str(message):
                counts[stack.current, 'cuda'] += 1
            else:
                shown(message, *args, **kwargs)

        warnings.showwarning = count
        torch.cuda.set_sync_debug_mode('warn')
        try:
            yield counts
        finally:
            torch.cuda.set_sync_debug_mode(before)
