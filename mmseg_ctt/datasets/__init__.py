# Copyright (c) mmseg_ctt contributors.
from . import full_init  # noqa: F401, extends mmengine
from .camvid import CamVidDataset
from .coco_objects import COCOObjectsDataset
from .extra_maps import LoadMaps
from .folder import FolderSegDataset
from .group_sampler import GroupSampler
from .image_loading import CheckedLoadImageFromFile
from .incremental import StepSegDataset
from .labeled_unlabeled import LabeledUnlabeledDataset
from .multi_rater import MultiRaterDataset
from .packing import PackSemiSegInputs
from .pseudo_labeled import PseudoLabelDataset
from .rater_annotations import LoadMultiRaterAnnotations
from .sampler import DrawnImage, LabeledUnlabeledSampler
from .signed_distance import GenerateSignedDistance
from .streets import StreetsDataset
from .tagged import TaggedImageDataset
from .transforms import CheckedLoadAnnotations, CheckSegMap
from .volume_slices import VolumeSliceDataset

__all__ = [
    'COCOObjectsDataset',
    'CamVidDataset',
    'CheckSegMap',
    'CheckedLoadAnnotations',
    'CheckedLoadImageFromFile',
    'DrawnImage',
    'FolderSegDataset',
    'GenerateSignedDistance',
    'GroupSampler',
    'LabeledUnlabeledDataset',
    'LabeledUnlabeledSampler',
    'LoadMaps',
    'LoadMultiRaterAnnotations',
    'MultiRaterDataset',
    'PackSemiSegInputs',
    'StepSegDataset',
    'PseudoLabelDataset',
    'StreetsDataset',
    'TaggedImageDataset',
    'VolumeSliceDataset',
]
