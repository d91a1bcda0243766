# Copyright (c) mmseg_ctt contributors.
"""The factor of all loss terms but the supervised one, in every method that has both."""

import torch
from family import every_recipe_of, ready
from toy import losses_of, prepared, total_of, toy_batch

from mmseg_ctt.nn.unlabeled_weight import GuardState, UnlabeledWeight

GUARDED = every_recipe_of(lambda method: 'sup' in method.usual_weights())


def weighed(recipe, factor):
    """A model with the factor."""
    model = ready(recipe)
    model.unlabeled_weight = UnlabeledWeight()
    model.unlabeled_weight.set(GuardState(factor))
    return model


@GUARDED
def test_terms_besides_the_supervised_are_multiplied(recipe):
    plain = losses_of(ready(recipe), toy_batch())
    model = weighed(recipe, 0.25)
    others = tuple(f'.loss_{term}' for term in model.weights if term != 'sup')
    losses = losses_of(model, toy_batch())
    assert losses.keys() == plain.keys() and any(key.endswith(others) for key in losses)
    for key, value in losses.items():
        factor = 0.25 if key.endswith(others) else 1
        torch.testing.assert_close(value, factor * plain[key])
    for key, value in losses_of(weighed(recipe, 1.0), toy_batch()).items():
        assert torch.equal(value, plain[key]), key


@GUARDED
def test_at_zero_students_see_labelled_images_alone(recipe):
    """Neither gradients nor running averages depend on the unlabelled images."""
    plain = losses_of(ready(recipe), toy_batch())
    found = []
    for change in (0, 4):
        model, batch = weighed(recipe, 0.0), toy_batch()
        batch['inputs'] = [
            image // (1 + change * (sample.source == 'unlabeled'))
            for image, sample in zip(batch['inputs'], batch['data_samples'])
        ]
        losses = losses_of(model, batch)
        model.zero_grad()
        total_of(losses, model).backward()
        trained = {name: w.grad for name, w in model.named_parameters() if w.requires_grad}
        assert not [name for name, grad in trained.items() if grad is None], 'DDP needs it'
        found.append({**trained, **losses, **dict(model.named_buffers())})
    terms = tuple(f'.loss_{term}' for term in model.weights)
    assert losses and set(losses) == {key for key in plain if key in losses}
    assert not [key for key in losses if key.endswith(terms)]
    assert found[0].keys() == found[1].keys()
    for key, value in found[0].items():
        assert torch.equal(value, found[1][key]), key


@GUARDED
def test_at_zero_losses_are_those_of_the_networks(recipe):
    """With whatever weight the method has for the supervised term."""
    model, plain = weighed(recipe, 0.0), ready(recipe)
    losses = losses_of(model, toy_batch())
    data = prepared(plain, toy_batch())
    images, samples = (data[key]['labeled'] for key in ('inputs', 'data_samples'))
    found = {
        f'student{i}.{key}': value
        for i, student in enumerate(plain.students)
        for key, value in student.loss(images, samples).items()
        if 'loss' in key
    }
    assert losses.keys() == found.keys()
    for key, value in found.items():
        torch.testing.assert_close(losses[key], value)
