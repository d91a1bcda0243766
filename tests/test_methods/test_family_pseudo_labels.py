# Copyright (c) mmseg_ctt contributors.
"""Pseudo-labels that hooks and pictures inspect are those of a step, and so are confident ones."""

import copy
from statistics import mean

import pytest
import torch
from family import WITH_PSEUDO_LABELS, Recipe, every_recipe_of, ready, unmixed
from mmengine.logging import MessageHub
from toy import at_iteration, losses_of, prepared, toy_batch

from mmseg_ctt.engine.hooks.pseudo_label_hook import PseudoLabelHook
from mmseg_ctt.functional import pseudo_label_scores
from mmseg_ctt.methods.followers import IN_SHIFTS
from mmseg_ctt.nn.images import Images

PEERS = Recipe('DualNegativeLabel', dict(num_pairs=3))
TURNS = Recipe('PSMT', {})
OTHER = dict(CrossConsistency=dict(upscale=4), DualNegativeLabel=dict(two_views=False))


def images_of(model):
    data = prepared(model)
    return {
        name: Images(data['inputs'][name], data['data_samples'][name]) for name in model.sources
    }


def noted(model, name, kept):
    """Let a model note what one of its functions gives."""
    function = getattr(model, name)

    def noting(*args, **kwargs):
        kept.append((args, function(*args, **kwargs)))
        return kept[-1][1]

    setattr(model, name, noting)


def assert_as_in_a_step(recipe, **changes):
    """Inspected logits are those of a step, and the first label is what its view is cut along."""
    model = ready(recipe, **{**unmixed(recipe), **changes})
    steps, inspections, views = [], [], []
    noted(model, 'align_and_limit', steps)
    noted(model, '_labels_of', inspections)
    noted(model, 'several_views', views)
    found = model.inspect_pseudo_labels(**images_of(model))
    (((given, _), _),) = inspections
    losses_of(model, toy_batch())
    ((_, outputs),) = steps
    outputs = model.labelling_outputs(outputs)
    assert outputs.keys() == given.keys()
    for name, (output, *_) in outputs.items():
        assert torch.equal(output.logits, given[name][0].logits), name
    assert model.first_target in found
    if views:
        assert torch.equal(views[0][0][1], found[model.first_target].label)
    return found


@WITH_PSEUDO_LABELS
@pytest.mark.parametrize('joint', [True, False])
def test_inspected_pseudo_labels_are_those_of_a_step(recipe, joint):
    assert_as_in_a_step(recipe, joint_forward=joint)


def test_a_label_of_several_peers_is_that_of_their_mean():
    found = assert_as_in_a_step(PEERS)
    assert set(found) == {'teacher0+teacher1', 'teacher0+teacher2', 'teacher1+teacher2'}


@pytest.mark.parametrize('updates', [{}, {0: (0, 7)}, {0: (0, 7), 1: (1, 1)}])
def test_a_teacher_before_its_first_turn_has_no_part(updates, monkeypatch):
    at_iteration(12)
    model = ready(TURNS)
    MessageHub.get_current_instance().update_info(IN_SHIFTS, updates)
    images, labels = images_of(model), []
    found = model.inspect_pseudo_labels(**images)
    noted(model, 'pseudo_labels', labels)
    losses_of(model, toy_batch())
    ((_, of_step),) = labels
    assert found.keys() == of_step.keys() == {'teacher0+teacher1'}
    (wanted,), (got,) = of_step.values(), found.values()
    assert torch.equal(got.label, wanted.label) and torch.equal(got.confidence, wanted.confidence)
    alone = model.pseudo_label(
        model.forward_teachers(images)['teacher0'][0].logits, images['unlabeled']
    )
    assert torch.equal(got.confidence, alone.confidence) == (1 not in updates)


def logs_ratio(method):
    return method.uses_pseudo_labels and method.default_consistency is not None


@every_recipe_of(logs_ratio)
def test_used_pixels_of_the_hook_are_the_confident_ones_of_a_step(recipe):
    """At the size of the images; labels of ``two_views`` need a strong view."""
    changes = {**unmixed(recipe), **OTHER.get(recipe.kind, {})}
    model, hook = ready(recipe, **changes), PseudoLabelHook()
    found = copy.deepcopy(model).inspect_pseudo_labels(**images_of(model))
    losses = losses_of(model, toy_batch())
    hook.model = model  # with what its thresholds have learned before the step compared them
    used = float(pseudo_label_scores(hook._counts(list(found.values()), None)).used)
    ratios = [float(value) for key, value in losses.items() if key.endswith('.confident_ratio')]
    assert used == pytest.approx(mean(ratios), abs=1e-6)
