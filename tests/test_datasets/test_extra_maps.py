# Copyright (c) mmseg_ctt contributors.
"""Maps of images on their way through every geometric step of mmcv and mmseg."""

import random
from types import SimpleNamespace

import mmcv.transforms
import numpy as np
import pytest
from mmcv.transforms import TRANSFORMS as MMCV_TRANSFORMS
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS
from PIL import Image

from mmseg_ctt.datasets.extra_maps import REFUSED_STEPS, LoadMaps

HEIGHT, WIDTH = 37, 52
STEPS = {
    'Resize': [
        dict(scale=(70, 41)),
        dict(scale=(70, 41), keep_ratio=True),
        dict(scale_factor=0.6, interpolation='bicubic'),
        dict(scale=(30, 64), backend='pillow'),
    ],
    'RandomResize': [
        dict(scale=(60, 40), ratio_range=(0.5, 1.5), keep_ratio=True),
        dict(scale=[(30, 20), (70, 60)], resize_type='Resize'),
    ],
    'RandomChoiceResize': [dict(scales=[(31, 20), (64, 71)], keep_ratio=False)],
    'ResizeShortestEdge': [dict(scale=24, max_size=30)],
    'ResizeToMultiple': [dict(size_divisor=16), dict(size_divisor=16, interpolation='bicubic')],
    'RandomCrop': [
        dict(crop_size=(20, 21)),
        dict(crop_size=(20, 21), cat_max_ratio=0.4),
        dict(crop_size=(200, 21)),
    ],
    'RandomFlip': [
        dict(prob=1.0, direction='horizontal'),
        dict(prob=1.0, direction='vertical', swap_seg_labels=[(0, 1)]),
        dict(prob=[0.3, 0.6], direction=['horizontal', 'diagonal']),
    ],
    'RandomRotate': [dict(prob=1.0, degree=30.0), dict(prob=1.0, degree=70.0, auto_bound=True)],
    'RandomRotFlip': [dict(rotate_prob=1.0), dict(rotate_prob=0.0, flip_prob=1.0)],
    'RandomCutOut': [
        dict(prob=1.0, n_holes=(2, 4), cutout_shape=(9, 7)),
        dict(prob=1.0, n_holes=3, cutout_ratio=[(0.2, 0.3)], seg_fill_in=255),
    ],
    'Pad': [
        dict(size=(60, 50)),
        dict(size_divisor=32),
        dict(size=(60, 50), padding_mode='reflect'),
        dict(pad_to_square=True),
    ],
    'CenterCrop': [dict(crop_size=(20, 24)), dict(crop_size=(60, 24), auto_pad=True)],
    'SegRescale': [dict(scale_factor=0.5)],
    'RandomChoice': [
        dict(transforms=[[dict(type='Resize', scale=(30, 30))], [dict(type='Pad', size=(90, 90))]])
    ],
    'RandomApply': [dict(transforms=[dict(type='RandomRotate', prob=1.0, degree=9.0)], prob=0.7)],
    # of mmcv, which know one mask alone
    'mmcv.Resize': [dict(scale=(70, 41), keep_ratio=True)],
    'mmcv.RandomFlip': [dict(prob=1.0), dict(prob=[0.3, 0.6], direction=['vertical', 'diagonal'])],
}
CASES = [(kind, k) for kind, given in STEPS.items() for k in range(len(given))]
FILLED = {
    'Pad': dict(size=(60, 50), pad_val=dict(img=114, seg=255)),
    'RandomRotate': dict(prob=1.0, degree=40.0, pad_val=200),
    'RandomCutOut': dict(prob=1.0, n_holes=3, cutout_shape=(9, 7), fill_in=(90, 91, 92)),
    'CenterCrop': dict(
        crop_size=(60, 60), auto_pad=True, pad_cfg=dict(type='Pad', pad_val=dict(img=50, seg=255))
    ),
}
# do not move pixels, load, pack, or take other data than an image with maps
STILL = {
    *('AdjustGamma', 'BioMedicalGaussianBlur', 'BioMedicalGaussianNoise', 'BioMedicalRandomGamma'),
    *('CLAHE', 'CheckSegMap', 'CheckedLoadAnnotations', 'CheckedLoadImageFromFile', 'Compose'),
    *('ConcatCDInput', 'GenerateEdge', 'GenerateSignedDistance', 'ImageToTensor', 'Normalize'),
    *('InferencerLoader', 'KeyMapper', 'LoadAnnotations', 'LoadBiomedicalAnnotation', 'LoadMaps'),
    *(
        'LoadBiomedicalData',
        'LoadBiomedicalImageFromFile',
        'LoadDepthAnnotation',
        'RandomGrayscale',
    ),
    *('LoadImageFromFile', 'LoadImageFromNDArray', 'LoadMultiRaterAnnotations', 'RandomDepthMix'),
    *('LoadMultipleRSImageFromFile', 'LoadSingleRSImageFromFile', 'MultiScaleFlipAug', 'ToTensor'),
    *('PackSegInputs', 'PackSemiSegInputs', 'PhotoMetricDistortion', 'RGB2Gray', 'Rerange'),
    *('TestTimeAug', 'TransformBroadcaster'),
    'RandomMosaic',  # of mmseg's MultiImageMixDataset, which is no source
}


def smooth_values(seed: int = 0) -> np.ndarray:
    """A picture of soft gradients with extreme values, uint8."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    random_state = np.random.RandomState(seed)
    waves = sum(np.sin(x * random_state.rand() / 3 + y * random_state.rand() / 3) for _ in range(4))
    return np.interp(waves, (waves.min(), waves.max()), (0, 255)).astype(np.uint8)


def results_of(channel: np.ndarray, label: np.ndarray) -> dict:
    """What steps get: an image with the channel, its mask, and the same two again as maps."""
    others = [smooth_values(seed) for seed in (1, 2)]
    return dict(
        img=np.stack([channel, *others], axis=2),
        gt_seg_map=label.copy(),
        pseudo_label=label.copy(),
        saliency=channel.astype(np.float32) / 255,
        seg_fields=['gt_seg_map', 'pseudo_label', 'saliency'],
        smooth_fields=['saliency'],
        img_shape=channel.shape,
        ori_shape=channel.shape,
    )


def transformed(kind: str, settings: dict, seed: int, results: dict) -> dict:
    random.seed(seed)
    np.random.seed(seed)
    return TRANSFORMS.build(dict(type=kind, **settings))(results)


def labels(seed: int = 0) -> np.ndarray:
    blocks = np.random.RandomState(seed).randint(0, 5, (6, 8)).astype(np.uint8)
    return blocks.repeat(8, 0).repeat(8, 1)[:HEIGHT, :WIDTH]


@pytest.mark.parametrize('kind,case', CASES)
def test_maps_pass_as_image_and_labels_do(kind, case):
    for seed in range(3):
        channel, label = smooth_values(), labels()
        made = transformed(kind, STEPS[kind][case], seed, results_of(channel, label))
        assert made['pseudo_label'].dtype == np.uint8 and made['saliency'].dtype == np.float32
        assert np.array_equal(made['pseudo_label'], made['gt_seg_map'])
        assert made['saliency'].shape == made['img'].shape[:2]
        # the channel is rounded to 8 bits, and bicubic values are clipped
        difference = np.clip(made['saliency'] * 255, 0, 255) - made['img'][..., 0].astype(float)
        assert np.abs(difference).max() <= 1.001
        alone = results_of(channel, label)
        alone.update(seg_fields=['gt_seg_map'], smooth_fields=[])
        plain = transformed(kind, STEPS[kind][case], seed, alone)
        assert np.array_equal(plain['img'], made['img'])  # nothing else changes
        assert np.array_equal(plain['gt_seg_map'], made['gt_seg_map'])


@pytest.mark.parametrize('kind', FILLED)
def test_smooth_maps_are_0_where_the_image_is_filled(kind):
    channel = np.full((HEIGHT, WIDTH), 255, np.uint8)
    made = transformed(kind, FILLED[kind], 0, results_of(channel, labels()))
    saliency, pixels = made['saliency'], made['img'][..., 0]
    inside = pixels == 255
    assert saliency.shape == pixels.shape and 0.05 < inside.mean() < 0.95
    assert (saliency[inside] == 1).all() and saliency.min() == 0 and saliency.max() == 1


def test_random_numbers_afterwards_are_those_without_maps():
    after = []
    for fields in (['gt_seg_map'], ['gt_seg_map', 'saliency']):
        given = results_of(smooth_values(), labels())
        given['seg_fields'] = fields
        transformed('RandomRotate', STEPS['RandomRotate'][0], 5, given)
        after.append((random.random(), np.random.rand()))
    assert after[0] == after[1]


def test_every_step_that_moves_pixels_is_tested():
    known = {*(kind.rpartition('.')[2] for kind in STEPS), *STILL, *REFUSED_STEPS}
    registered = {
        name
        for registry in (TRANSFORMS, MMCV_TRANSFORMS)
        for name, kind in registry.module_dict.items()
        if kind.__module__.startswith(('mmcv.', 'mmseg.', 'mmseg_ctt.'))
    }
    assert registered - known == set()


@pytest.mark.parametrize('grey', [False, True])
def test_grey_images(grey):
    given = results_of(smooth_values(), labels())
    if grey:
        given['img'] = given['img'][..., 0]
    made = transformed('Resize', dict(scale=(70, 41)), 0, given)
    expected = made['img'] if grey else made['img'][..., 0]
    assert np.abs(made['saliency'] * 255 - expected).max() <= 1.001


class Albu(BaseTransform):
    """As mmseg's, without the library."""

    def __init__(self, *parts: type) -> None:
        self.aug = SimpleNamespace(transforms=[part() for part in parts])

    def transform(self, results):
        return results


def test_steps_that_move_image_and_mask_alone_are_refused():
    moves, colours = type('Rotate', (), {}), type('ImageOnlyTransform', (), {})
    blur = type('Blur', (colours,), {})
    given = results_of(smooth_values(), labels())
    assert Albu(blur)(given) is given
    for parts in ((), (moves,), (blur, moves)):
        with pytest.raises(
            ValueError, match='Albu .*pseudo_label, saliency would not fit any more'
        ):
            Albu(*parts)(given)
        assert Albu(*parts)(dict(given, seg_fields=['gt_seg_map']))
    for kind in REFUSED_STEPS[1:]:
        assert kind in TRANSFORMS.module_dict


# ---- loading


@pytest.fixture
def files(tmp_path):
    """An image of a sub-folder with its two maps."""
    for name in ('saliency', 'pseudo'):
        (tmp_path / name / 's').mkdir(parents=True)
    Image.fromarray(smooth_values()).save(tmp_path / 'saliency' / 's' / 'a.png')
    Image.fromarray(labels()).save(tmp_path / 'pseudo' / 's' / 'a.png')
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    results = dict(img=image, img_path='x/s/a.jpg', stem='s/a', seg_fields=[])
    folders = dict(saliency=str(tmp_path / 'saliency'), pseudo_label=str(tmp_path / 'pseudo'))
    return results, folders


def test_load_maps(files):
    results, folders = files
    made = LoadMaps(folders, smooth='saliency')(results)
    assert np.array_equal(np.rint(made['saliency'] * 255), smooth_values())
    assert made['saliency'].dtype == np.float32 and made['pseudo_label'].dtype == np.uint8
    assert np.array_equal(made['pseudo_label'], labels())
    assert made['seg_fields'] == list(folders) and made['smooth_fields'] == ['saliency']


def test_mistakes_of_maps(files, tmp_path):
    results, folders = files
    step = LoadMaps(folders)
    small = np.zeros((HEIGHT + 1, WIDTH), np.uint8)
    for pixels, message in (
        (small, r'saliency.*a\.png is of \(38, 52\) and its image of \(37, 52\) pixels'),
        (
            np.zeros((HEIGHT, WIDTH, 3), np.uint8),
            'saliency.*a.png is not one channel of 8 bit: save it as a grey PNG',
        ),
    ):
        Image.fromarray(pixels).save(tmp_path / 'saliency' / 's' / 'a.png')
        with pytest.raises(ValueError, match=message):
            step(dict(results, seg_fields=[]))
    (tmp_path / 'saliency' / 's' / 'a.png').unlink()
    missing = r'saliency.*a\.png does not exist .of the image x/s/a\.jpg'
    with pytest.raises(FileNotFoundError, match=missing):
        step(results)
    with pytest.raises(ValueError, match=r"smooth has \['x'\], which LoadMaps.maps does not"):
        LoadMaps(folders, smooth=['x'])
    with pytest.raises(ValueError, match='LoadMaps.maps is empty'):
        LoadMaps({})


def test_classes_of_mmcv_are_not_those_of_mmseg():
    """The names of both are equal; a config names mmcv's with the scope."""
    assert type(TRANSFORMS.build(dict(type='mmcv.RandomFlip', prob=1.0))) is (
        mmcv.transforms.RandomFlip
    )
    assert type(TRANSFORMS.build(dict(type='RandomFlip', prob=1.0))) is not (
        mmcv.transforms.RandomFlip
    )
