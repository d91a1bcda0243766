# Copyright (c) mmseg_ctt contributors.
import numpy as np
import pytest
import torch

from mmseg_ctt.evaluation import RaterAgreementMetric


def metric(classes=2, **settings):
    made = RaterAgreementMetric(**settings)
    made.dataset_meta = dict(classes=[f'c{k}' for k in range(classes)])
    return made


def sample(predicted, masks):
    fields = dict(pred_sem_seg=predicted[None], rater_masks=np.stack(masks))
    return {name: dict(data=torch.from_numpy(values)) for name, values in fields.items()}


def dice(a, b, k=1):
    kept = (a != 255) & (b != 255)
    a, b = a[kept] == k, b[kept] == k
    return 200 * (a & b).sum() / (a.sum() + b.sum())


def masks(seed, number=3, classes=2):
    return np.random.RandomState(seed).randint(0, classes, (number, 8, 9)).astype(np.uint8)


def test_dice_with_each_rater():
    first, second = masks(0), masks(1)
    second[2] = 255  # this rater did not draw the second image
    first[1, :3] = 255
    found = metric(raters=['anna', 'ben'])
    found.process(None, [sample(part[0], part[1:]) for part in (first, second)])
    got = found.evaluate(2)
    want = [dice(part[0], part[1]) for part in (first, second)]
    assert got['Dice.anna'] == pytest.approx(np.mean(want), abs=0.01)
    assert got['Dice.ben'] == pytest.approx(dice(first[0], first[2]), abs=0.01)
    assert got['Dice.raters'] == pytest.approx((got['Dice.anna'] + got['Dice.ben']) / 2, abs=0.01)
    assert got['Dice.between_raters'] == pytest.approx(dice(first[1], first[2]), abs=0.01)


def test_classes():
    a, b = masks(0, 2, 3)
    for background, ids in ((False, (1, 2)), (True, (0, 1, 2))):
        found = metric(3, include_background=background)
        found.process(None, [sample(a, [b])])
        got = found.evaluate(1)
        assert got['Dice.rater0'] == pytest.approx(np.mean([dice(a, b, k) for k in ids]), abs=0.01)
        assert 'Dice.between_raters' not in got


def test_errors():
    a, b = masks(0, 2)
    with pytest.raises(ValueError, match='rater_masks=True'):
        metric().process(None, [dict(pred_sem_seg=dict(data=torch.zeros(1, 2, 2)))])
    with pytest.raises(ValueError, match='names 1 raters, the data set has 2'):
        metric(raters=['anna']).process(None, [sample(a, [a, b])])
