# Copyright (c) mmseg_ctt contributors.
"""Class maps of images by a trained classifier: at several scales, flipped, refined, in files."""

from .folder import ClassMapJob, make_class_maps
from .groups import load_group_model
from .images import TaggedImage, config_images, folder_images
from .predict import ClassMapSettings, predict_class_maps, scored_maps

__all__ = [
    'ClassMapJob',
    'ClassMapSettings',
    'TaggedImage',
    'config_images',
    'folder_images',
    'load_group_model',
    'make_class_maps',
    'predict_class_maps',
    'scored_maps',
]
