# Copyright (c) mmseg_ctt contributors.
"""Usual names of folders and files of segmentation data."""

import re
from typing import List, NamedTuple, Optional

IMAGES, MASKS = 'images', 'masks'  # kinds of a folder
TRAIN, VAL, TEST, UNLABELED = 'train', 'val', 'test', 'unlabeled'  # parts of a data set
KINDS = {
    IMAGES: (
        *('images', 'image', 'imgs', 'img', 'jpegimages', 'photos', 'photo', 'pictures', 'rgb'),
        *('inputs', 'input', 'leftimg8bit', 'tiles', 'scans'),
    ),
    MASKS: (
        *('masks', 'mask', 'labels', 'label', 'annotations', 'annotation', 'annot', 'ann', 'anns'),
        *('segmentationclass', 'segmentationclassaug', 'segmentation', 'segmentations', 'gt'),
        *('gts', 'gtfine', 'groundtruth', 'truth', 'targets', 'target', 'segmaps'),
    ),
}
PARTS = {
    TRAIN: ('train', 'training', 'labeled', 'labelled', 'annotated'),
    VAL: ('val', 'valid', 'validation', 'dev'),
    TEST: ('test', 'testing'),
    UNLABELED: ('unlabeled', 'unlabelled', 'unannotated', 'unlab'),
}
FILLERS = (
    *('dir', 'set', 'data', 'and', 'png', 'jpg', 'tif', 'files', 'folder', 'original', 'ground'),
    *('color', 'colour', 'colors', 'colours', 'ids', 'id', 'class', 'semantic', 'binary'),
)
JOINED = re.compile(r'^(train|val|test)(annot|masks?|labels?|images?|imgs?)$')  # of CamVid
# parts of a file's name that say what it is, not which image it belongs to
FILE_WORDS = re.compile(
    r'leftimg8bit|gtfine|gtcoarse|labeltrainids|labelids|groundtruth|ground_truth|segmentations?|'
    r'annotations?|images?|masks?|labels?|img|seg|ann|gt'
)
MASK_WORDS = re.compile(
    r'(?<![a-z])(gtfine|gtcoarse|labeltrainids|labelids|groundtruth|truth|segmentations?|'
    r'annotations?|masks?|labels?|seg|ann|gt|l|m)(?![a-z])'
)


class Role(NamedTuple):
    """What the name of a folder says of its files; None where it says nothing."""

    kind: Optional[str]
    part: Optional[str]


def role_of(folder: str) -> Role:
    """Role of a folder by its name, of which every word must be a usual one.

    Args:
        folder (str): Name without a path.
    """
    joined = JOINED.match(folder.lower())
    words = list(joined.groups()) if joined else _words(folder)
    kinds = [kind for word in words for kind, names in KINDS.items() if word in names]
    parts = [part for word in words for part, names in PARTS.items() if word in names]
    known = len(kinds) + len(parts) + sum(word in FILLERS for word in words)
    if known < len(words) or not (kinds or parts):
        return Role(None, None)
    return Role((kinds or [None])[0], (parts or [None])[0])


def _words(name: str) -> List[str]:
    whole = name.lower()
    return [whole] if whole in ('leftimg8bit',) else re.findall('[a-z]+', whole)


def file_key(stem: str) -> str:
    """Stem without words such as ``mask`` and ``img``: equal for an image and its mask.

    Args:
        stem (str): Path below the folder, without suffix; folders stay as they are.
    """
    folder, _, name = stem.rpartition('/')
    tokens = re.findall('[a-z]+|[0-9]+', FILE_WORDS.sub(' ', name.lower()))
    return '/'.join(filter(None, [folder, '_'.join(tokens)]))


def names_mask(stem: str) -> bool:
    """Whether a file is a mask by the words of its name."""
    return MASK_WORDS.search(stem.rpartition('/')[2].lower()) is not None
