# Copyright (c) mmseg_ctt contributors.
"""Steps that paste images of a batch onto one another."""

import pytest
import torch
from augmented import CLASS, CUT, DRAWS, JITTER, K, images, labels, masks, view

from mmseg_ctt.functional import class_mix_mask, cut_mix_mask, mix
from mmseg_ctt.functional.mixing import BOX_NUMBERS
from mmseg_ctt.nn.rng import sample_noise


@pytest.mark.parametrize('step', [CLASS, CUT, dict(CUT, boxes=3)])
def test_mask_moves_images_and_targets_alike(step):
    image, label = images(), labels()
    got = view([step], image=image, label=label)
    (mask,) = masks(got)
    assert mask.dtype == torch.bool and mask.shape == label.shape
    assert all(0 < kept.sum() < kept.numel() for kept in mask)
    assert torch.equal(got.image, mix(image, mask))
    assert torch.equal(got.apply_mix(label), mix(label, mask))
    assert torch.equal(got.apply_mix(image[:, 0]), got.image[:, 0])
    several = torch.stack([label, label.flip(1)])
    want = torch.stack([got.apply_mix(map_) for map_ in several])
    assert torch.equal(got.apply_mix(several, batch_dim=1), want)


def test_two_mixings_are_applied_one_after_the_other():
    image = images()
    got = view([CUT, CLASS], image=image)
    first, second = masks(got)
    assert torch.equal(got.image, mix(mix(image, first), second))
    assert torch.equal(got.apply_mix(image), got.image)
    # ClassMix cuts along the labels as CutMix has left them
    mixed = mix(labels(), first)
    keys = sample_noise(DRAWS, 1 + K, 'strong0/1/ClassMixing')[:, 1:]
    assert torch.equal(second, class_mix_mask(mixed, keys=keys, num_classes=K))


def test_class_mix_is_cut_along_the_labels():
    label = labels()
    (mask,) = masks(view([CLASS], label=label))
    for map_, kept in zip(label, mask):
        assert len(map_[kept].unique()) == 2  # floor(5 / 2)
        assert not set(map_[kept].tolist()) & set(map_[~kept].tolist())


def test_labels_outside_the_classes_are_ignored_by_class_mix():
    label = labels()
    label[:, :3] = 255
    (mask,) = masks(view([CLASS], label=label))
    assert not mask[:, :3].any() and mask.any()


def bounds(mask):
    """Height and width of the smallest rectangle around the kept pixels."""
    rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
    return int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1


def many(step, number=200, size=(40, 40)):
    image = images(batch=1, size=size).expand(number, -1, -1, -1)
    label = torch.zeros(number, *size, dtype=torch.long)
    return view([step], image=image, label=label, draws=[(0, i) for i in range(number)])


@pytest.mark.parametrize('area', [(0.5, 0.5), (0.25, 0.5), (0.02, 0.4)])
def test_a_box_is_a_rectangle_of_what_the_area_leaves(area):
    (boxes,) = masks(many(dict(CUT, area=(1 - area[1], 1 - area[0]))))
    ratios = boxes.float().mean((1, 2))
    for mask, ratio in zip(boxes, ratios.tolist()):
        height, width = bounds(mask)
        assert mask.sum() == height * width
        assert area[0] - 0.06 <= ratio <= area[1] + 0.06  # sides are whole pixels
    assert area[0] == area[1] or ratios.std() > 0.05


def test_boxes_have_a_part_of_the_area_each_and_an_overlap_shows_the_neighbour():
    step = dict(CUT, area=(0.25, 0.5), boxes=3)
    (mask,) = masks(view([step]))
    noise = sample_noise(DRAWS, 1 + 3 * BOX_NUMBERS, 'strong0/0/CutMixing')[:, 1:]
    assert torch.equal(mask, cut_mix_mask(labels(), area=(0.5, 0.75), noise=noise, num_boxes=3))
    assert 0 < mask.float().mean() < 0.8


@pytest.mark.parametrize('aspect', [None, (0.8, 1.25)])
@pytest.mark.parametrize('area', [0.2, 0.7])
def test_area_is_what_is_pasted(area, aspect):
    (kept,) = masks(many(dict(CUT, area=(area, area), aspect=aspect)))
    assert (~kept).float().mean().item() == pytest.approx(area, abs=0.04)  # whole pixels


def test_box_of_an_aspect_is_pasted():
    """UniMatch's box: what is inside comes from the partner."""
    step = dict(CUT, area=(0.1, 0.3), aspect=(0.5, 2.0))
    (mask,) = masks(view([step]))
    pasted = (~mask).float().mean((1, 2))
    assert ((pasted > 0.05) & (pasted < 0.35)).all()
    for box in ~mask:  # a rectangle
        rows, columns = box.any(1), box.any(0)
        assert torch.equal(box, rows.unsqueeze(1) & columns)


@pytest.mark.parametrize('step', [CLASS, CUT], ids=['class', 'cut'])
def test_partner_of_the_flipped_batch(step):
    """Image ``i`` gets parts of image ``B - 1 - i``, and labels of several teachers likewise."""
    image, label = images(), labels()
    straight, got = view([step]), view([dict(step, partner='flipped')])
    (mixing,) = got.mixes
    assert mixing.partner == 'flipped' and torch.equal(mixing.mask, masks(straight)[0])
    mask = mixing.mask
    want = torch.where(mask.unsqueeze(1), image, image.flip(0))
    assert torch.equal(got.image, want) and not torch.equal(got.image, straight.image)
    assert torch.equal(got.apply_mix(image), want)
    assert torch.equal(got.apply_mix(label), torch.where(mask, label, label.flip(0)))
    several = torch.stack([label, label.flip(1)])
    want = torch.stack([got.apply_mix(map_) for map_ in several])
    assert torch.equal(got.apply_mix(several, batch_dim=1), want)


@pytest.mark.parametrize('step', [CLASS, CUT], ids=['class', 'cut'])
@pytest.mark.parametrize('prob', [0.3, 1.0])
def test_ratio_of_mixed_images(step, prob):
    label = labels(batch=1, size=(8, 8)).expand(400, -1, -1)
    image = torch.randn(400, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    got = view(
        [dict(step, prob=prob)], image=image, label=label, draws=[(3, i) for i in range(400)]
    )
    changed = (got.image != image).flatten(1).any(1)
    assert torch.equal(changed, ~masks(got)[0].flatten(1).all(1))
    assert changed.float().mean().item() == pytest.approx(prob, abs=0 if prob == 1 else 0.11)


@pytest.mark.parametrize('step', [CLASS, CUT, dict(CUT, area=(0.1, 0.3), aspect=(0.5, 2))])
@pytest.mark.parametrize('prob', [1.0, 0.5, 1e-9])
def test_parts_of_labelled_images_are_pasted(step, prob):
    """The first half of the batch is unlabelled; classes of the second are pasted, or boxes."""
    image, label = images(batch=8), labels(batch=8)
    got = view([dict(step, partner='labeled', prob=prob)], image, label, draws=DRAWS * 2)
    noise = sample_noise(DRAWS, 1 + K, f'strong0/0/{step["type"]}')
    if step is CLASS:
        keys = noise[:, 1:]
        pasted = class_mix_mask(label[4:], keys=keys, num_classes=K, round_up=True)
    else:
        pasted = ~masks(view([dict(step, prob=1)], image[:4], label[:4]))[0]  # as of any partner
    pasted &= (noise[:, 0] < prob).view(-1, 1, 1)
    assert len(got.image) == 4
    want = torch.where(pasted.unsqueeze(1), image[4:], image[:4])
    assert torch.equal(got.image, want)
    assert torch.equal(got.apply_mix(label), torch.where(pasted, label[4:], label[:4]))
    assert pasted.any() == (prob > 0.1)


@pytest.mark.parametrize('aspect', [None, (0.5, 2.0)])
def test_area_is_what_is_pasted_of_a_labelled_image(aspect):
    step = dict(CUT, area=(0.1, 0.1), aspect=aspect, partner='labeled')
    (kept,) = masks(many(step))
    assert len(kept) == 100
    assert (~kept).float().mean().item() == pytest.approx(0.1, abs=0.04)  # whole pixels


def test_a_labelled_image_of_one_class_is_pasted_whole():
    """As in the released code of DACS; what is ignored stays."""
    label = labels(batch=8)
    label[4:] = 3
    label[4:, :, :5] = 255
    got = view([dict(CLASS, partner='labeled')], images(batch=8), label, draws=DRAWS * 2)
    (kept,) = masks(got)
    assert torch.equal(kept, label[4:] == 255)


def test_labelled_parts_come_first():
    with pytest.raises(ValueError, match='must be the first one that mixes'):
        view([CUT, dict(CLASS, partner='labeled')])
    with pytest.raises(ValueError, match='only one step'):
        view([dict(CUT, partner='second_half'), dict(CLASS, partner='labeled')])
    steps = [JITTER, dict(CUT, partner='labeled'), CLASS]
    got = view(steps, images(batch=8), labels(batch=8), DRAWS * 2)
    assert len(got.image) == 4 and len(got.mixes) == 2
