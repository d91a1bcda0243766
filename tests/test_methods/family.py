# Copyright (c) mmseg_ctt contributors.
"""What the tests of all methods share.

Every registered method is tested with the ``toy_settings`` of its class; :data:`VARIANTS` adds
settings with which a method takes another path. A new method needs no entry here.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import pytest
import torch
from torch import Tensor, nn
from toy import (
    NUM_CLASSES,
    losses_of,
    ready_model,
    total_of,
    toy_batch,
    toy_segmentor,
    toy_settings,
    whole_segmentor,
)

from mmseg_ctt.methods import SemiSegmentor, registered_methods
from mmseg_ctt.nn.augmentation import AUGMENTATION_STEPS


class Recipe(NamedTuple):
    """A method and settings besides those of its class.

    Attributes:
        kind: Registered name.
        settings: Of the model.
        run: Settings of whole runs alone.
        idle: Terms that these settings leave at zero.
    """

    kind: str
    settings: Dict[str, Any]
    run: Dict[str, Any] = {}
    idle: Tuple[str, ...] = ()

    @property
    def method(self) -> type:
        return registered_methods()[self.kind]


def aspp_segmentor(dropout: float = 0.0) -> dict:
    """The toy segmentor with a head that has a bottleneck."""
    head = dict(
        type='ASPPHead',
        in_channels=8,
        in_index=1,
        channels=6,
        dilations=(1, 2),
        dropout_ratio=dropout,
        num_classes=NUM_CLASSES,
        norm_cfg=dict(type='BN'),
        align_corners=False,
        loss_decode=dict(type='PixelCrossEntropyLoss'),
    )
    return toy_segmentor(decode_head=head)


CTT, STILL = 'CrossTeacherTraining', []
VARIANTS = {
    # a channel of the batch would be one of the rank's
    'AllSpark as released': Recipe(
        'AllSpark',
        dict(mode='released', memory=dict(grid=(8, 8), noise=True), label_channels='own'),
    ),
    'CTT, three pairs': Recipe(CTT, dict(num_pairs=3, contrast=dict(threshold=0.35))),
    'CTT, no teachers': Recipe(CTT, dict(supervision='mutual')),
    'CTT, one pair': Recipe(CTT, dict(supervision='self', num_pairs=1), idle=('lc',)),
    'CTT, all teachers': Recipe(CTT, dict(supervision='dual', shared_view=False)),
    'CTT, class thresholds': Recipe(
        CTT,
        dict(
            consistency=dict(confidence_threshold=0.5, select='pixel', class_thresholds=dict()),
            teacher_mode='eval',
        ),
    ),
    'CTT, no contrast': Recipe(CTT, dict(loss_weights=dict(hc=0, lc=0), joint_forward=True)),
    'CPS without CutMix': Recipe('CrossPseudoSupervision', dict(strong_augmentation=STILL)),
    'mean teacher, hard labels': Recipe(
        'MeanTeacher',
        dict(mode='hard', on_labeled=False, consistency=dict(confidence_threshold=0.27)),
    ),
    'STPG, memory of the peer': Recipe(
        'STPG', dict(contrast=dict(threshold=0.2, memory='peer'), joint_forward=False)
    ),
    'U2PL as released': Recipe(
        'U2PL',
        dict(
            label_mode='train',
            contrast=dict(
                dim=8,
                num_anchors=4,
                num_negatives=3,
                anchor_threshold=0.1,
                ranks=(1, 4),
                negatives='released',
                legacy_index=True,
            ),
        ),
        run=dict(warmup=0.2),
    ),
    'AEL, plain mixing': Recipe(
        'AEL',
        dict(
            class_confidence=dict(start='random', skip_absent=False),
            cut_mix=dict(adaptive=False),
            consistency=dict(sample_by='student', confidence_threshold=0.27),
        ),
    ),
    'negative labels in turns': Recipe(
        'DualNegativeLabel',
        dict(supervision='mutual', two_views=True, selection='replacement'),
        run=dict(schedule='turns'),
    ),
    'AugSeg as released': Recipe(
        'AugSeg', dict(mode='released', consistency=dict(confidence_threshold=0.27))
    ),
    'iMAS, without CutMix': Recipe(
        'IMAS',
        dict(
            cut_mix=False,
            intensity='scaled',
            easiness=dict(background=0, combine='mean'),
            consistency=dict(confidence_threshold=0.27),
            teacher_mode='eval',
        ),
    ),
    'UniMatch as released': Recipe('UniMatch', dict(labeled_pass='weak')),
    'CorrMatch as released': Recipe('CorrMatch', dict(mode='released')),
    'DTC as released': Recipe(
        'DualTaskConsistency', dict(mode='released', joint_forward=False), idle=('ce',)
    ),
    'CTT, auxiliary task': Recipe(
        CTT, dict(auxiliary_tasks=[dict(type='RotationTask', crop_size=16)])
    ),
    'S4L, all rotations': Recipe(
        'S4L',
        dict(
            auxiliary_tasks=[
                dict(type='RotationTask', crop_size=16, rotations='all', supervise=0.5)
            ]
        ),
    ),
    'S4L, all tasks': Recipe(
        'S4L',
        dict(
            auxiliary_tasks=[
                dict(type='ExemplarTask', views=2, view_size=16),
                dict(type='AdversarialTask'),
                dict(type='EntropyTask', sources=['labeled', 'unlabeled']),
            ]
        ),
    ),
    'VAT by the student': Recipe('VirtualAdversarialTeacher', dict(direction='student')),
    'GuidedMix-Net as released': Recipe(
        'GuidedMixNet', dict(mode='released', mitrans=dict(width=4), segmentor=aspp_segmentor())
    ),
}
METHODS = sorted(registered_methods())
RECIPES = {**{kind: Recipe(kind, {}) for kind in METHODS}, **VARIANTS}
EVERY_METHOD = pytest.mark.parametrize('kind', METHODS)
EVERY_RECIPE = pytest.mark.parametrize('recipe', RECIPES.values(), ids=list(RECIPES))


def with_masks(method: type) -> bool:
    """Whether a method learns to segment from masks; others learn from tags, or features alone."""
    return 'labeled' in method.sources and method.trains_heads


METHODS_WITH_MASKS = [kind for kind in METHODS if with_masks(registered_methods()[kind])]
EVERY_METHOD_WITH_MASKS = pytest.mark.parametrize('kind', METHODS_WITH_MASKS)


def every_recipe_of(applies: Callable[[type], bool]) -> pytest.MarkDecorator:
    """The recipes of the methods that a test is about."""
    found = {name: recipe for name, recipe in RECIPES.items() if applies(recipe.method)}
    return pytest.mark.parametrize('recipe', found.values(), ids=list(found))


def has_consistency(method: type) -> bool:
    return method.default_consistency is not None


EVERY_RECIPE_WITH_MASKS = every_recipe_of(with_masks)
WITH_RAMP_UP = every_recipe_of(lambda method: bool(method.ramped_terms))
WITH_CONSISTENCY = every_recipe_of(has_consistency)
WITH_PSEUDO_LABELS = every_recipe_of(lambda method: method.uses_pseudo_labels)
# settings of methods that mix images of a batch by a part of their own
OWN_MIXING = dict(
    AEL=dict(copy_paste=False, cut_mix=False), AugSeg=dict(cut_mix=False), IMAS=dict(cut_mix=False)
)


def ready(recipe: Recipe, **changes: Any) -> SemiSegmentor:
    """A model of a recipe with all terms on; nothing is random but the samples' numbers.

    No two members are equal, and the confidences of each lie on both sides of the threshold.
    """
    model = ready_model(recipe.kind, **{**recipe.settings, **changes})
    torch.manual_seed(11)
    for name in model.members:
        model.member(name).decode_head.conv_seg.weight.data.normal_(std=0.1)
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
    return model


def segmentor_of(recipe: Recipe) -> dict:
    """The toy segmentor of a recipe, with the layers that the method adds to it."""
    settings = toy_settings(recipe.kind, **recipe.settings)
    whole = whole_segmentor(settings.get('segmentor'))
    return recipe.method.segmentor_of(dict(settings, segmentor=whole))


def unmixed(recipe: Recipe) -> Dict[str, Any]:
    """Settings with which no image of a batch is mixed with another."""
    settings: Dict[str, Any] = dict(OWN_MIXING.get(recipe.kind, {}))
    steps = recipe.settings.get('strong_augmentation', recipe.method.default_augmentation)
    if steps is not None:
        steps = [step for step in steps if not AUGMENTATION_STEPS.get(step['type']).mixes]
        settings['strong_augmentation'] = steps
    return settings


def trained_weights(model: SemiSegmentor) -> Dict[str, Tensor]:
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def working_terms(recipe: Recipe, losses: Dict[str, Tensor]) -> List[str]:
    """Keys of the losses that must not be zero when all is at work."""
    idle = tuple(f'loss_{term}' for term in recipe.idle)
    return [key for key in losses if 'loss' in key and not (idle and key.endswith(idle))]


def step(model: SemiSegmentor, batch: Optional[dict] = None) -> Dict[str, Tensor]:
    """Losses of a step, after the backward pass."""
    losses = losses_of(model, batch or toy_batch())
    total_of(losses, model).backward()
    return losses


def assert_finite(model: SemiSegmentor, losses: Dict[str, Tensor]) -> None:
    """Losses, all gradients and all state."""
    for name, value in losses.items():
        assert torch.isfinite(value) and value.dtype == torch.float32 and value.shape == (), name
    for name, weight in trained_weights(model).items():
        assert weight.grad is not None and torch.isfinite(weight.grad).all(), name
    for name, value in model.state_dict().items():
        assert not value.is_floating_point() or torch.isfinite(value).all(), name


def contrast_off(model: SemiSegmentor) -> SemiSegmentor:
    """The model as it is while its contrast waits."""
    if getattr(getattr(model, 'contrast', None), 'waits', False):
        model.contrast.switch(False)
    return model
