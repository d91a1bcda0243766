# CTT on CamVid, the labels of one drive, 0006R0, with the locally adaptive learning loss for the
# cross-entropy of the labels; see the camvid_1-8 configs of this folder and of ../ctt. The losses of
# unlabelled images stay those of CTT.
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/lal/lal-ctt_deeplabv3plus_mobilenetv2_camvid_seq-0006R0.py
_base_ = ['./lal_deeplabv3plus_mobilenetv2_camvid_1-8.py']
method = 'ctt'
train_dataloader = dict(dataset=dict(split='splits/seq_0006R0'))
default_hooks = dict(
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500,
    )
)
