# Your own images: FOLDER_ROOT (default data/folder) with images/, masks/ (PNG of class ids, 255 is
# ignored), meta.json ({"classes": ["road", ...]}) and lists of stems in splits/mine: labeled.txt,
# unlabeled.txt, val.txt (make_split.py masks). Unlabelled images need no mask. For an unlabelled set
# in a folder of its own set split=None and give each set its own data_prefix and ann_file.
#
# Sizes, augmentation and batch are those of camvid.py.
_base_ = ['./camvid.py']
images = dict(
    type='FolderSegDataset',
    data_root='{{$FOLDER_ROOT:data/folder}}',
    data_prefix=dict(img_path='images'),
)
masked = dict(images, data_prefix=dict(img_path='images', seg_map_path='masks'))
train_dataloader = dict(dataset=dict(split='splits/mine', labeled=masked, unlabeled=images))
val_dataloader = dict(dataset=dict(masked, ann_file='splits/mine/val.txt'))
test_dataloader = dict(dataset=dict(masked, ann_file='splits/mine/val.txt'))
del images, masked
