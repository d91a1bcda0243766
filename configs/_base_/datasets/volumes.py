# Your own volumes: VOLUMES_ROOT (default data/volumes) with images/ and labels/ (NIfTI, .npy, .npz or
# .h5 files of equal names), meta.json ({"classes": ["background", "liver", ...]}) and lists of volumes
# in splits/mine: labeled.txt, unlabeled.txt, val.txt, test.txt (patient_lists.py make). Unlabelled
# volumes need no label. Every fourth slice of val.txt is validated.
#
# Sizes, augmentation and batch are those of la3d.py: set `sizes.scale` to the width and height of your
# slices, and `volume_slices` of ../default_runtime.py to plane, context and window.
_base_ = ['./la3d.py']
root = dict(data_root='{{$VOLUMES_ROOT:data/volumes}}')
train_dataloader = dict(dataset=dict(split='splits/mine', labeled=root, unlabeled=root))
val_dataloader = dict(dataset=dict(root, ann_file='splits/mine/val.txt'))
test_dataloader = dict(dataset=dict(root, ann_file='splits/mine/test.txt'))
del root
