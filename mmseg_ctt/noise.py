# Copyright (c) mmseg_ctt contributors.
"""Warnings of other packages that a user cannot act on; importing the package filters them.

The tests filter the same ones (``tests/conftest.py``). A warning of this package has no line here:
its cause is corrected, or it is for the user. The log file of a run keeps lines of the log.
"""

import re
import warnings
from typing import NamedTuple, Type


class Noise(NamedTuple):
    """A kind of warning.

    Attributes:
        message (str): Regular expression that its text begins with.
        category (type): Class of the warning.
        reason (str): Why a user need not see it.
    """

    message: str
    category: Type[Warning]
    reason: str


WARNINGS = (
    Noise(
        'pkg_resources is deprecated',
        UserWarning,
        'mmengine imports it; requirements.txt keeps a setuptools that has it',
    ),
    Noise(
        '``build_loss`` would be deprecated soon',
        UserWarning,
        'every decode head of mmseg builds its loss so',
    ),
    Noise(
        r'DeprecationWarning: pretrained is (a )?deprecated',
        UserWarning,
        'configs of mmseg set it, and mmseg itself hands it to the backbone',
    ),
    Noise(
        'For binary segmentation, we suggest using',
        UserWarning,
        'mmseg suggests one of two right ways; docs/methods/dtc.md says when to take which',
    ),
    Noise(
        'Default ``avg_non_ignore`` is False',
        UserWarning,
        'nn/head_checks.py warns where it matters, with what to set',
    ),
    Noise(
        'When align_corners=True, the output would more aligned if',
        UserWarning,
        'mmseg on sizes that its own configs do not have either',
    ),
    Noise(
        'The draw is False, it means that the hook for visualization',
        UserWarning,
        'mmseg on a hook that draws when --show-dir says so',
    ),
    Noise(
        'The shape of value will convert from',
        UserWarning,
        'mmengine on the masks that mmseg packs; both shapes mean the same',
    ),
    Noise(
        r'Detected call of `scheduler.step\(\)` before `optimizer.step\(\)`',
        UserWarning,
        'mmengine steps the schedule every iteration, also while gradients are accumulated',
    ),
    Noise(
        'torch.utils.checkpoint: the use_reentrant parameter should be passed',
        UserWarning,
        'backbones of mmseg with with_cp=True call it without; in a plain segmentor they still do',
    ),
    Noise(
        r'`isinstance\(treespec, LeafSpec\)` is deprecated',
        FutureWarning,
        'PyTorch copies its own graph when it exports to ONNX',
    ),
)

# Warnings in the log, on which a user cannot act either.
LOG_LINES = re.compile(
    # metrics of mmseg and of this package need no prefix: one metric gives each name
    'The prefix is not set in metric class|'
    # mmengine on classes that its own checkpoint hook uses
    '"FileClient" will be deprecated|"HardDiskBackend" is the alias|'
    # the teachers and frozen layers, which the optimiser leaves out on purpose
    'is skipped since its requires_grad=False'
)


def apply() -> None:
    """Filter :data:`WARNINGS`; a second call changes nothing."""
    for noise in WARNINGS:
        warnings.filterwarnings('ignore', noise.message, noise.category)
