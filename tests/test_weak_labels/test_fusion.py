# Copyright (c) mmseg_ctt contributors.
"""Rules that make pseudo-labels of class maps and saliency."""

import numpy as np
import pytest
from reference import class_map_rules as reference

from mmseg_ctt.weak_labels import RULES, check_rule, confidence_of, fuse

CLASSES = (2, 7, 9)


def row(*values):
    """Map or saliency of a single row of pixels."""
    return np.array([values], np.float32)


@pytest.fixture(params=range(4))
def maps(request):
    """Values on a coarse grid, so that many lie at the levels of the rules and many are equal."""
    generator = np.random.default_rng(request.param)
    return generator.choice(np.linspace(0, 1, 11), (3, 9, 8)).astype(np.float32)


@pytest.fixture
def saliency(maps):
    generator = np.random.default_rng(int(maps.sum()))
    return generator.choice([0, 15, 16, 31, 32, 200, 255], (9, 8)).astype(np.float32) / 255


# ---- by hand


def test_threshold():
    maps = np.stack([row(0.1, 0.5, 0.3, 0.9), row(0.2, 0.4, 0.1, 0.9)])
    assert fuse('threshold', maps, (4, 6)).tolist() == [[0, 4, 0, 4]]
    assert fuse('threshold', maps, (4, 6), background=0.15).tolist() == [[6, 4, 4, 4]]


def test_none():
    maps = np.stack([row(0.1, 0, 0.0), row(0.2, 0.01, 0)])
    assert fuse('none', maps, (0, 5)).tolist() == [[5, 5, 255]]


def test_auxsegnet():
    maps, saliency = row(0.3, 0.3, 0.1, 0.1, 0.2)[None], row(0.1, 0.05, 0.1, 0.05, 0.06)
    assert fuse('auxsegnet', maps, (3,), saliency).tolist() == [[3, 255, 255, 0, 0]]


def test_group_wsss():
    maps = np.stack([row(0.5, 1, 0.85, 0.1, 0.1, 0), row(0, 0.95, 0, 0, 0.3, 1)])
    saliency = row(1, 1, 0.1, 0.05, 0.5, 1)
    # agreement; two classes; a certain map under the background; background; salient; agreement
    want = [[3, 255, 255, 0, 255, 8]]
    assert fuse('group_wsss', maps, (3, 8), saliency).tolist() == want


def test_group_wsss_counts_the_background_among_conflicts():
    maps = row(0.95, 0)[None]
    label = fuse('group_wsss', maps, (1,), row(0, 0), min_max=False, min_foreground=0)
    assert label.tolist() == [[255, 0]]


def test_group_wsss_gives_up_an_image_without_foreground():
    maps, saliency = np.zeros((1, 10, 20), np.float32), np.zeros((10, 20), np.float32)
    maps[0, 0, 0], saliency[0, 0] = 1, 1
    assert (fuse('group_wsss', maps, (1,), saliency) == 255).all()  # 1 pixel of 200
    kept = fuse('group_wsss', maps, (1,), saliency, min_foreground=0.005)
    assert kept[0, 0] == 1 and kept.sum() == 1


# ---- against the rules of a pixel


def test_threshold_of_any_maps(maps):
    for level in (0.0, 0.3, 0.5, 1.0):
        want = reference.of_image(reference.threshold, maps, CLASSES, background=level)
        np.testing.assert_array_equal(fuse('threshold', maps, CLASSES, background=level), want)


def test_auxsegnet_of_any_maps(maps, saliency):
    want = reference.of_image(reference.auxsegnet, maps, CLASSES, saliency)
    np.testing.assert_array_equal(fuse('auxsegnet', maps, CLASSES, saliency), want)
    settings = dict(object_level=0.6, salient_level=0.2)
    want = reference.of_image(reference.auxsegnet, maps, CLASSES, saliency, **settings)
    np.testing.assert_array_equal(fuse('auxsegnet', maps, CLASSES, saliency, **settings), want)


@pytest.mark.parametrize(
    'settings',
    [
        {},
        dict(min_max=False),
        dict(conflict_level=0.5, certain_level=0.6, salient_level=0.7, min_foreground=0.0),
        dict(min_foreground=0.9),
    ],
)
def test_group_wsss_of_any_maps(maps, saliency, settings):
    want = reference.group_wsss(maps, CLASSES, saliency, **settings)
    got = fuse('group_wsss', maps, CLASSES, saliency, **settings)
    np.testing.assert_array_equal(got, want)
    assert len(np.unique(got)) > 1 or settings.get('min_foreground') == 0.9


@pytest.mark.parametrize('rule', ['threshold', 'none', 'auxsegnet'])
def test_maps_of_all_classes_give_the_label_of_those_of_the_tags(rule, maps, saliency):
    """Maps of classes without a tag are 0."""
    maps = maps / 2 + 0.01
    everything = np.zeros((10, *saliency.shape), np.float32)
    everything[[k - 1 for k in CLASSES]] = maps
    extra = saliency if RULES[rule].needs_saliency else None
    np.testing.assert_array_equal(
        fuse(rule, everything, saliency=extra), fuse(rule, maps, CLASSES, extra)
    )


# ---- corners


@pytest.mark.parametrize(
    'rule, label', [('threshold', 0), ('none', 255), ('auxsegnet', 255), ('group_wsss', 255)]
)
def test_an_image_without_tags(rule, label):
    saliency = np.full((3, 4), 0.4, np.float32) if RULES[rule].needs_saliency else None
    got = fuse(rule, np.zeros((0, 3, 4), np.float32), (), saliency)
    assert got.dtype == np.uint8 and got.shape == (3, 4) and (got == label).all()


def test_inputs_stay(maps, saliency):
    before = maps.copy(), saliency.copy()
    for rule in RULES:
        fuse(rule, maps, CLASSES, saliency if RULES[rule].needs_saliency else None)
    assert (maps == before[0]).all() and (saliency == before[1]).all()


def test_confidence():
    maps = np.stack([row(0.1, 0.5, 0.3), row(0.2, 0.4, 0.1)])
    confidence = confidence_of(np.array([[0, 4, 255]], np.uint8), maps, (4, 6))
    assert confidence.dtype == np.float32
    np.testing.assert_allclose(confidence, [[0.8, 0.5, 0]])
    nothing = confidence_of(np.zeros((1, 2), np.uint8), np.zeros((0, 1, 2), np.float32), ())
    np.testing.assert_array_equal(nothing, [[1, 1]])


# ---- mistakes


@pytest.mark.parametrize(
    'rule, settings, words',
    [
        ('vote', {}, 'rule=.vote. must be one of threshold, none, auxsegnet, group_wsss'),
        ('threshold', dict(level=1), "rule threshold has no setting 'level': it has background"),
        ('none', dict(background=0.1), "rule none has no setting 'background'"),
        ('threshold', dict(background=1.5), 'background=1.5 must be a number from 0 to 1'),
        ('threshold', dict(background=True), 'background=True must be'),
        ('threshold', dict(background='0.2'), "background='0.2' must be"),
    ],
)
def test_wrong_settings(rule, settings, words):
    with pytest.raises(ValueError, match=words):
        check_rule(rule, has_saliency=False, **settings)


@pytest.mark.parametrize('rule', ['auxsegnet', 'group_wsss'])
def test_missing_saliency(rule):
    with pytest.raises(ValueError, match=f'the rule {rule} needs saliency maps'):
        check_rule(rule, has_saliency=False)
    with pytest.raises(ValueError, match='must be a number from 0 to 1'):
        check_rule(rule, has_saliency=True, salient_level=-1)


def test_unused_saliency():
    with pytest.raises(ValueError, match='the rule threshold uses no saliency'):
        check_rule('threshold', has_saliency=True)


def test_rules_without_a_background():
    with pytest.raises(ValueError, match='take the rule none'):
        check_rule('threshold', has_saliency=False, has_background=False)
    with pytest.raises(ValueError, match='the rule none makes no background'):
        check_rule('none', has_saliency=False)
    assert check_rule('none', has_saliency=False, has_background=False) == {}


def test_sizes_that_differ():
    maps = np.zeros((1, 3, 4), np.float32)
    with pytest.raises(ValueError, match=r'saliency of \(3, 5\) pixels for maps of \(3, 4\)'):
        fuse('auxsegnet', maps, (1,), np.zeros((3, 5), np.float32))
    with pytest.raises(ValueError, match='1 class maps have 2 class ids'):
        fuse('threshold', maps, (1, 2))
