# Copyright (c) mmseg_ctt contributors.
"""A frozen vision-language model that labels pixels by class texts (MaskCLIP)."""

import logging
import zipfile
from pathlib import Path
from typing import Any, List, Mapping, Optional, Sequence, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.dist import broadcast
from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader
from torch import Tensor

from ...nn import settings
from ...nn.augmentation.view import denormalize
from ...nn.foundation.naming import timm_names
from ...nn.ranks import on_main_process
from .texts import KEY, TOOL, class_texts, embeddings_of, local_file

INSTALL = "pip install 'mmseg_ctt[timm]'"
SEED = 0  # of random weights, so that a resumed run has the same


class ImageTextGuidance(nn.Module):
    """Frozen CLIP image encoder whose patches are compared with class texts (MaskCLIP).

    The last block passes each patch on by its value projection, without attention; the patch is
    projected to the space of texts. The logit of a class is the cosine to the nearest of its texts,
    over a temperature. Nothing of it trains, and no checkpoint of a run holds it. With several
    processes the first one reads the files, and all have what it has read.

    Args:
        num_classes (int): ``K``.
        texts (Sequence[str | Sequence[str]], optional): A text of each class, or several that
            define it. Defaults to None: only with random text embeddings.
        checkpoint (str, optional): Local file of CLIP weights in the naming of timm, OpenAI or
            OpenCLIP; ``pretrained:FILE|random`` for a file of ``$PRETRAINED_ROOT`` that may be
            missing. Defaults to None: random weights.
        text_file (str, optional): Local file of text embeddings (``.npz``, ``.pt``), likewise.
            Defaults to None: random embeddings.
        model_name (str): CLIP vision transformer of timm. Defaults to
            ``vit_base_patch16_clip_quickgelu_224``, the network of OpenAI's weights (released code:
            with GELU, ``vit_base_patch16_clip_224``).
        network (dict, optional): Other settings of the network in timm. Defaults to None.
        dim (int): ``D`` of the space of texts. Defaults to 512.
        temperature (float): Defaults to 0.01 (CLIP's).
        renormalize (bool): Whether images get the mean and standard deviation of CLIP. False: they
            stay as the student takes them (released code for VOC). Defaults to True.

    Raises:
        FileNotFoundError: If a file is missing.
        TypeError: If a setting is of a wrong type.
        ValueError: If timm is not installed or does not build the network, or files do not fit.
    """

    text: Tensor
    text_class: Tensor
    mean: Tensor
    std: Tensor
    network: Any

    def __init__(
        self,
        num_classes: int,
        texts: Optional[Sequence] = None,
        checkpoint: Optional[str] = None,
        text_file: Optional[str] = None,
        model_name: str = 'vit_base_patch16_clip_quickgelu_224',
        network: Optional[dict] = None,
        dim: int = 512,
        temperature: float = 0.01,
        renormalize: bool = True,
    ) -> None:
        super().__init__()
        settings.check_number(f'{KEY}.dim', dim, 1, whole=True)
        settings.check_number(f'{KEY}.temperature', temperature, 1e-6)
        settings.check_choice(f'{KEY}.renormalize', renormalize, (True, False))
        self.num_classes, self.temperature, self.renormalize = num_classes, temperature, renormalize
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(SEED)  # those of devices stay
            self.network = build_network(model_name, network, dim)
            text = F.normalize(torch.randn(num_classes, dim), dim=1)
        given = None if texts is None else class_texts(texts, num_classes)
        # DDP sends no weights of what is in no state, and nodes may have other files
        on_main_process(lambda: self._load(local_file(f'{KEY}.checkpoint', checkpoint), model_name))
        for value in self.network.state_dict().values():
            broadcast(value)
        text, index = on_main_process(
            lambda: text_embeddings(local_file(f'{KEY}.text_file', text_file), given, text)
        )
        self.register_buffer('text', text)
        self.register_buffer('text_class', index)
        mean, std = (self.network.pretrained_cfg[name] for name in ('mean', 'std'))
        self.register_buffer('mean', torch.tensor(mean).view(3, 1, 1))
        self.register_buffer('std', torch.tensor(std).view(3, 1, 1))
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> 'ImageTextGuidance':
        """It stays in eval mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, image: Tensor, preprocessor: Any) -> Tensor:
        """Class logits ``(B, K, h, w)``, float32.

        Args:
            image (Tensor): ``(B, C, H, W)``, normalised for the student.
            preprocessor (nn.Module): Data preprocessor; its mean, std and channel order.
        """
        dense = self.dense_embedding(self.prepared(image, preprocessor))
        with torch.autocast(image.device.type, enabled=False):
            cosine = F.normalize(dense.float(), dim=1)
            cosine = F.conv2d(cosine, self.text[..., None, None])
            shape = len(image), self.num_classes, *cosine.shape[2:]
            index = self.text_class[None, :, None, None].expand_as(cosine)
            best = cosine.new_full(shape, -1.0).scatter_reduce(1, index, cosine, 'amax')
            return best / self.temperature

    def prepared(self, image: Tensor, preprocessor: Any) -> Tensor:
        """Images as CLIP takes them, of a size that its patches divide.

        Images of other than three channels become grey ones, the mean of their channels.
        """
        if self.renormalize or image.shape[1] != 3:
            plain = denormalize(image.float(), preprocessor)
            if plain.shape[1] != 3:
                plain = plain.mean(1, keepdim=True).expand(-1, 3, -1, -1)
            image = (plain - self.mean) / self.std
        patch = self.network.patch_embed.patch_size
        size = [-(-side // step) * step for side, step in zip(image.shape[2:], patch)]
        if size == list(image.shape[2:]):
            return image
        return F.interpolate(image, size, mode='bilinear', align_corners=False)

    def dense_embedding(self, image: Tensor) -> Tensor:
        """``(B, D, h, w)`` embeddings of patches (MaskCLIP)."""
        network: Any = self.network
        block = network.blocks[-1]
        (tokens,) = network.forward_intermediates(
            image,
            indices=[len(network.blocks) - 2],
            intermediates_only=True,
            output_fmt='NLC',
            norm=False,
            stop_early=True,
        )
        value = block.attn.qkv(block.norm1(tokens)).chunk(3, dim=-1)[2]
        tokens = tokens + block.ls1(block.attn.proj(value))
        tokens = tokens + block.ls2(block.mlp(block.norm2(tokens)))
        dense = network.head(network.norm(tokens))
        size = [side // step for side, step in zip(image.shape[2:], network.patch_embed.patch_size)]
        return dense.transpose(1, 2).unflatten(2, size)

    def _load(self, path: Optional[Path], model_name: str) -> None:
        if path is None:
            _warn('WEIGHTS', f'set {KEY}.checkpoint to a local file of CLIP weights')
            return
        weights = timm_names(self.network, read_weights(path))
        try:
            missing, _ = self.network.load_state_dict(weights, strict=False)
        except RuntimeError as error:
            raise ValueError(
                f'{KEY}.checkpoint: {path} is not for {model_name}: {error}'
            ) from error
        if missing:
            raise ValueError(
                f'{KEY}.checkpoint: {path} lacks {len(missing)} weights of {model_name}, such as '
                f'{missing[0]}: give CLIP weights of this network with its projection'
            )


def text_embeddings(
    path: Optional[Path], texts: Optional[List[List[str]]], random: Tensor
) -> Tuple[Tensor, Tensor]:
    """Embeddings of texts, and the class of each.

    Args:
        path (Path, optional): See :func:`embeddings_of`; None: random ones.
        texts (list[list[str]], optional): Of each class.
        random (Tensor): ``(K, D)``, a random one of each class.

    Raises:
        ValueError: If the texts are missing, or the file does not fit.
    """
    if path is None:
        _warn('TEXT EMBEDDINGS', f'write a file with {TOOL} and set {KEY}.text_file')
        return random, torch.arange(len(random))
    if texts is None:
        raise ValueError(f'{KEY}.texts is missing: which texts of {path} are the classes?')
    found, index = embeddings_of(path, texts)
    dim = random.shape[1]
    if found.shape[1] != dim:
        raise ValueError(f'{KEY}.dim={dim}, but the texts of {path} have {found.shape[1]}')
    return found, index


def build_network(model_name: str, given: Optional[Mapping], dim: int) -> Any:
    """Vision transformer of timm for images of any size, with a projection to ``dim``.

    Raises:
        ValueError: If timm is missing or builds none.
    """
    try:
        import timm
    except ImportError as error:
        raise ValueError(f'{KEY}: the network is of timm ({error}): {INSTALL}') from None
    values = dict(settings.as_dict(f'{KEY}.network', given))
    try:
        network: Any = timm.create_model(
            model_name, num_classes=dim, global_pool='token', dynamic_img_size=True, **values
        )
    except (TypeError, RuntimeError) as error:
        raise ValueError(f'{KEY}: timm builds no {model_name} from {values}: {error}') from error
    if not hasattr(getattr(network, 'blocks', [None])[-1], 'attn') or len(network.blocks) < 2:
        raise ValueError(f'{KEY}.model_name={model_name!r} is no vision transformer of timm')
    return network


def read_weights(path: Path) -> Mapping[str, Tensor]:
    """Weights of a local file; TorchScript archives, as OpenAI publishes CLIP, too."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            scripted = any(name.endswith('constants.pkl') for name in archive.namelist())
        if scripted:
            return torch.jit.load(str(path), map_location='cpu').state_dict()
    found = CheckpointLoader.load_checkpoint(str(path), map_location='cpu')
    return found.get('state_dict', found)


def _warn(what: str, remedy: str) -> None:
    print_log(
        f'RANDOM {what} in {KEY}: labels of the guidance are noise, which costs SemiVL accuracy; '
        f'{remedy}, or set model.loss_weights.guidance=0',
        'current',
        logging.WARNING,
    )
