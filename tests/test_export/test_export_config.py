# Copyright (c) mmseg_ctt contributors.
import copy
import re
import uuid
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from toy_data import LABELED, SPLIT, toy_config, toy_set, write_image, write_toy_data
from toy_run import make_run, small_ctt, small_segmentor

import mmseg_ctt.deploy.export.stock_types as types
from mmseg_ctt.deploy.export import export_member, segmentor_config, stock_config
from mmseg_ctt.deploy.export.export import stock_model
from mmseg_ctt.engine import prepare_config

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
THIN = re.compile(r"^_base_ = \['\./", re.MULTILINE)  # differs from its neighbour in the split
# Models and data of all other methods are those of these two.
NAMES = sorted(
    str(path.relative_to(CONFIGS))
    for method in ('supervised', 'ctt')
    for path in (CONFIGS / method).glob('*.py')
    if not THIN.search(path.read_text())
)
META = dict(classes=('x', 'y', 'z'), palette=[[0, 0, 0], [9, 9, 9], [5, 5, 5]])


def converted(cfg, meta=META):
    notes = []
    model, _ = stock_model(
        segmentor_config(cfg.model, 'student0', cfg.get('data_preprocessor')), {}
    )
    return stock_config(cfg, model, meta, notes), notes


@pytest.mark.parametrize('name', NAMES)
def test_every_model_and_data_set(name):
    cfg = Config.fromfile(CONFIGS / name)
    head = cfg.model.get('segmentor', cfg.model).decode_head.type
    if head in types.own_types():
        with pytest.raises(ValueError, match=rf"model.decode_head.type='{head}' exists only in"):
            converted(cfg)
        return
    plain, notes = converted(cfg)
    assert not list(types.find_own(plain))
    assert 'mmseg_ctt' not in plain.pretty_text
    assert plain.model.type == 'EncoderDecoder'
    assert {'test_pipeline', 'tta_pipeline'} < set(plain)
    given = sources(cfg)
    chosen = [part for part, source in given.items() if source.get('background')]
    assert [part for part in given if part not in plain] == chosen
    notes = [note for note in notes if not (chosen and note.startswith('without '))]
    for part in set(given) - set(chosen):
        assert plain[part].dataset.data_prefix == sources(cfg)[part].data_prefix
        assert plain[part].dataset.data_root == sources(cfg)[part].data_root
    volumes = sources(cfg)['train_dataloader'].type == 'VolumeSliceDataset'
    words = 'stock mmseg reads no volumes' if volumes else 'img_suffix'
    assert not [note for note in notes if words not in note]
    assert notes or not volumes
    assert 'Pretrained' not in plain.pretty_text and 'checkpoint=' not in str(plain.model)


def sources(cfg):
    return dict(
        test_dataloader=cfg.test_dataloader.dataset,
        val_dataloader=cfg.val_dataloader.dataset,
        train_dataloader=cfg.train_dataloader.dataset.labeled,
    )


def test_training_part_trains(tmp_path):
    """Supervised training on the labelled half, from the exported file alone."""
    cfg = toy_config(
        write_toy_data(tmp_path / 'data'),
        tmp_path / 'work',
        model=small_ctt(),
        custom_imports=dict(imports=['mmseg_ctt']),
    )
    cfg.default_hooks.checkpoint.save_best = 'teacher0/mIoU'
    plain, notes = converted(cfg, {})
    assert not notes and 'custom_imports' not in plain
    assert plain.default_hooks.checkpoint.save_best == 'mIoU'
    assert plain.train_dataloader.batch_size == 2  # of 4, half without labels
    assert plain.train_dataloader.dataset.ann_file == f'{SPLIT}/labeled.txt'
    plain.dump(tmp_path / 'plain.py')
    again = Config.fromfile(tmp_path / 'plain.py')
    assert again.to_dict() == plain.to_dict()
    again.update(work_dir=str(tmp_path / 'tuned'), experiment_name=uuid.uuid4().hex)
    runner = Runner.from_cfg(again)
    runner.train()
    dataset = runner.train_dataloader.dataset
    assert [Path(dataset.get_data_info(i)['img_path']).stem for i in range(len(dataset))] == list(
        LABELED
    )
    assert runner.iter == 2


def test_bfloat16_which_stock_mmengine_has_on_a_gpu_alone(tmp_path):
    cfg = toy_config(write_toy_data(tmp_path / 'data'), tmp_path / 'work', model=small_ctt())
    cfg.optim_wrapper.type = 'BFloat16OptimWrapper'
    plain, notes = converted(cfg, {})
    assert plain.optim_wrapper.type == 'OptimWrapper'
    assert any('trains in float32' in note for note in notes)


def test_loading_steps_of_a_prepared_run_are_those_of_mmseg(tmp_path):
    cfg = toy_config(write_toy_data(tmp_path / 'data'), tmp_path / 'work', model=small_ctt())
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline  # nested
    cfg = prepare_config(cfg)
    assert 'CheckedLoadAnnotations' in cfg.pretty_text
    plain, _ = converted(cfg, {})
    assert 'Checked' not in plain.pretty_text and 'CheckSegMap' not in plain.pretty_text
    assert not list(types.find_own(plain))
    load = dict(type='LoadAnnotations')
    assert plain.train_dataloader.dataset.pipeline[1] == load
    assert plain.val_dataloader.dataset.pipeline[1] == load
    assert [load] in plain.test_dataloader.dataset.pipeline[1].transforms


@pytest.mark.parametrize('part', ['val', 'test'])
def test_a_data_set_with_classes_in_another_order_is_left_out(tmp_path, part):
    """Stock mmseg would score against other ids; the model predicts as ever."""
    root = write_toy_data(tmp_path / 'data')
    cfg = toy_config(root, tmp_path / 'work', model=small_ctt())
    classes = list(cfg.val_dataloader.dataset.metainfo.classes)
    given = cfg[f'{part}_dataloader'].dataset = copy.deepcopy(cfg.val_dataloader.dataset)
    given.known_classes = classes[::-1]
    plain, notes = converted(cfg, {})
    (note,) = [note for note in notes if note.startswith(f'without {part}_dataloader, so that')]
    assert 'metainfo.classes chooses or orders the classes of FolderSegDataset' in note
    left = {f'{part}_{name}' for name in ('dataloader', 'evaluator', 'cfg')}
    assert not left & set(plain) and {'train_dataloader', 'test_pipeline'} < set(plain)
    assert not list(types.find_own(plain)) and plain.test_pipeline[0].type == 'LoadImageFromFile'
    other = dict(val='test', test='val')[part]
    assert plain[f'{other}_dataloader'].dataset.metainfo.classes == tuple(classes)


def test_batch_of_the_labelled_images_of_three_sources(tmp_path):
    cfg = toy_config(write_toy_data(tmp_path / 'data'), tmp_path / 'work', model=small_ctt())
    loader = cfg.train_dataloader
    loader.dataset.tagged = toy_set(tmp_path / 'data', False)
    loader.update(batch_size=12, sampler=dict(ratio=dict(tagged=3, labeled=2, unlabeled=1)))
    plain, _ = converted(cfg, {})
    assert plain.train_dataloader.batch_size == 4
    loader.dataset.labeled = None
    loader.sampler.ratio = dict(unlabeled=1)
    plain, notes = converted(cfg, {})
    assert 'train_dataloader' not in plain and 'train_dataloader.dataset.labeled' in notes[0]


def test_preprocessor_can_pad():
    """mmseg's benchmark.py and its training need a size or a divisor."""
    model, _ = stock_model(small_segmentor(), {})
    assert model['data_preprocessor']['size_divisor'] == 1
    sized = small_segmentor()
    sized['data_preprocessor']['size'] = (32, 32)
    assert 'size_divisor' not in stock_model(sized, {})[0]['data_preprocessor']


def test_loss_keeps_its_settings():
    segmentor = small_segmentor()
    segmentor['decode_head']['loss_decode'] = [
        dict(type='PixelCrossEntropyLoss', loss_weight=0.4, loss_name='loss_a'),
        dict(type='DiceLoss'),
    ]
    model, _ = stock_model(segmentor, {})
    assert model['decode_head']['loss_decode'] == [
        dict(
            type='CrossEntropyLoss',
            loss_weight=0.4,
            loss_name='loss_a',
            use_sigmoid=False,
            avg_non_ignore=True,
        ),
        dict(type='DiceLoss'),
    ]


def test_other_imports_stay(tmp_path):
    run = make_run(
        tmp_path, custom_imports=dict(imports=['mmseg_ctt', 'toy'], allow_failed_imports=False)
    )
    plain, _ = converted(run.cfg)
    assert plain.custom_imports == dict(imports=['toy'], allow_failed_imports=False)


def test_baseline_run_has_no_member(tmp_path):
    run = make_run(tmp_path, model=small_segmentor())
    export = export_member(run.cfg, dict(state_dict=run.state_dict))
    assert export.member is None and 'member' not in export.checkpoint['meta']
    assert export.checkpoint['state_dict'].keys() == run.state_dict.keys()


def test_folder_of_mixed_images_is_noted(tmp_path):
    root = write_toy_data(tmp_path)
    write_image(root / 'img' / 'extra.png', 9)
    cfg = toy_config(root, tmp_path / 'work', model=small_ctt())
    cfg.test_dataloader = dict(
        batch_size=1,
        num_workers=0,
        dataset=toy_set(root, True),
        sampler=dict(type='DefaultSampler', shuffle=False),
    )
    plain, notes = converted(cfg)
    assert plain.test_dataloader.dataset.img_suffix == '.jpg'
    assert len(notes) == 1 and 'test_dataloader' in notes[0]
    assert '6 .jpg' in notes[0] and '1 .png' in notes[0]


def test_masks_in_upper_case_and_names_with_suffix(tmp_path):
    root = write_toy_data(tmp_path)
    for path in (root / 'ann').iterdir():
        path.rename(path.with_suffix('.PNG'))
    cfg = toy_config(root, tmp_path / 'work', model=small_ctt())
    plain, notes = converted(cfg)
    assert plain.test_dataloader.dataset.seg_map_suffix == '.PNG' and not notes
    (root / 'ann' / 'l0.PNG').rename(root / 'ann' / 'l0.png')
    (root / SPLIT / 'labeled.txt').write_text('l0.jpg\nl1.jpg\nl2.jpg\n')
    plain, notes = converted(cfg)
    assert any('2 .PNG' in note and '1 .png' in note for note in notes)
    assert any('labeled.txt names files with their suffix' in note for note in notes)


def test_a_data_set_of_chosen_classes_is_left_out(tmp_path):
    cfg = toy_config(write_toy_data(tmp_path), tmp_path / 'work', model=small_ctt())
    cfg.test_dataloader.dataset = dict(
        type='StreetsDataset', data_root=str(tmp_path), metainfo=dict(classes=('road', 'car'))
    )
    plain, notes = converted(cfg)
    assert 'test_dataloader' not in plain and 'val_dataloader' in plain
    assert any('test_dataloader.dataset.metainfo.classes chooses' in note for note in notes)


def test_semi_supervised_set_is_no_test_set(tmp_path):
    cfg = toy_config(write_toy_data(tmp_path), tmp_path / 'work', model=small_ctt())
    cfg.test_dataloader.dataset = cfg.train_dataloader.dataset
    with pytest.raises(ValueError, match='test_dataloader.dataset.type'):
        converted(cfg)


def test_foreign_part_of_training_is_left_out(tmp_path):
    cfg = toy_config(write_toy_data(tmp_path), tmp_path / 'work', model=small_ctt())
    cfg.train_dataloader.dataset.labeled.pipeline.append(dict(type='LabeledUnlabeledDataset'))
    plain, notes = converted(cfg)
    assert 'train_dataloader' not in plain and 'test_dataloader' in plain
    assert len(notes) == 1 and 'without the training part' in notes[0]


def test_images_with_tags_alone_are_no_training_set(tmp_path):
    """Any network that learnt from tags, and that stock mmseg has."""
    root = write_toy_data(tmp_path)
    cfg = toy_config(root, tmp_path / 'work', model=small_ctt())
    tags = dict(type='TaggedImageDataset', tags='tags.json')
    dataset = cfg.train_dataloader.dataset
    dataset.labeled = dataset.unlabeled = None
    dataset.tagged = toy_set(root, False, **tags)
    cfg.train_dataloader.sampler.ratio = dict(tagged=1)
    plain, notes = converted(cfg)
    assert 'train_dataloader' not in plain and 'test_dataloader' in plain
    assert 'dataset.labeled is missing, and stock mmseg learns from masks' in notes[0]
