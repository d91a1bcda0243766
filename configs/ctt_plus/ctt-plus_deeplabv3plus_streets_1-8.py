# CTT-plus on 50 labelled and 350 unlabelled street scenes, from scratch, in minutes on a CPU: the config
# of the quickstart. Its settings: ../_base_/methods/ctt_plus.py.
#
# Results, time and memory: README.md of this folder.
# python tools/dataset_converters/make_streets.py
# python tools/train.py configs/ctt_plus/ctt-plus_deeplabv3plus_streets_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r18-small.py',
    '../_base_/datasets/streets.py',
    '../_base_/schedules/adamw_poly_scratch.py',
    '../_base_/default_runtime.py',
]
method = 'ctt-plus'
