# Copyright (c) mmseg_ctt contributors.
from .hook import AnchorAssignmentHook
from .segmentor import STPG

__all__ = ['STPG', 'AnchorAssignmentHook']
