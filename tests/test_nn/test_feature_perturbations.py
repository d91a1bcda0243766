# Copyright (c) mmseg_ctt contributors.
"""Lists of perturbations of features, of one view and of two."""

import pytest
import torch

from mmseg_ctt.nn.perturbation import (
    FEATURE_PERTURBATIONS,
    FeaturePerturbations,
    PerturbedPasses,
    appended,
)

DRAWS = [(3, 0), (3, 1), (3, 2)]
OF_ONE_VIEW = [
    kind for kind, step in FEATURE_PERTURBATIONS.module_dict.items() if step.num_views == 1
]


def maps(num_views=1):
    """Features of three images at two levels, equal in all views."""
    g = torch.Generator().manual_seed(0)
    level = [torch.rand(3, channels, 5, 6, generator=g) + 0.1 for channels in (8, 16)]
    return [torch.cat([map_] * num_views) for map_ in level]


@pytest.mark.parametrize('kind', OF_ONE_VIEW)
def test_each_view_has_numbers_of_its_own(kind):
    step = FeaturePerturbations([dict(type=kind)], num_views=2)
    for before, after in zip(maps(2), step(maps(2), DRAWS, 'a')):
        first, second = after.chunk(2)
        assert after.shape == before.shape and not torch.equal(first, second)


def test_steps_of_one_view_and_of_two():
    """The second step is that of both views together, of what the first has made."""
    whole = [dict(type='FeatureNoise'), dict(type='ComplementaryChannelDropout')]
    both = FeaturePerturbations(whole, num_views=2)(maps(2), DRAWS, 'a')
    alone = FeaturePerturbations(whole[:1], num_views=2)(maps(2), DRAWS, 'a')
    for dropped, noisy in zip(both, alone):
        factor = dropped / noisy
        torch.testing.assert_close(factor[:3] + factor[3:], torch.full_like(factor[:3], 2))


def test_class_tokens_beside_the_maps_stay():
    """The maps change as they do alone, in one pass and with the clean ones."""
    steps = [dict(type='FeatureNoise'), dict(type='ComplementaryChannelDropout')]
    step = FeaturePerturbations(steps, num_views=2)
    levels = [[map_, torch.rand(6, map_.shape[1])] for map_ in maps(2)]
    for change in (step.of(DRAWS), PerturbedPasses([6], [appended(step.of(DRAWS))]).joint):
        for alone, (map_, token), (_, given) in zip(change(maps(2)), change(levels), levels):
            assert torch.equal(map_, alone)
            assert torch.equal(token, torch.cat([given] * (len(map_) // 6)))


def test_padding_is_not_the_most_active_position():
    """An image with padding loses the positions that it loses without."""
    image, step = maps()[:1], FeaturePerturbations([dict(type='FeatureDropout')])
    padded = [torch.cat([image[0], torch.full((3, 8, 5, 6), 9.0)], 3)]
    valid = (torch.arange(24) < 12).expand(3, 10, -1)  # pixels: twice the positions
    (alone,), (beside,) = (
        step(*args) for args in ((image, DRAWS, 'a'), (padded, DRAWS, 'a', valid))
    )
    assert torch.equal(beside[..., :6], alone) and not torch.equal(alone, image[0])
    assert not beside[..., 6:].any()


def test_a_step_of_two_views_where_there_is_one():
    with pytest.raises(
        ValueError, match='^model.feature_perturbation: ComplementaryChannelDropout changes 2 views'
    ):
        FeaturePerturbations([dict(type='ComplementaryChannelDropout')])
