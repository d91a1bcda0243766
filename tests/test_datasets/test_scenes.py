# Copyright (c) mmseg_ctt contributors.
"""Scenes that are cut into tiles are held out whole."""

import numpy as np
import pytest

from mmseg_ctt.datasets.scenes import scene_notes, scene_of, shared_scenes, without_scenes
from mmseg_ctt.datasets.split_masks import draw_validation


def tiles(scene: str, number: int) -> list:
    return [f'{scene}_r000000_c{64 * k:06d}' for k in range(number)]


def test_names():
    assert scene_of('below/a_r000128_c1000000') == 'below/a'
    assert scene_of('a_r000128') is None and scene_of('a_r000128_c000000_b') is None
    stems = [*tiles('a', 2), 'photo']
    assert without_scenes(stems, tiles('a', 1)) == ['photo']
    assert without_scenes(stems, ['other']) == stems


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('number', [1, 4, 8])
def test_no_scene_is_on_both_sides(number, seed):
    """About as many images as are wanted, and the class of a single scene stays in training."""
    sizes = dict(a=4, b=4, c=4, d=4, e=8)
    stems = [stem for scene, size in sizes.items() for stem in tiles(scene, size)]
    presence = np.array([[True, scene_of(stem) == 'c'] for stem in stems])
    trained, val = draw_validation(stems, presence, number, seed)
    assert sorted([*trained, *val]) == sorted(stems) and not shared_scenes(trained, val)
    assert number <= len(val) <= max(4, 1.5 * number)
    assert not any(scene_of(stem) == 'c' for stem in val)
    (line,) = scene_notes(trained, val, left_out=3)
    assert 'whole scenes are kept for validation' in line and '3 unlabelled tiles' in line


def test_where_scenes_cannot_be_held_out():
    stems, presence = tiles('a', 8), np.ones((8, 1), bool)
    trained, val = draw_validation(stems, presence, 2)
    assert len(val) == 2
    assert 'WARNING: 1 scenes, such as a, have tiles both' in scene_notes(trained, val)[0]
    photos = [f'{k}' for k in range(8)]
    assert not scene_notes(*draw_validation(photos, presence, 2))
    assert draw_validation(stems, presence, 0)[1] == []
    mixed = [*tiles('a', 8), *photos]
    trained, val = draw_validation(mixed, np.ones((16, 1), bool), 3)
    assert len(val) == 3 and not shared_scenes(trained, val)


@pytest.mark.parametrize('seed', range(6))
@pytest.mark.parametrize(
    'sizes, number, held',
    [
        (dict(a=95, b=5), 20, 5),
        (dict(a=60, b=40), 40, 40),
        (dict(a=200, b=1), 20, 1),
        (dict(a=90, b=90, c=90, d=90, e=2), 1, 2),
        (dict(a=40, b=40, c=40, d=40, e=30), 15, 30),
    ],
)
def test_unequal_scenes(sizes, number, held, seed):
    """Whichever scenes are tried first, no large one is held out in the place of a small one."""
    stems = [stem for scene, size in sizes.items() for stem in tiles(scene, size)]
    trained, val = draw_validation(stems, np.ones((len(stems), 1), bool), number, seed)
    assert len(val) == held and not shared_scenes(trained, val)


@pytest.mark.parametrize('seed', range(6))
def test_most_images_are_not_held_out(seed):
    """Where the scene that comes closest has most images, tiles are drawn, and that is said."""
    stems = [*tiles('a', 60), *tiles('b', 4)]
    presence = np.array([[True, scene_of(stem) == 'b'] for stem in stems])
    trained, val = draw_validation(stems, presence, 36, seed)
    assert len(val) == 36 and len(trained) == 28
    assert scene_notes(trained, val)[0].startswith('WARNING')
