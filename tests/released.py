# Copyright (c) mmseg_ctt contributors.
"""What the released code of each method sets on Pascal VOC and Cityscapes, written from that code.

:data:`RELEASED` has the values, :data:`DIFFERENT` what our configs do otherwise on purpose.
"""

from typing import Any, Dict, List, NamedTuple

VOC, CITY = 'voc_1-8', 'cityscapes_1-8'


class Released(NamedTuple):
    """Values of one config, by dotted key; a key of ``network`` is one of the segmentor."""

    name: str
    source: str
    values: Dict[str, Any]


WHOLE, MULTI_GRID = (1, 12, 24, 36), (4, 8, 16)  # 4 times the grid of 1, 2 and 4
CITY_MEAN = [73.15835921, 82.90891754, 72.39239876]  # blue, green, red
OWN_STATISTICS = {'default_hooks.teacher_ema.buffers': False}
NO_DECAY = {
    'optim_wrapper.paramwise_cfg.norm_decay_mult': 0.0,
    'optim_wrapper.paramwise_cfg.bias_decay_mult': 0.0,
}
LAST_STAGE = {'network.backbone.multi_grid': MULTI_GRID}
ALIGNED = {'network.decode_head.align_corners': True}


def rate(lr: float, decay: float, decoder: float = 1.0) -> Dict[str, Any]:
    key = 'optim_wrapper.paramwise_cfg.custom_keys.decode_head.lr_mult'
    return {
        'optim_wrapper.optimizer.lr': lr,
        'optim_wrapper.optimizer.weight_decay': decay,
        **({key: decoder} if decoder != 1 else {}),
    }


AEL = {
    'model.joint_forward': False,  # train.py: a pass for each of the four batches
    'model.strong_augmentation': [],
    # 0.01 and 1e-4; losses are divided by 8 GPUs twice, config.yaml and train.sh
    **rate(0.01 / 8, 1e-4 * 8, decoder=10.0),
    **{**OWN_STATISTICS, **LAST_STAGE, **ALIGNED},
}
U2PL = {
    'model.joint_forward': True,  # train_semi.py: student and teacher take both batches in one
    'model.bank.size': 30000,
    **{**OWN_STATISTICS, **LAST_STAGE, **ALIGNED},
}
STPG = {'model.joint_forward': False, **NO_DECAY, **OWN_STATISTICS, **ALIGNED}
CTT = {'model.joint_forward': False, **OWN_STATISTICS, **ALIGNED}
GUIDEDMIX = {
    'model.mode': 'released',
    **rate(0.01, 5e-4),
    'param_scheduler.0.eta_min': 1e-4,
    'network.decode_head.align_corners': False,
}
CREST = {'default_hooks.teacher_ema.alpha': 0.999, **OWN_STATISTICS}
CPS = {'model.joint_forward': False, **NO_DECAY, **ALIGNED}
AVERAGING = {'model.teacher_mode': 'eval', **ALIGNED}  # weights and batch-norm statistics
CAC = {'model.joint_forward': False, 'model.contrast.pool': 2, **ALIGNED}
RECO = {
    'model.joint_forward': False,
    'optim_wrapper.optimizer.nesterov': True,
    **rate(0.0025, 5e-4),
    **{**OWN_STATISTICS, **ALIGNED},
}
BACKBONE_TENTH = {'optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult': 0.1}
VAT = {'optim_wrapper.optimizer.lr': 3e-5, 'network.backbone.norm_eval': True}
CCT = {'model.joint_forward': False, 'model.decoders': 'published', **rate(0.01, 1e-4)}
PS_MT = {'model.joint_forward': False, 'default_hooks.teacher_ema.alpha': 0.996, **ALIGNED}
RELEASED: List[Released] = [
    Released(
        f'cac/cac_deeplabv3plus_{VOC}.py',
        'dvlab-research/Context-Aware-Consistency: configs/voc_cac_..._resnet101_1over8',
        {**CAC, **rate(0.001, 1e-4, decoder=10.0)},
    ),
    Released(
        f'cac/cac_deeplabv3plus_{CITY}.py',
        'dvlab-research/Context-Aware-Consistency: configs/city_cac_..._resnet50_1over8',
        {**CAC, **rate(0.01, 1e-4, decoder=10.0)},
    ),
    Released(f'reco/reco_deeplabv3plus_{VOC}.py', 'lorenmt/reco: train_semisup.py', RECO),
    Released(f'reco/reco_deeplabv3plus_{CITY}.py', 'lorenmt/reco: train_semisup.py', RECO),
    Released(
        f'cct/cct_deeplabv3plus_{VOC}.py',
        'yassouali/CCT: configs/config.json, trainer of diff_lrs',
        {**CCT, **BACKBONE_TENTH},
    ),
    Released(
        f'cct/cct_deeplabv3plus_{CITY}.py', 'yassouali/CCT has VOC alone', {**CCT, **BACKBONE_TENTH}
    ),
    Released(
        f'ps_mt/ps_mt_deeplabv3plus_{VOC}.py',
        'yyliu01/PS-MT: scripts/train_voc_aug.sh, VocCode/main.py; 0.0025 for 8 images',
        {**PS_MT, **rate(0.0031, 1e-4), 'model.period': 926},
    ),
    Released(
        f'ps_mt/ps_mt_deeplabv3plus_{CITY}.py',
        'yyliu01/PS-MT: scripts/train_city.sh, CityCode/configs',
        {
            **PS_MT,
            **rate(0.0045, 1e-4),
            'model.loss_weights.unsup': 3.0,
            'sizes.ratio_range': (0.5, 2.0),
        },
    ),
    Released(
        f'vat/vat_deeplabv2_{VOC}.py',
        'Britefury/cutmix-semisup-seg: run_pascal_aug_experiments.sh',
        VAT,
    ),
    Released(
        f'vat/vat_deeplabv2_{CITY}.py',
        'Britefury/cutmix-semisup-seg: run_cityscapes_experiments.sh, without VAT',
        VAT,
    ),
    Released(
        f'augseg/augseg_deeplabv3plus_{VOC}.py',
        'ZhenZHAO/AugSeg: train_semi.py, exps/zrun_vocs_u2pl/voc_semi662',
        {
            **AVERAGING,
            **rate(0.001, 1e-4, decoder=10.0),
            'model.mode': 'released',
            'default_hooks.teacher_ema.alpha': 0.999,
        },
    ),
    Released(
        f'augseg/augseg_deeplabv3plus_{CITY}.py',
        'ZhenZHAO/AugSeg: train_semi.py, exps/zrun_citys/citys_semi744',
        {
            **AVERAGING,
            **rate(0.01, 5e-4),
            'model.mode': 'released',
            'model.consistency.confidence_threshold': 0.0,  # -0.7
            'sizes.ratio_range': (0.5, 2.0),
            'default_hooks.teacher_ema.alpha': 0.996,
        },
    ),
    Released(
        f'imas/imas_deeplabv3plus_{VOC}.py',
        'ZhenZHAO/iMAS: train_semi.py, training-imas-logs/logs-semi/voc-r101/1323',
        {
            **AVERAGING,
            **rate(0.001, 1e-4, decoder=10.0),
            'model.consistency.confidence_threshold': 0.8,
            'model.cut_mix.lowest_centre': 1 / 16,
            'default_hooks.teacher_ema.alpha': 0.996,
        },
    ),
    Released(
        f'imas/imas_deeplabv3plus_{CITY}.py',
        'ZhenZHAO/iMAS: train_semi.py, exps/citys_semi372',
        {
            **AVERAGING,
            **rate(0.01, 5e-4),
            'model.loss_weights.unsup': 3.0,
            'model.consistency.confidence_threshold': 0.7,
            'model.cut_mix.lowest_centre': 1 / 16,
            'sizes.ratio_range': (0.5, 2.0),
            'default_hooks.teacher_ema.alpha': 0.996,
        },
    ),
    Released(
        f'ael/ael_deeplabv3plus_{VOC}.py',
        'hzhupku/SemiSeg-AEL: train.py, experiments/pascal_4',
        {
            **AEL,
            'model.consistency.confidence_threshold': 0.7,
            'model.copy_paste.number': 1,
            'model.cut_mix.object_area': 0.03,
            'model.cut_mix.class_area': 0.03,
            'network.decode_head.dilations': WHOLE,
        },
    ),
    Released(
        f'ael/ael_deeplabv3plus_{CITY}.py',
        'hzhupku/SemiSeg-AEL: train.py, experiments/cityscapes_2',
        {
            **AEL,
            'sizes.ratio_range': (0.5, 2.0),
            'model.consistency.confidence_threshold': 0.0,
            'model.class_confidence.start': 'random',
            'model.class_confidence.skip_absent': False,
        },
    ),
    Released(
        f'u2pl/u2pl_deeplabv3plus_{VOC}.py',
        'Haochen-Wang409/U2PL: train_semi.py, experiments/pascal/1464/ours',
        {
            **U2PL,
            **rate(0.001, 1e-4, decoder=10.0),
            'model.warmup': 1 / 80,
            'model.loss_weights.contrast': 1 / 4,  # 4 GPUs
            'network.decode_head.dilations': WHOLE,
        },
    ),
    Released(
        f'u2pl/u2pl_deeplabv3plus_{CITY}.py',
        'Haochen-Wang409/U2PL: train_semi.py, experiments/cityscapes/744/ours',
        {
            **U2PL,
            **rate(0.01, 5e-4),
            'sizes.ratio_range': (0.5, 2.0),
            'model.loss_weights.contrast': 1 / 8,  # 8 GPUs
        },
    ),
    Released(
        f'stpg/stpg_deeplabv3plus_{VOC}.py',
        'Amos1109/STPG: exp_voc/train_contra.py, config.py, feature_memory.py',
        {
            **STPG,
            **rate(0.005, 1e-4),
            # epoch > 10, counted from 0, of 9,259 images in batches of 10
            'default_hooks.queue_warmup.start_iter': 11 * 926,
            'default_hooks.queue_warmup.when_full': False,
            'default_hooks.anchor_assignment.stop_iter': 20 * 926,  # epoch < 20
        },
    ),
    Released(
        f'stpg/stpg_deeplabv3plus_{CITY}.py',
        'Amos1109/STPG: exp_city/train_contra.py, config.py',
        {
            **STPG,
            **rate(0.01, 1e-4),
            'sizes.ratio_range': (0.5, 2.0),
            'default_hooks.queue_warmup.start_iter': 11 * 1301,  # 2,603 images in batches of 2
            'default_hooks.queue_warmup.when_full': False,
        },
    ),
    Released(
        f'guidedmix/guidedmix_deeplabv3plus_{VOC}.py',
        'yh-pengtu/GuidedMix-Net: configs/3sseg/guidedmix_deeplabv3plus_res101_1323.py',
        {**GUIDEDMIX, 'network.decode_head.dilations': WHOLE},
    ),
    Released(
        f'guidedmix/guidedmix_deeplabv3plus_{CITY}.py',
        'yh-pengtu/GuidedMix-Net: configs/3sseg/..._res101_cityscapes_372_40k.py',
        {**GUIDEDMIX, 'model.ratio_limit': 0.4, 'sizes.ratio_range': (0.5, 2.0)},
    ),
    Released(f'crest/crest_deeplabv3plus_{VOC}.py', 'google-research/crest: fixmatch.py', CREST),
    Released(f'crest/crest_deeplabv2_{CITY}.py', 'google-research/crest: fixmatch.py', CREST),
    Released(
        f'ctt/ctt_deeplabv2_{CITY}.py',
        '1181110317/SSL_CTT: cross_teacher_contr.py, data/cityscapes_loader.py',
        {**CTT, **rate(2.5e-4, 5e-4, 10.0), 'network.data_preprocessor.mean': CITY_MEAN},
    ),
    Released(
        f'ctt/ctt_deeplabv2_{VOC}.py',
        '1181110317/SSL_CTT: cross_teacher_contr.py',
        {
            **CTT,
            **rate(2.5e-4, 5e-4, 10.0),
            'network.data_preprocessor.mean': [104.00698793, 116.66876762, 122.67891434],
        },
    ),
    Released(
        f'ctt/ctt_deeplabv3plus_{VOC}.py',
        '1181110317/SSL_CTT: cross_teacher_deeplabv3+.py, utils/init_func.py',
        {**CTT, **NO_DECAY, **rate(2.5e-4, 5e-4)},
    ),
    Released(
        f'classmix/classmix_deeplabv2_{CITY}.py',
        'WilhelmT/ClassMix: trainSSL.py',
        {
            'model.joint_forward': False,
            'network.data_preprocessor.mean': CITY_MEAN,
            **{**rate(2.5e-4, 5e-4, 10.0), **OWN_STATISTICS, **ALIGNED},
        },
    ),
    Released(
        f'cps/cps_deeplabv3plus_{VOC}.py',
        'charlesCXK/TorchSemiSeg: exp.voc/voc8.res50v3+.CPS+CutMix',
        {**CPS, **rate(0.005, 1e-4)},
    ),
    Released(
        f'cps/cps_deeplabv3plus_{CITY}.py',
        'charlesCXK/TorchSemiSeg: exp.city/city8.res50v3+.CPS+CutMix',
        {
            **CPS,
            **rate(0.04 * 2 / 16, 1e-4),
            'model.loss_weights.cps': 5.0,
            'sizes.ratio_range': (0.5, 2.0),
        },
    ),
    Released(
        f'mean_teacher/mean_teacher_deeplabv3plus_{VOC}.py',
        'charlesCXK/TorchSemiSeg: exp.voc/voc8.res50v3+.MeanTeacher',
        {**{**CPS, **rate(0.005, 1e-4), **OWN_STATISTICS}, 'model.loss_weights.consistency': 100.0},
    ),
    Released(
        f'fixmatch/fixmatch_deeplabv3plus_{CITY}.py',
        'LiheYoung/UniMatch: configs/cityscapes.yaml, dataset/transform.py',
        {
            **{**rate(0.005, 1e-4), **ALIGNED},
            'model.consistency.confidence_threshold': 0.0,
            'sizes.ratio_range': (0.5, 2.0),
        },
    ),
]
# what differs from the released code, in words of the header; by config
SIZE = r'instead of 51[23]'
DIFFERENT: Dict[str, List[str]] = {
    f'cac/cac_deeplabv3plus_{VOC}.py': ['320x320 from images', 'stride 8 .the code: 16', '92,560'],
    f'cac/cac_deeplabv3plus_{CITY}.py': ['720x720 from images', 'stride 8 .the code: 16', '92,560'],
    f'reco/reco_deeplabv3plus_{VOC}.py': [
        'to 1.5',
        'stride 8 .the code: 16',
        'pooled',
        'the split',
    ],
    f'reco/reco_deeplabv3plus_{CITY}.py': ['512x512, not resized', 'pooled', 'the split'],
    f'ael/ael_deeplabv3plus_{VOC}.py': ['eighth of the rate', 'release: to 2.0', SIZE],
    f'ael/ael_deeplabv3plus_{CITY}.py': ['eighth of the rate', 'dilations are halved', 'halved'],
    f'u2pl/u2pl_deeplabv3plus_{VOC}.py': ['release: to 2.0', SIZE, 'release: 4 and 4'],
    f'u2pl/u2pl_deeplabv3plus_{CITY}.py': ['dilations are halved', 'mines hard pixels'],
    f'stpg/stpg_deeplabv3plus_{VOC}.py': ['fills from the start', 'stride 8 .release: 16', SIZE],
    f'stpg/stpg_deeplabv3plus_{CITY}.py': ['fills from the start', 'stride 8 .release: 16'],
    f'guidedmix/guidedmix_deeplabv3plus_{VOC}.py': ['release: 40,000', '4 and 4', '75 %', SIZE],
    f'guidedmix/guidedmix_deeplabv3plus_{CITY}.py': ['40,000', 'dilations are halved', '75 %'],
    f'crest/crest_deeplabv3plus_{VOC}.py': ['without the labelled ones'],
    f'crest/crest_deeplabv2_{CITY}.py': ['without the labelled ones'],
    'crest/crest_deeplabv3plus_streets_1-8.py': ['without the labelled ones', '0.999, too slow'],
    f'ctt/ctt_deeplabv3plus_{VOC}.py': ['dilated by 2, 4 and 8'],
    f'cct/cct_deeplabv3plus_{VOC}.py': ['pyramid pooling', 'connected objects'],
    f'ps_mt/ps_mt_deeplabv3plus_{VOC}.py': ['stride 8 .the code: 16', 'to 2.0'],
    f'ps_mt/ps_mt_deeplabv3plus_{CITY}.py': ['hard pixels', '800x800'],
    f'augseg/augseg_deeplabv3plus_{VOC}.py': ['stride 8 .16', 'to 2.0', 'once a step'],
    f'augseg/augseg_deeplabv3plus_{CITY}.py': ['mines hard pixels', '800x800'],
    f'imas/imas_deeplabv3plus_{VOC}.py': ['no weak images', 'to 2.0', 'once a step'],
    f'imas/imas_deeplabv3plus_{CITY}.py': [
        'mines hard pixels',
        'class 0',
        'ResNet-101 .the code: 50',
    ],
    f'cps/cps_deeplabv3plus_{VOC}.py': ['dilated by 2, 4 and 8', 'to 2.0'],
}
