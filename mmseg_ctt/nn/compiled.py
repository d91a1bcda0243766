# Copyright (c) mmseg_ctt contributors.
"""Networks whose backbone, neck and heads are compiled by ``torch.compile``, each for itself.

Names of weights stay, so that checkpoints do. Members of equal structure share what is compiled.
"""

import types
import weakref
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, Tuple

import torch
import torch.nn as nn
from torch import Tensor

from .layer_inputs import layer_inputs

CALLS = ('forward', 'forward_with_embedding')  # of a part, where it has them


def compile_network(network: nn.Module, model: nn.Module, **options: Any) -> int:
    """Compile backbone, neck, decode heads and auxiliary heads of a segmentor, in place.

    Compiled are the passes of training. In validation, which has images of many sizes, and wherever
    something else has put hooks into a part, the part runs as it was built.

    Args:
        network (nn.Module): A segmentor of mmseg.
        model (nn.Module): The trained model that holds it; its mode tells training from validation.
        options: Of :func:`torch.compile`. ``dynamic`` is False by default: crops have one size, and
            other sizes are compiled for themselves.

    Returns:
        int: Number of compiled parts.
    """
    parts: List[nn.Module] = []
    for name, child in network.named_children():
        if _is_part(name):
            parts += child if isinstance(child, nn.ModuleList) else [child]
    for part in parts:
        classifier = getattr(part, 'conv_seg', None)
        if isinstance(classifier, nn.Module):
            classifier.register_forward_pre_hook(_note_input)
        for name in CALLS:
            if hasattr(type(part), name):
                setattr(part, name, CompiledCall(part, name, model, options))
    return len(parts)


@contextmanager
def classifier_inputs(head: Any) -> Iterator[List[Tensor]]:
    """What the classifier ``conv_seg`` of a head reads in the ``with`` block, one tensor a call.

    Args:
        head (BaseDecodeHead): Compiled or not.
    """
    call = vars(head).get('forward')
    if not isinstance(call, CompiledCall):
        with layer_inputs(head.conv_seg) as inputs:
            yield inputs
        return
    call.listener = []
    try:
        yield call.listener
    finally:
        call.listener = None


class CompiledCall:
    """A method of a part of a network, compiled.

    Args:
        part (nn.Module): Backbone, neck or head.
        name (str): Its method.
        model (nn.Module): See :func:`compile_network`.
        options (dict): Of :func:`torch.compile`.

    Attributes:
        listener (list, optional): Takes the inputs of the classifier.
    """

    def __init__(self, part: nn.Module, name: str, model: nn.Module, options: Dict) -> None:
        self.part, self.name = part, name
        self.model = weakref.ref(model)
        self.compiled = torch.compile(_function(type(part)), **{'dynamic': False, **options})
        self.listener: Any = None
        self.hooks = self._count_hooks()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The output of the part."""
        model = self.model()
        training = model is not None and model.training
        call = self.compiled if training and self._count_hooks() == self.hooks else _with_inputs
        output, inputs = call(self.part, self.name, *args, **kwargs)
        if self.listener is not None:
            self.listener += inputs
        return output

    def _count_hooks(self) -> int:
        """Hooks inside the part; a compiled pass would not call those that came later."""
        return sum(
            len(module._forward_hooks) + len(module._forward_pre_hooks)
            for module in self.part.modules()
            if module is not self.part
        )


def _with_inputs(part: Any, name: str, *args: Any, **kwargs: Any) -> Tuple[Any, List[Tensor]]:
    """Output of a method of a part, and what its classifier read."""
    classifier = getattr(part, 'conv_seg', None)
    if classifier is None:
        return getattr(type(part), name)(part, *args, **kwargs), []
    classifier.inputs = []
    output = getattr(type(part), name)(part, *args, **kwargs)
    inputs, classifier.inputs = classifier.inputs, None
    return output, inputs


def _note_input(classifier: Any, args: tuple) -> None:
    """Hook of a classifier; one function for all, so that networks share compiled code."""
    if getattr(classifier, 'inputs', None) is not None:
        classifier.inputs.append(args[0])


def _function(kind: type) -> Callable:
    """:func:`_with_inputs` with code of its own for each class of parts.

    PyTorch counts what it compiles, and searches it, by code.
    """
    if kind not in _FUNCTIONS:
        code = _with_inputs.__code__.replace(co_name=kind.__name__)
        _FUNCTIONS[kind] = types.FunctionType(code, globals(), kind.__name__)
    return _FUNCTIONS[kind]


def _is_part(name: str) -> bool:
    return name in ('backbone', 'neck', 'decode_head', 'auxiliary_head')


_FUNCTIONS: Dict[type, Callable] = {}
