# Copyright (c) mmseg_ctt contributors.
"""Any network of timm as a backbone of mmseg."""

from typing import Any, List, Optional, Sequence, Tuple

from mmseg.models.backbones import TIMMBackbone
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..lora import is_adapter
from ..tuning import KEY, TunedBackbone, check_flag
from .naming import timm_names

OWN = 'timm_model.model.'  # prefix of the weights of the network of timm
INSTALL = "pip install 'mmseg_ctt[timm]'"


@MODELS.register_module()
class FoundationBackbone(TunedBackbone, TIMMBackbone):
    """Network of timm that gives maps of intermediate layers: a ViT such as DINOv2, or any other.

    It extends mmseg's ``TIMMBackbone``, whose weights have the same names, by what that cannot do:
    layers that are normalised as DINOv2 is read, gradient checkpointing, and starting weights from
    a file in the naming of timm, of the released code of DINOv2 and DINOv3, or of Hugging Face.

    Args:
        model_name (str): Name in timm, such as ``vit_small_patch14_dinov2``.
        out_indices (Sequence[int]): Layers whose output is returned, rising, from 0: blocks of a
            ViT, stages of a hierarchical network. Layers after the last of them are not built.
        final_norm (bool): Whether the last layer normalisation of a ViT is applied to each output,
            as the released code of DINOv2 and UniMatch V2 does. Defaults to False, as timm.
            Not for hierarchical networks.
        gradient_checkpointing (bool): Whether blocks keep no activations and compute them again in
            the backward pass. Defaults to False.
        frozen (bool): Whether no weight trains. Defaults to False.
        lora (dict, optional): Settings of adapters, which then are all that trains, such as
            ``dict(rank=8, alpha=16, targets=['qkv', 'proj'])``; see :class:`LoRA`. Defaults to
            None: none.
        in_channels (int): Channels of the images. Defaults to 3. The first convolution of starting
            weights for 3 is summed for 1 channel, and repeated for others, as timm does.
        init_cfg (dict, optional): ``dict(type='Pretrained', checkpoint=FILE)`` for starting
            weights (``.pth`` or ``.safetensors``). Defaults to None: random weights.
        **kwargs: Of the network in timm, such as ``dynamic_img_size=True`` (position embeddings
            of a ViT are resized for each image size), ``img_size``, ``drop_path_rate``.

    Raises:
        TypeError: If a setting is of a wrong type.
        ValueError: If timm is not installed, does not know the name or a setting, or the network
            cannot return these layers.

    Example:
        >>> backbone = FoundationBackbone(
        ...     'vit_small_patch14_dinov2', out_indices=(2, 5, 8, 11), dynamic_img_size=True
        ... )
        >>> maps = backbone(torch.zeros(1, 3, 28, 42))  # four maps (1, 384, 2, 3)
    """

    timm_model: Any

    def __init__(
        self,
        model_name: str,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        final_norm: bool = False,
        gradient_checkpointing: bool = False,
        frozen: bool = False,
        lora: Optional[dict] = None,
        in_channels: int = 3,
        init_cfg: Optional[dict] = None,
        **kwargs: Any,
    ) -> None:
        _check_name(model_name, kwargs)
        check_flag(f'{KEY}.final_norm', final_norm)
        check_flag(f'{KEY}.gradient_checkpointing', gradient_checkpointing)
        _check_indices(out_indices)
        try:
            super().__init__(
                model_name,
                features_only=False,
                pretrained=False,
                in_channels=in_channels,
                init_cfg=init_cfg,
                **kwargs,
            )
        except (TypeError, AssertionError, RuntimeError, ArithmeticError) as error:
            raise ValueError(
                f'{KEY}: timm builds no {model_name} from {kwargs}: {error}; correct them, or, if '
                'they come from another network that the config inherits, put _delete_=True there'
            ) from error
        self.timm_model = _layers(self.timm_model, model_name, out_indices, final_norm)
        self.out_indices = tuple(out_indices)
        self.tune(frozen, lora)
        if gradient_checkpointing:
            self._checkpoint_blocks(model_name)

    @property
    def network(self) -> Any:
        """The network of timm."""
        return self.timm_model.model

    @property
    def channels(self) -> List[int]:
        """Channels of each output."""
        return list(self.timm_model.feature_info.channels())

    @property
    def size_divisor(self) -> Tuple[int, int]:
        """Height and width by which image sizes must divide: those of a patch, 1 where any fits."""
        embed = self._patch_embedding
        return (1, 1) if embed is None or embed.dynamic_img_pad else tuple(embed.patch_size)

    @property
    def fixed_size(self) -> Optional[Tuple[int, int]]:
        """Only image size that the network takes; None where position embeddings are resized."""
        embed = self._patch_embedding
        return tuple(embed.img_size) if embed is not None and embed.strict_img_size else None

    @property
    def can_resize(self) -> bool:
        """Whether the network has ``dynamic_img_size``, which resizes position embeddings."""
        return hasattr(self.network, 'dynamic_img_size')

    @property
    def _patch_embedding(self) -> Any:
        """Layer of timm that cuts images into patches, None where there is none."""
        from timm.layers import PatchEmbed

        embed = getattr(self.network, 'patch_embed', None)
        return embed if isinstance(embed, PatchEmbed) else None

    def forward(self, image: Tensor) -> List[Tensor]:
        """Maps of the layers ``out_indices``.

        Args:
            image (Tensor): ``(B, C, H, W)``.

        Returns:
            list[Tensor]: ``(B, D, h, w)``; of a ViT ``h`` is ``H`` over the side of a patch.

        Raises:
            ValueError: If the patch does not divide the size of the images.
        """
        check_size(self, image.shape[-2:], f'images of {image.shape[-2]}x{image.shape[-1]}')
        return self.timm_model(image)

    def _checkpoint_blocks(self, model_name: str) -> None:
        if self.frozen:
            raise ValueError(
                f'{KEY}: a frozen backbone keeps no activations; remove gradient_checkpointing=True'
            )
        switch = getattr(self.network, 'set_grad_checkpointing', None)
        try:
            assert switch is not None
            switch(True)
        except AssertionError:
            raise ValueError(
                f'{KEY}.gradient_checkpointing=True: {model_name} of timm has none; set it to False'
            ) from None

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        """Load weights; those of a file are renamed and brought to size first, in place."""
        adapted = not prefix and any(map(is_adapter, state_dict))
        if not prefix and state_dict and not self._has_names_and_sizes(state_dict):
            inner = {_without(OWN, name): value for name, value in state_dict.items()}
            weights = timm_names(self.network, inner)
            state_dict.clear()
            state_dict.update({OWN + name: value for name, value in weights.items()})
        if adapted:
            _check_adapters(self.state_dict(), state_dict)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _has_names_and_sizes(self, state: dict) -> bool:
        own = self.state_dict()
        return all(
            name.startswith(OWN) and own.get(name, value).shape == value.shape
            for name, value in state.items()
        )


def _without(prefix: str, name: str) -> str:
    return name[len(prefix) :] if name.startswith(prefix) else name


def _check_adapters(own: dict, state: dict) -> None:
    """Without its adapters a network is not the one that was trained."""
    adapters = {name: value for name, value in state.items() if is_adapter(name)}
    if not adapters or any(
        name not in own or own[name].shape != value.shape for name, value in adapters.items()
    ):
        raise ValueError(
            f'{KEY}.init_cfg: the file has LoRA adapters and this network has none, or others: set '
            f'{KEY}.lora as in that run, or export its backbone, which merges them '
            '(docs/guide/export.md)'
        )


def check_size(
    backbone: Any, size: Sequence[int], what: str, remedy: str = '', key: str = KEY
) -> None:
    """Check that a backbone takes images of a size.

    Args:
        backbone (FoundationBackbone): The backbone.
        size (Sequence[int]): Height and width.
        what (str): Words for it in the message.
        remedy (str): What to set. Defaults to '': what a caller of the network can do.
        key (str): Config key of the backbone.

    Raises:
        ValueError: Names the nearest sizes.
    """
    fixed = backbone.fixed_size
    if fixed is not None and tuple(size) != fixed:
        resizing = f'{key}.dynamic_img_size=True, which resizes them for each image, or '
        raise ValueError(
            f'{what} do not fit {key}, whose position embeddings are for {fixed[0]}x{fixed[1]}: '
            f'set {resizing if backbone.can_resize else ""}{key}.img_size={tuple(size)}, the only '
            'size that it then takes'
        )
    divisor = backbone.size_divisor
    if any(side % step for side, step in zip(size, divisor)):
        smaller, larger = nearest_sizes(size, divisor)
        raise ValueError(
            f'{what} cannot be cut into the patches of {key}, {divisor[0]}x{divisor[1]} pixels; '
            f'the nearest sizes are {smaller} and {larger}: '
            + (remedy or 'pad them (data_preprocessor.test_cfg.size_divisor), or resize them')
        )


def nearest_sizes(size: Sequence[int], divisor: Sequence[int]) -> Tuple[Tuple[int, ...], ...]:
    """The next smaller and larger sizes that divide.

    Example:
        >>> nearest_sizes((512, 518), (14, 14))
        ((504, 518), (518, 518))
    """
    pairs = list(zip(size, divisor))
    smaller = tuple(max(side // step, 1) * step for side, step in pairs)
    return smaller, tuple(-(-side // step) * step for side, step in pairs)


def _check_name(model_name: str, kwargs: dict) -> None:
    try:
        import timm
    except ImportError as error:
        raise ValueError(f'{KEY}: networks of timm need it ({error}): {INSTALL}') from None
    if kwargs.get('pretrained') or kwargs.get('checkpoint_path'):
        raise ValueError(
            f'{KEY}: starting weights come from init_cfg=dict(type="Pretrained", checkpoint=...): '
            'remove pretrained and checkpoint_path'
        )
    if not isinstance(model_name, str):
        raise TypeError(f'{KEY}.model_name must be a name of timm, got {model_name!r}')
    if not timm.is_model(model_name.split('.')[0]):
        close = timm.list_models(f'*{model_name.split("_")[0]}*')[:5]
        raise ValueError(
            f'{KEY}.model_name={model_name!r}: timm {timm.__version__} has no network of that name'
            + (f'; it has {", ".join(close)}, ...' if close else '')
        )


def _check_indices(out_indices: Any) -> None:
    """Check the order: timm returns layers in its own, each once."""
    several = isinstance(out_indices, (list, tuple))
    if not several or not all(isinstance(i, int) for i in out_indices):
        raise TypeError(f'{KEY}.out_indices must be a list of integers, got {out_indices!r}')
    rising = all(a < b for a, b in zip(out_indices, out_indices[1:]))
    if not out_indices or not rising or out_indices[0] < 0 <= out_indices[-1]:
        raise ValueError(
            f'{KEY}.out_indices={tuple(out_indices)} must be rising, such as (0, 1, 2, 3)'
        )


def _layers(network: Any, name: str, out_indices: Sequence[int], final_norm: bool) -> nn.Module:
    """Wrap a network of timm so that it returns intermediate layers."""
    from timm.models._features import FeatureGetterNet

    if not hasattr(network, 'forward_intermediates'):
        raise ValueError(
            f'{KEY}: timm returns no layers of {name} by forward_intermediates: use '
            "type='TIMMBackbone' with features_only=True"
        )
    norm = getattr(network, 'norm', None)
    try:
        layers = FeatureGetterNet(network, tuple(out_indices), norm=final_norm)
    except AssertionError:
        raise ValueError(
            f'{KEY}.out_indices={tuple(out_indices)}: {name} has {len(network.feature_info)} '
            'layers, numbered from 0: set out_indices'
        ) from None
    strides = {info['reduction'] for info in network.feature_info}
    if final_norm and (norm is None or isinstance(norm, nn.Identity) or len(strides) > 1):
        raise ValueError(
            f'{KEY}.final_norm=True: {name} has no normalisation for each of its layers, as a ViT '
            'has: set it to False'
        )
    return layers
