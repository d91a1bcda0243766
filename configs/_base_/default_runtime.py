# Runtime of every config: imports, hooks by name, evaluation, logging.
#
# A hook of `default_hooks` is changed or switched off by its name, also on the command line:
#   --cfg-options default_hooks.checkpoint.interval=4000 default_hooks.guards=None
# Methods add teacher_ema, queue_warmup, anchor_assignment, alignment and pseudo_labels.
# `custom_hooks` is yours: no config of this package sets it.
#
# `sizes` are variables that networks and pipelines follow wherever they have been inherited from. A
# config of a few lines sets those it changes, and so does the command line:
#   sizes = dict(scale=(640, 480), crop_size=(384, 512), num_classes=5, max_iters=4000)
#   --cfg-options sizes.crop_size="(384,512)"
# They are applied when a runner is built, by any tool (mmseg_ctt/engine/config.py), as is
# `image_loading` and, for volumes, `volume_slices`.
#
# `method` and `segmentor_from` are variables, too; `method=stpg` changes the method of any config:
#   method: configs/_base_/methods/<name>.py, what the method brings; the config's settings lie over it
#   segmentor_from: network and optimiser of another config, such as
#     'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py'
# They are applied when a config is read, and are None from then on.
#
# `custom_imports` is a list and lists are not merged: extend it here or repeat 'mmseg_ctt' in a
# config that sets its own.
custom_imports = dict(imports=['mmseg_ctt'], allow_failed_imports=False)
default_scope = 'mmseg'
randomness = dict(seed=0)
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
load_from = None
resume = False

method = None  # as `model` says
segmentor_from = None
sizes = dict(
    scale=None,  # (width, height) that images are resized to: `scale` of Resize and RandomResize
    ratio_range=None,  # (smallest, largest) factor of `scale`: `ratio_range` of RandomResize
    crop_size=None,  # (height, width): `crop_size` of RandomCrop, `size` of the data preprocessor
    num_classes=None,  # `num_classes` of every head
    max_iters=None,  # `max_iters` of train_cfg, and the end of the learning rate's schedule
)  # None: as networks and pipelines say
image_loading = dict(
    color_type=None,  # 'color', 'grayscale' or 'unchanged': `color_type` of every loading step
    value_range=None,  # (black, white) of images that are not of 8 bit, such as (0, 4095)
)  # None: as pipelines say
volume_slices = dict(
    plane=None,  # 'x', 'y' or 'z': axis of the file along which slices are counted
    context=None,  # 1, or 3 neighbouring slices as channels
    window=None,  # (low, high): values that become 0 and 255
    percentiles=None,  # (low, high): percentiles of each volume that become 0 and 255
)  # None: as data sets say

default_hooks = dict(
    runtime_info=dict(type='LogValuesHook'),
    timer=dict(type='DataTimerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='SafeCheckpointHook', interval='validation', max_keep_ckpts=2),
    guards=dict(type='GuardHook'),
    preemption=dict(type='PreemptionHook'),
    visualization=dict(type='SegVisualizationHook'),
    live=dict(type='LiveLineHook'),  # in a terminal alone
)
log_level = 'INFO'
log_processor = dict(type='RunLogProcessor', by_epoch=False)
visualizer = dict(
    type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer'
)

val_cfg = dict(type='MemberValLoop')
test_cfg = dict(type='MemberTestLoop')
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
tta_model = dict(type='SegTTAModel')
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='Resize', scale_factor=ratio, keep_ratio=True)
                for ratio in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
            ],
            [dict(type='RandomFlip', prob=prob, direction='horizontal') for prob in (0.0, 1.0)],
            [dict(type='LoadAnnotations')],
            [dict(type='PackSegInputs')],
        ],
    ),
]
