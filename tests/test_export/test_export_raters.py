# Copyright (c) mmseg_ctt contributors.
"""A run on the masks of several raters as a config of stock mmseg."""

from mmengine.config import Config
from test_export_config import CONFIGS, META, converted

import mmseg_ctt.deploy.export.stock_types as types

CONSENSUS = CONFIGS / 'consensus' / 'consensus_deeplabv3plus_mobilenetv2_drive.py'


def test_masks_of_the_first_rater():
    cfg = Config.fromfile(CONSENSUS)
    plain, notes = converted(cfg, META)
    text = plain.pretty_text.replace(str(CONFIGS.parent), '')  # a clone may have that name
    assert not list(types.find_own(plain)) and 'mmseg_ctt' not in text
    loss = plain.model.decode_head.loss_decode
    assert loss.type == 'CrossEntropyLoss' and 'weight_map' not in loss
    for part in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        dataset = plain[part].dataset
        assert dataset.type == 'BaseSegDataset' and not {'raters', 'fused'} & set(dataset)
        assert dataset.data_prefix == dict(img_path='img_dir/val', seg_map_path='ann_dir/val')
        kinds = [step.type for step in dataset.pipeline]
        assert kinds[1] == 'LoadAnnotations' and kinds[-1] == 'PackSegInputs'
        assert dataset.pipeline[1] == dict(type='LoadAnnotations')
        said = [note for note in notes if note.startswith(f'{part}.dataset')]
        assert any('those of the first rater, ann_dir/val' in note for note in said), part
    assert plain.val_evaluator.type == 'IoUMetric'


def test_soft_labels():
    cfg = Config.fromfile(CONSENSUS)
    soft = dict(type='SoftCrossEntropyLoss', probability_map='p', weight_map='w', loss_weight=0.5)
    cfg.model.decode_head.loss_decode = soft
    loss = converted(cfg, META)[0].model.decode_head.loss_decode
    assert loss.to_dict() == dict(
        type='CrossEntropyLoss', use_sigmoid=False, avg_non_ignore=True, loss_weight=0.5
    )
