# Copyright (c) mmseg_ctt contributors.
"""Weights of vision transformers and other networks under the names that timm gives them.

timm itself converts what its model zoo has: the files of Facebook Research, patches and position
embeddings of another size. Here is what it does not know, and what it does outside its converters.
"""

import io
import re
import sys
from contextlib import redirect_stdout
from typing import Any, Dict, Mapping

from torch import Tensor, nn

from ..lora import is_adapter
from ..pretrained import fit_of, prefix_of
from .hugging_face import MARK, publisher_names

Weights = Dict[str, Tensor]

NESTED = ('state_dict', 'model_ema', 'teacher', 'model', 'module')  # where training scripts keep it
ANCHORS = (  # names of the patch embedding, by which a prefix is found
    'patch_embed.proj.weight',
    'embeddings.patch_embeddings.projection.weight',
    'embeddings.patch_embeddings.weight',
)
_CHUNK = re.compile(r'^blocks\.\d+\.(\d+)\.')
COLOURS = 3  # channels that published files are for


def timm_names(network: nn.Module, state: Mapping[str, Any]) -> Weights:
    """Weights of a file under the names of a network of timm.

    Args:
        network (nn.Module): Of timm, not wrapped.
        state (Mapping[str, Tensor]): Under the names of timm, of the released code of DINOv2 or
            DINOv3 (chunks of blocks too), or of Hugging Face's transformers (ViT, DINOv2, DINOv3),
            with or without a prefix such as ``backbone.``.

    Returns:
        dict[str, Tensor]: Those that the network has by name. Patches and position embeddings
        have its size, and the first convolution of a file for three channels has its channels.

    Raises:
        ValueError: If the file has several networks, or is of an architecture that timm cannot
            convert.
    """
    own = network.state_dict()
    weights = _without_prefix(own, _inner(state))
    if any(name.startswith(MARK) for name in weights):
        weights = publisher_names(weights)
    weights = {
        name if name in own else _CHUNK.sub(r'blocks.\1.', name): value
        for name, value in weights.items()
        if is_adapter(name) or not _is_of_other_block(network, name)
    }
    if 'register_tokens' in weights and 'reg_token' not in own:
        raise ValueError(
            'model.segmentor.backbone.init_cfg: the file has register tokens and '
            'model.segmentor.backbone.model_name names a network without: take '
            'vit_small_patch14_reg4_dinov2 or another with reg4, or the file without registers'
        )
    if 'register_tokens' in weights:
        weights.setdefault('mask_token', weights['register_tokens'])  # timm knows DINOv2 by it
    converted = _with_channels(own, _converted(network, weights))
    # adapters of other layers are kept for the check of those that are lost
    return {name: value for name, value in converted.items() if name in own or is_adapter(name)}


def _inner(state: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in NESTED:
        if isinstance(state.get(name), Mapping):
            return _inner(state[name])
    return state


def _without_prefix(own: Mapping[str, Tensor], state: Mapping[str, Any]) -> Weights:
    weights = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    found = [name[: -len(end)] for end in ANCHORS for name in weights if name.endswith(end)]
    if len(found) > 1:
        raise ValueError(
            f'model.segmentor.backbone.init_cfg: the file has {len(found)} networks, under '
            f'{", ".join(map(repr, found))}: set init_cfg.prefix to one of them'
        )
    prefix = found[0] if found else ''
    if not found and fit_of(own, weights).fitting <= len(own) / 2:  # not as they are
        prefix = prefix_of(own, weights) or ''
    return {name[len(prefix) :]: weights[name] for name in weights if name.startswith(prefix)}


def _is_of_other_block(network: nn.Module, name: str) -> bool:
    """Whether a weight is of a block or stage after the last that the network has."""
    module = network
    for part in name.split('.')[:-1]:
        inner = getattr(module, part, None)
        if not isinstance(inner, nn.Module):
            return part.isdigit() and isinstance(module, (nn.Sequential, nn.ModuleList))
        module = inner
    return False


def _converted(network: nn.Module, weights: Weights) -> Weights:
    """What timm makes of a file, by the function of the network's own module."""
    convert = getattr(sys.modules[type(network).__module__], 'checkpoint_filter_fn', None)
    if convert is None:
        return weights
    try:
        with redirect_stdout(io.StringIO()):  # it prints each bias that DINOv3 lacks
            return convert(dict(weights), network)
    except (AttributeError, KeyError, RuntimeError) as error:
        raise ValueError(
            f'the file cannot be converted for {type(network).__name__} ({error}): take one of '
            'this architecture'
        ) from error


def _with_channels(own: Mapping[str, Tensor], weights: Weights) -> Weights:
    """Weights whose first convolution is for the channels of the network, made as timm makes it."""
    from timm.models import adapt_input_conv

    made = dict(weights)
    for name, value in weights.items():
        shape = own[name].shape if name in own else value.shape
        if value.ndim == len(shape) == 4 and value.shape[1] == COLOURS != shape[1]:
            adapted = adapt_input_conv(shape[1], value)
            made[name] = adapted if adapted.shape == shape else value
    return made
