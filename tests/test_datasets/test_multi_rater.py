# Copyright (c) mmseg_ctt contributors.
import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from mmseg.registry import DATASETS, TRANSFORMS
from PIL import Image
from toy import toy_segmentor
from toy_data import LABELED, NUM_CLASSES, toy_config, toy_method
from toy_raters import RATERS, SKIPPED, rater_semi, rater_set, write_raters

from mmseg_ctt.datasets.sampler import DrawnImage
from mmseg_ctt.engine.checked_loaders import check_loader
from mmseg_ctt.label_fusion.staple import staple
from mmseg_ctt.label_fusion.votes import majority_vote, soft_labels


@pytest.fixture
def raters(tmp_path):
    return write_raters(tmp_path / 'data')


def build(cfg):
    return DATASETS.build(cfg)


def mask_of(path):
    return np.array(Image.open(path))


def masks_of(root, stem):
    paths = [root / name / f'{stem}.png' for name in RATERS]
    first = mask_of(paths[0])
    return np.stack([mask_of(p) if p.is_file() else np.full_like(first, 255) for p in paths])


def loaded(root, stem, strategy, **settings):
    """Results of the loading step for one image."""
    dataset = build(rater_set(root))
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    (info,) = [info for info in infos if stem in info['img_path']]
    step = TRANSFORMS.build(
        dict(
            type='LoadMultiRaterAnnotations', strategy=strategy, num_classes=NUM_CLASSES, **settings
        )
    )
    return step(info)


def fuse_in_files(root, value=0.5):
    """What the tool would write: the masks of the first rater, a margin of one value."""
    for stem in LABELED:
        mask = mask_of(root / 'anna' / f'{stem}.png')
        for name, values in (
            ('masks', mask),
            ('consensus_margin', np.full_like(mask, round(255 * value))),
        ):
            (root / 'fused' / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(root / 'fused' / name / f'{stem}.png')


# ---- the data set


def test_entries(raters):
    dataset = build(rater_set(raters, fused='fused'))
    assert len(dataset) == len(LABELED)
    for i, stem in enumerate(LABELED):
        info = dataset.get_data_info(i)
        want = [str(raters / name / f'{stem}.png') for name in RATERS]
        want[2] = None if stem == SKIPPED else want[2]
        assert info['seg_map_paths'] == want and info['seg_map_path'] == want[0]
        assert info['fused_path'] == str(raters / f'fused/masks/{stem}.png')
        assert info['margin_path'] == str(raters / f'fused/consensus_margin/{stem}.png')
    assert info['raters'] == ['rater0', 'rater1', 'rater2']
    named = build(rater_set(raters, raters=dict(a='anna', b=str(raters / 'ben'))))
    assert named.get_data_info(0)['raters'] == ['a', 'b']
    assert 'fused_path' not in named.get_data_info(0)


def test_without_raters_it_has_no_masks(raters):
    info = build(rater_semi(raters)).sources['unlabeled'].get_data_info(0)
    assert not {'seg_map_path', 'seg_map_paths', 'fused_path'} & set(info)


@pytest.mark.parametrize(
    'changes, error, words',
    [
        (dict(raters='anna'), ValueError, "raters='anna' must be a list of folders"),
        (dict(raters=['anna', 'anna']), ValueError, 'names anna for two raters'),
        (dict(raters=['anna', 'dora']), FileNotFoundError, 'dora does not exist'),
        (dict(raters=['cem']), ValueError, r'no rater .* has a mask of .*1 of 3 images'),
        (
            dict(data_prefix=dict(img_path='img', seg_map_path='ann')),
            ValueError,
            'seg_map_path, which would be unused',
        ),
    ],
)
def test_wrong_folders(raters, changes, error, words):
    with pytest.raises(error, match=words):
        build({**rater_set(raters), **changes})


# ---- strategies


def test_majority_staple_soft(raters):
    for stem in LABELED:
        masks = masks_of(raters, stem)
        votes = majority_vote(masks, NUM_CLASSES)
        found = loaded(raters, stem, 'majority')
        assert np.array_equal(found['gt_seg_map'], votes) and found['gt_seg_map'].dtype == np.uint8
        soft = soft_labels(masks, NUM_CLASSES)
        highest = np.sort(soft, axis=0)
        assert np.allclose(found['consensus_margin'], highest[-1] - highest[-2])
        assert found['seg_fields'] == ['gt_seg_map', 'consensus_margin']

        found = loaded(raters, stem, 'staple')
        assert np.array_equal(found['gt_seg_map'], staple(masks, NUM_CLASSES).label)

        found = loaded(raters, stem, 'soft', tie='ignore')
        assert np.array_equal(found['gt_seg_map'], majority_vote(masks, NUM_CLASSES, 'ignore'))
        assert np.allclose(found['class_probability'], np.moveaxis(soft, 0, -1))
        assert (found['gt_seg_map'][:3, :3] == 255).all(), 'nobody annotated the corner'
        assert not found['consensus_margin'][:3, :3].any()


@pytest.mark.parametrize('ignored', [254, -1])
@pytest.mark.parametrize('strategy', ['majority', 'staple', 'soft'])
def test_another_id_of_pixels_that_no_rater_annotated(raters, strategy, ignored):
    """Masks of which no pixel says 255, in a type that has the id."""
    stem, usual = LABELED[0], {}
    for number in (255, ignored):
        for name in RATERS:
            path = raters / name / f'{stem}.png'
            mask = mask_of(path).astype(np.int32)
            mask[mask == 255] = number
            mask[:5] = number
            Image.fromarray(
                mask.astype(np.int16 if number < 0 else np.uint8).astype(np.int32)
            ).save(path, format='TIFF')
        usual[number] = loaded(raters, stem, strategy, ignore_index=number)['gt_seg_map']
    assert (usual[255][:5] == 255).all()
    want = np.where(usual[255] == 255, ignored, usual[255].astype(int))
    assert (usual[ignored] == want).all()


def test_random_draws_each_rater_who_has_a_mask(raters):
    drawn = {stem: set() for stem in (LABELED[0], SKIPPED)}
    for stem, names in drawn.items():
        for _ in range(30):
            found = loaded(raters, stem, 'random')
            name = found['seg_map_path'].split('/')[-2]
            names.add(name)
            assert np.array_equal(found['gt_seg_map'], mask_of(raters / name / f'{stem}.png'))
        assert (found['consensus_margin'] == 1).all()
    assert drawn == {LABELED[0]: set(RATERS), SKIPPED: {'anna', 'ben'}}


def test_random_is_that_of_the_draw(raters):
    data = build(rater_semi(raters))
    paths = [data[DrawnImage(0, number, 5)]['data_samples'].seg_map_path for number in range(12)]
    again = [data[DrawnImage(0, number, 5)]['data_samples'].seg_map_path for number in range(12)]
    assert paths == again and len(set(paths)) == 3


def test_consensus_reads_what_the_tool_wrote(raters):
    fuse_in_files(raters)
    data = build(rater_semi(raters, 'consensus', fused='fused'))
    sample = data[0]['data_samples']
    assert sample.consensus_margin.data.unique().tolist() == [pytest.approx(128 / 255)]
    assert sample.seg_map_path.endswith(f'fused/masks/{LABELED[0]}.png')


def test_masks_of_all_raters(raters):
    found = loaded(raters, SKIPPED, 'random', rater_masks=True)
    assert np.array_equal(np.moveaxis(found['rater_masks'], -1, 0), masks_of(raters, SKIPPED))


def test_maps_move_with_the_labels(raters):
    """Where the label is that of the file, so is its margin."""
    data = build(
        rater_semi(
            raters,
            'majority',
            maps=('consensus_margin', 'rater_masks'),
            step=dict(rater_masks=True),
        )
    )
    for number in range(6):
        sample = data[DrawnImage(number % 3, number, 0)]['data_samples']
        masks = sample.rater_masks.data.numpy()
        assert np.array_equal(majority_vote(masks, NUM_CLASSES), sample.gt_sem_seg.data[0].numpy())
        soft = np.sort(soft_labels(masks, NUM_CLASSES), axis=0)
        assert np.allclose(sample.consensus_margin.data[0], soft[-1] - soft[-2])


# ---- checks before a run


def spoiled(root, name, stem, values):
    Image.fromarray(values).save(root / name / f'{stem}.png')


def test_every_mask_of_every_rater_is_checked(raters):
    mask = mask_of(raters / 'cem' / f'{LABELED[0]}.png')
    wrong = mask.copy()
    wrong[5, 5] = 77
    spoiled(raters, 'cem', LABELED[0], wrong)
    with pytest.raises(ValueError, match=f'cem/{LABELED[0]}.png holds ids outside'):
        build(rater_semi(raters))
    spoiled(raters, 'cem', LABELED[0], mask[:-8])
    with pytest.raises(ValueError, match=f'cem/{LABELED[0]}.png is .* high'):
        build(rater_semi(raters, 'majority'))
    with pytest.raises(ValueError, match=f'cem/{LABELED[0]}.png is .* high'):
        check_loader(build(rater_set(raters)), 'train_dataloader.dataset')


@pytest.mark.parametrize('plain', [False, True])
def test_fused_masks_that_are_missing(raters, plain):
    def make(**changes):
        if not plain:
            return build(rater_semi(raters, 'consensus', **changes))
        return check_loader(build(rater_set(raters, 'consensus', **changes)), 'x')

    with pytest.raises(ValueError, match='set MultiRaterDataset.fused to its --out'):
        make()
    with pytest.raises(
        FileNotFoundError, match='fused/masks/.*tools/consensus/fuse_annotations.py'
    ):
        make(fused='fused')
    fuse_in_files(raters)
    make(fused='fused')
    (raters / f'fused/consensus_margin/{LABELED[1]}.png').unlink()
    with pytest.raises(FileNotFoundError, match=f'consensus_margin/{LABELED[1]}.png'):
        make(fused='fused')
    build(rater_semi(raters, 'majority', fused='fused'))  # does not read them


def test_other_margins(raters):
    fuse_in_files(raters)
    path = raters / f'fused/consensus_margin/{LABELED[0]}.png'
    Image.fromarray(mask_of(path)[:-8]).save(path)
    data = build(rater_semi(raters, 'consensus', fused='fused'))
    with pytest.raises(ValueError, match='must be of 8 bit and of the same size'):
        data[0]


@pytest.mark.parametrize(
    'settings, words',
    [
        (dict(strategy='mean'), "strategy='mean' must be one of"),
        (dict(strategy='soft', tie='x'), "tie='x' must be one of"),
        (dict(strategy='random', tie='first'), "tie='first' is unused with strategy='random'"),
    ],
)
def test_wrong_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        TRANSFORMS.build(dict(type='LoadMultiRaterAnnotations', **settings))


def test_one_mask_an_image_is_not_enough():
    step = TRANSFORMS.build(dict(type='LoadMultiRaterAnnotations', strategy='random'))
    with pytest.raises(ValueError, match='use type="MultiRaterDataset"'):
        step(dict(seg_map_path='a.png'))


def test_classes_for_probabilities(raters):
    step = TRANSFORMS.build(dict(type='LoadMultiRaterAnnotations', strategy='soft'))
    with pytest.raises(ValueError, match='set num_classes'):
        step(build(rater_set(raters)).get_data_info(0))


# ---- training


def weighted(loss='PixelCrossEntropyLoss', **settings):
    head = toy_segmentor()['decode_head']
    return toy_segmentor(decode_head=dict(head, loss_decode=dict(type=loss, **settings)))


def run_of(root, work, method, dataset, **changes):
    cfg = toy_config(root, work, model=method, **changes)
    cfg.train_dataloader.dataset = dataset
    runner = Runner.from_cfg(cfg)
    runner.val_loop.run = dict
    runner.train()
    return runner.model


@pytest.mark.parametrize('kind', ['MeanTeacher', 'CrossTeacherTraining'])
def test_a_run_of_a_method(raters, tmp_path, kind):
    method = toy_method(kind, segmentor=weighted(weight_map='consensus_margin'))
    model = run_of(raters, tmp_path / 'w', method, rater_semi(raters, 'majority'))
    assert all(torch.isfinite(weight).all() for weight in model.parameters())


def plain_run(raters, work, strategy, model, maps, **loader):
    """A run of mmseg's own segmentor and sampler on labelled images alone."""
    cfg = toy_config(raters, work, model=toy_method('MeanTeacher'))
    size = dict(model['data_preprocessor'], size=(32, 32))
    cfg.model = dict(model, data_preprocessor=size)
    cfg.default_hooks = {
        k: v for k, v in cfg.default_hooks.items() if k in ('logger', 'checkpoint')
    }
    cfg.optim_wrapper.pop('constructor')
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=2, val_interval=100)
    for key in ('val', 'test'):
        cfg[f'{key}_cfg'] = cfg[f'{key}_dataloader'] = cfg[f'{key}_evaluator'] = None
    data = rater_set(raters, strategy, maps)
    data['pipeline'][2]['crop_size'] = (32, 32)
    cfg.train_dataloader = dict(
        batch_size=2,
        num_workers=0,
        sampler=dict(type='InfiniteSampler', shuffle=True),
        dataset=data,
    )
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


@pytest.mark.parametrize(
    'strategy, loss, maps',
    [
        ('staple', dict(weight_map='consensus_margin'), ('consensus_margin',)),
        ('soft', dict(loss='SoftCrossEntropyLoss'), ('class_probability',)),
    ],
)
def test_a_run_of_plain_mmseg(raters, tmp_path, strategy, loss, maps):
    runner = plain_run(raters, tmp_path / 'w', strategy, weighted(**loss), maps)
    assert runner.iter == 2


def test_the_loader_knows_the_classes(raters, tmp_path):
    """``soft`` needs their number, which mmseg does not pass to a pipeline."""
    runner = plain_run(raters, tmp_path / 'w', 'soft', weighted(), ('class_probability',))
    step = runner.train_dataloader.dataset.pipeline.transforms[1]
    assert step.of_dataset['num_classes'] == NUM_CLASSES
