# Copyright (c) mmseg_ctt contributors.
"""UniMatch and UniMatch V2: which images share a pass, perturbations of their features."""

import pytest
from family import METHODS
from toy import SIDE, losses_of, ready_model, toy_batch, toy_model

from mmseg_ctt.methods import registered_methods
from mmseg_ctt.nn.perturbation import FEATURE_PERTURBATIONS, FeatureDropout

HALVES = dict(strong_augmentation=[dict(type='CutMixing', partner='second_half')])


def passes(**settings):
    """Images in each pass of the backbone, and whether it is in training mode."""
    model, seen = ready_model('UniMatch', **settings), []
    model.students[0].backbone.register_forward_pre_hook(
        lambda module, args: seen.append((len(args[0]), module.training))
    )
    losses_of(model, toy_batch(2, 4))
    return seen


@pytest.mark.parametrize(
    'settings,expected',
    [
        (dict(), [4, 2 + 8]),
        (dict(labeled_pass='weak'), [2 + 4, 8]),
        (dict(joint_forward=False), [4, 2, 8]),
        (dict(joint_forward=False, labeled_pass='weak'), [2, 4, 8]),
    ],
)
def test_images_that_share_a_pass(settings, expected):
    assert passes(**settings) == [(number, True) for number in expected]


def test_partners_are_labelled_in_eval_mode():
    assert passes(**HALVES) == [(2, True), (2, False), (2 + 4, True)]


@pytest.mark.parametrize('number', [1, 3, 5])
@pytest.mark.parametrize('kind', [k for k in METHODS if registered_methods()[k].takes_halves])
def test_a_batch_that_has_no_halves(kind, number):
    model = ready_model(kind, **HALVES)
    message = 'second_half.* needs an even number .*train_dataloader.sampler.ratio'
    with pytest.raises(ValueError, match=f'^model.strong_augmentation: .*{message}'):
        losses_of(model, toy_batch(2, number))


@pytest.mark.parametrize('number', [2, 3])
@pytest.mark.parametrize('kind', FEATURE_PERTURBATIONS.module_dict)
def test_every_perturbation_on_two_views(kind, number):
    plain = losses_of(ready_model('UniMatchV2', feature_perturbation=[]), toy_batch(2, number))
    model = ready_model('UniMatchV2', feature_perturbation=[dict(type=kind)])
    losses = losses_of(model, toy_batch(2, number))
    assert losses['student0.loss_unsup'] != plain['student0.loss_unsup']


@pytest.mark.parametrize('kind', ['UniMatch', 'CorrMatch', 'PrevMatch', 'UniMatchV2'])
def test_perturbations_know_the_padding(kind, monkeypatch):
    """The upper quarter of each image is no padding, whichever part another view shows."""
    seen = []

    def perturb(self, feature, draws, rng_stream, valid=None):
        seen.append(valid)
        return feature

    monkeypatch.setattr(FeatureDropout, 'perturb', perturb)
    model = ready_model(kind, feature_perturbation=[dict(type='FeatureDropout')])
    data = model.data_preprocessor(toy_batch(2, 2), training=True)
    model(**data, mode='loss')
    assert seen and all(valid is None for valid in seen)
    seen.clear()
    for known in data['data_samples']['unlabeled']:
        known.set_metainfo(dict(img_shape=(SIDE // 4, SIDE)))
    model(**data, mode='loss')
    assert seen and all(valid.float().mean() == 0.25 for valid in seen)


@pytest.mark.parametrize('kind', ['UniMatch', 'CorrMatch', 'PrevMatch'])
def test_complementary_dropout_needs_two_views(kind):
    with pytest.raises(ValueError, match='^model.feature_perturbation: Complementary.* perturbs 1'):
        toy_model(kind, feature_perturbation=[dict(type='ComplementaryChannelDropout')])
