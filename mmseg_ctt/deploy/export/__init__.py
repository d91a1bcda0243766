# Copyright (c) mmseg_ctt contributors.
"""Export of a member of a semi-supervised run as a plain mmseg model."""

from ..checkpoint import read_checkpoint
from .backbone import Backbone, check_out, export_backbone, write_backbone
from .checkpoint import checkpoint_bytes, inference_part, plain_meta
from .export import Export, export_member, write_export
from .members import (
    choose_member,
    default_member,
    member_choices,
    member_names,
    member_state,
    segmentor_config,
)
from .stock_config import stock_config

__all__ = [
    'Backbone',
    'Export',
    'check_out',
    'checkpoint_bytes',
    'choose_member',
    'default_member',
    'export_backbone',
    'export_member',
    'inference_part',
    'member_choices',
    'member_names',
    'member_state',
    'plain_meta',
    'read_checkpoint',
    'segmentor_config',
    'stock_config',
    'write_backbone',
    'write_export',
]
