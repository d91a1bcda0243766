# Copyright (c) mmseg_ctt contributors.
"""Pseudo-labels that are limited to the tags of their images, in every method that makes some."""

import pytest
import torch
from family import RECIPES, assert_finite, ready, step
from mmengine.registry import DefaultScope
from mmengine.structures import LabelData
from mmseg.registry import DATASETS
from tag_folders import write_json
from toy import NUM_CLASSES, prepared, ready_model, toy_batch
from toy_data import CLASSES, LABELED, UNLABELED, toy_semi, toy_set

from mmseg_ctt.engine.tag_checks import check_tags
from mmseg_ctt.methods import registered_methods
from mmseg_ctt.nn.images import Images
from mmseg_ctt.nn.tag_limits import EXCLUDED, allowed_classes, limited_logits


def tagged_unlabeled(background=True, tags=((1,), (2, 3)), batch=None):
    """A batch whose unlabelled images have tags."""
    batch = batch or toy_batch()
    unlabeled = [s for s in batch['data_samples'] if s.metainfo['source'] == 'unlabeled']
    for sample, classes in zip(unlabeled, tags):
        hot = torch.zeros(NUM_CLASSES, dtype=torch.long)
        hot[list(classes)] = 1
        sample.gt_tags = LabelData(metainfo=dict(background=background), label=hot)
    return batch


def images_of(model, batch):
    data = prepared(model, batch)
    return {
        name: Images(data['inputs'][name], data['data_samples'][name]) for name in model.sources
    }


def inspected(model, batch):
    """Pseudo-labels ``(members, B, H, W)`` of a model as its step makes them."""
    targets = model.inspect_pseudo_labels(**images_of(model, batch))
    return torch.stack([target.label for target in targets.values()])


def of_semi(method):
    return method.uses_pseudo_labels and 'unlabeled' in method.sources


SEMI = [kind for kind, method in registered_methods().items() if of_semi(method)]


@pytest.mark.parametrize('kind', SEMI)
@pytest.mark.parametrize('background', [True, False])
def test_no_pseudo_label_is_outside_the_tags(kind, background):
    batch = tagged_unlabeled(background)
    recipe = RECIPES[kind]
    allowed = [tags | ({0} if background else set()) for tags in ({1}, {2, 3})]
    plain = inspected(ready(recipe), batch)
    assert set(plain[:, 0].unique().tolist()) - allowed[0]  # so the test can fail
    limited = inspected(ready(recipe, use_tags=True), batch)
    for image, classes in enumerate(allowed):
        assert set(limited[:, image].unique().tolist()) <= classes


@pytest.mark.parametrize('kind', SEMI)
def test_a_step_with_tags(kind):
    """Every term is finite, and what is made of the unlabelled images differs.

    Without the setting, tags change nothing.
    """
    model = ready(RECIPES[kind], use_tags=True)
    losses = step(model, tagged_unlabeled())
    assert_finite(model, losses)
    without, other = step(ready(RECIPES[kind])), step(ready(RECIPES[kind]), tagged_unlabeled())
    assert all(torch.equal(without[key], other[key]) for key in other)
    assert any(not torch.equal(losses[key], other[key]) for key in losses)


def test_images_without_tags_are_an_error():
    model = ready(RECIPES['FixMatchSeg'], use_tags=True)
    with pytest.raises(ValueError, match='the source unlabeled has no tags: .*TaggedImageDataset'):
        step(model)


@pytest.mark.parametrize('kind', ['ClassActivationMaps', 'DualTaskConsistency'])
def test_methods_without_pseudo_labels_refuse_the_setting(kind):
    with pytest.raises(ValueError, match=f'model.use_tags: {kind} makes no pseudo-labels'):
        ready_model(kind, use_tags=True)
    with pytest.raises(ValueError, match='model.use_tags'):
        ready_model('FixMatchSeg', use_tags='yes')


# ---- the limit itself


def test_probabilities_of_other_classes_are_0():
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 3, 5) * 9
    allowed = torch.tensor([[1, 1, 0, 0], [1, 0, 1, 1]], dtype=torch.bool)
    for dtype in (torch.float32, torch.float16):
        probability = limited_logits(logits.to(dtype), allowed).float().softmax(1)
        assert (probability[~allowed] == 0).all()
        kept = logits.softmax(1) * allowed[..., None, None]
        expected = kept / kept.sum(1, keepdim=True)
        assert torch.allclose(probability, expected, atol=2e-2 if dtype == torch.float16 else 1e-6)


def test_one_channel():
    logits = torch.tensor([3.0, -2.0, 1.0]).view(3, 1, 1, 1)
    allowed = torch.tensor([[1, 1], [1, 0], [0, 1]], dtype=torch.bool)
    assert limited_logits(logits, allowed).flatten().tolist() == [3.0, EXCLUDED, -EXCLUDED]


def test_class_0_is_allowed_where_it_is_the_background():
    for background in (True, False):
        model = ready_model('FixMatchSeg')
        images = images_of(model, tagged_unlabeled(background))['unlabeled']
        assert allowed_classes(images)[:2].tolist() == [
            [background, True, False, False],
            [background, False, True, True],
        ]


# ---- checks of a run


def dataset(root, tagged='unlabeled', **changes):
    settings = toy_semi(root)
    settings.update(split=None) if tagged == 'tagged' else None
    source = toy_set(root, False, type='TaggedImageDataset', tags='tags.json', **changes)
    if tagged == 'tagged':
        settings.update(labeled=None, unlabeled=None)
    with DefaultScope.overwrite_default_scope('mmseg'):
        return DATASETS.build({**settings, tagged: source})


def test_a_run_checks_the_tags_of_its_sources(root):
    with_tags, without = dataset(root, background=CLASSES[0]), DATASETS.build(toy_semi(root))
    limited, plain = ready_model('FixMatchSeg', use_tags=True), ready_model('FixMatchSeg')
    assert check_tags(limited, with_tags) == [] and check_tags(plain, without) == []
    with pytest.raises(
        ValueError, match='unlabeled needs tags, since model.use_tags=True: set its'
    ):
        check_tags(limited, without)
    (warning,) = check_tags(plain, with_tags)
    assert 'unlabeled has tags, which are not used: set model.use_tags=True' in warning


def test_a_head_and_its_data_agree_on_the_background(root):
    write_json(root, {stem: [CLASSES[1], CLASSES[0]] for stem in LABELED + UNLABELED})
    model = ready_model('ClassActivationMaps')
    with pytest.raises(ValueError, match="background=True, but class 0 of .*tagged is 'class0'"):
        check_tags(model, dataset(root, 'tagged'))
    model.students[0].decode_head.background = False
    assert check_tags(model, dataset(root, 'tagged')) == []
    write_json(root, {stem: [CLASSES[1]] for stem in LABELED + UNLABELED})
    with pytest.raises(ValueError, match='background=False, but class 0 of .* is the background'):
        check_tags(model, dataset(root, 'tagged', background=CLASSES[0]))
    plain = {**toy_semi(root), 'split': None, 'labeled': None, 'unlabeled': None}
    without = DATASETS.build({**plain, 'tagged': toy_set(root, False)})
    with pytest.raises(ValueError, match=r'dataset\.tagged needs tags: set its type to Tagged'):
        check_tags(model, without)
