# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from mmengine.structures import PixelData
from toy import sample

from mmseg_ctt.nn.images import Images


def images(widths=(6, 6), labels=True):
    g = torch.Generator().manual_seed(0)
    made = []
    for i, width in enumerate(widths):
        made.append(sample('labeled', i, torch.randint(0, 4, (1, 4, 6), generator=g)))
        made[-1].set_metainfo(dict(img_shape=(4, width)))
        if not labels:
            del made[-1].gt_sem_seg
    return Images(torch.zeros(len(widths), 3, 4, 6), made)


def test_what_is_known_of_the_images():
    given = images()
    assert given.size == (4, 6) and given.draws == [(7, 0), (7, 1)]
    assert given.labels.shape == (2, 4, 6) and given.labels.dtype == torch.long
    assert torch.equal(given.labels[1], given.samples[1].gt_sem_seg.data[0])


def test_labels_are_read_when_asked_for_and_not_before():
    assert images(labels=False).size == (4, 6)


def test_padding():
    assert images().valid() is None
    valid = images((6, 2)).valid()
    assert valid[0].all() and valid[1, :, :2].all() and not valid[1, :, 2:].any()


def test_other_maps_of_the_pipeline():
    given = images()
    for i, known in enumerate(given.samples):
        known.set_data(dict(depth=PixelData(data=torch.full((1, 4, 6), float(i)))))
    maps = given.maps('depth')
    assert maps.shape == (2, 1, 4, 6) and maps[1].unique().tolist() == [1.0]


@pytest.mark.parametrize('name', ['depth', 'gt_sem_seg'])
def test_a_missing_map_names_itself_its_source_and_the_remedy(name):
    given = images(labels=name == 'depth')
    remedy = 'pack it in train_dataloader.dataset.labeled.pipeline'
    with pytest.raises(ValueError, match=f'the source labeled has no map {name}, .*{remedy}'):
        given.maps(name)
