# Copyright (c) mmseg_ctt contributors.
"""Text embeddings from a local CLIP checkpoint, by mmseg's text encoder and tokenizer."""

import re
from pathlib import Path
from typing import Callable, Dict, Mapping, Sequence

import numpy as np
import torch
from mmseg.models.text_encoder import CLIPTextEncoder
from torch import Tensor

from .guidance import read_weights

HEAD_WIDTH = 64  # of every published CLIP text tower
LAYER = re.compile(r'^transformer\.resblocks\.(\d+)\.(.+)$')
NAMES = {  # of a layer: CLIP's released code, mmseg
    'attn.': 'attentions.0.attn.',
    'ln_1.': 'norms.0.',
    'ln_2.': 'norms.1.',
    'mlp.c_fc.': 'ffns.0.layers.0.0.',
    'mlp.c_proj.': 'ffns.0.layers.1.',
}
OTHERS = ('token_embedding.weight', 'positional_embedding', 'text_projection', 'logit_scale')


def embed_texts(checkpoint: Path, texts: Sequence[str], template: str) -> Tensor:
    """Embeddings of length 1 of texts in a sentence.

    Args:
        checkpoint (Path): CLIP in the naming of its released code or of OpenCLIP, with its text
            tower; also a TorchScript archive as OpenAI publishes it.
        texts (Sequence[str]): Texts.
        template (str): Sentence with ``{}`` for the text.

    Returns:
        Tensor: ``(N, D)`` float32.

    Raises:
        ValueError: If the checkpoint has no such text tower, or the template no ``{}``.
    """
    if '{}' not in template:
        raise ValueError(f'the template {template!r} has no {{}} for the text')
    encoder = text_encoder(read_weights(checkpoint), texts, template, str(checkpoint))
    with torch.no_grad():
        return encoder.template_encode(list(texts)).float()


def write_embeddings(
    path: Path, texts: Sequence[str], embed: Callable[[], Tensor], force: bool = False
) -> Path:
    """Write a file of text embeddings.

    Args:
        path (Path): ``.npz`` file.
        texts (Sequence[str]): Texts.
        embed (Callable): Gives their embeddings ``(N, D)``, once the name of the file is checked.
        force (bool): Replace a file that exists. Defaults to False.

    Raises:
        ValueError: If it exists, or is no name of an ``.npz`` file.
    """
    if path.suffix != '.npz':
        raise ValueError(f'{path} is no name of an .npz file')
    if path.exists() and not force:
        raise ValueError(f'{path} exists: give another name, or --force to replace it')
    embeddings = embed().numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, texts=np.array(list(texts)), embeddings=embeddings)
    return path


def text_encoder(
    weights: Mapping[str, Tensor], texts: Sequence[str], template: str, source: str
) -> CLIPTextEncoder:
    """Mmseg's text encoder with the weights of a CLIP checkpoint."""
    state = _renamed(weights)
    layers = {key.split('.')[1] for key in state if key.startswith('transformer.')}
    if not layers or not all(name in state for name in OTHERS[:3]):
        raise ValueError(
            f'{source} has no text tower of CLIP under the names of its released code '
            '(token_embedding.weight, transformer.resblocks.0...): give the whole CLIP checkpoint '
            'of OpenAI or OpenCLIP'
        )
    vocabulary, width = state['token_embedding.weight'].shape
    encoder = CLIPTextEncoder(
        vocabulary=list(texts),
        templates=[template],
        total_vocab_size=vocabulary,
        context_length=len(state['positional_embedding']),
        embed_dims=width,
        num_layers=len(layers),
        num_heads=max(width // HEAD_WIDTH, 1),
        output_dims=state['text_projection'].shape[1],
        cache_feature=False,
        cat_bg=False,
    )
    state.setdefault('logit_scale', encoder.logit_scale.detach())
    try:
        encoder.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f'{source} is no CLIP that mmseg can hold: {error}') from error
    return encoder.eval()


def _renamed(weights: Mapping[str, Tensor]) -> Dict[str, Tensor]:
    """Weights of the text tower under the names of mmseg, float32."""
    state: Dict[str, Tensor] = {}
    for name, value in weights.items():
        found = LAYER.match(name)
        if name in OTHERS:
            state[name] = value.float()
        elif name.startswith('ln_final.'):
            state[name] = value.float()
        elif found:
            layer, rest = found.groups()
            old = next((old for old in NAMES if rest.startswith(old)), None)
            if old is not None:
                new = NAMES[old] + rest[len(old) :]
                state[f'transformer.{layer}.{new}'] = value.float()
    return state
