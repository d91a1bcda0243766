# The 15 objects of MSRC-21 with masks: 16 classes of which 0 is the background, into which building,
# grass, tree, sky, water and road go, as in msrc21_tags.py. Layout, lists, sizes and batch: msrc21.py.
_base_ = ['./msrc21.py']
objects = dict(
    background='background',
    metainfo=dict(
        classes=(
            *('background', 'cow', 'sheep', 'aeroplane', 'face', 'car', 'bicycle', 'flower'),
            *('sign', 'bird', 'book', 'chair', 'cat', 'dog', 'body', 'boat'),
        )
    ),
)
train_dataloader = dict(dataset=dict(labeled=objects, unlabeled=objects))
val_dataloader = dict(dataset=objects)
test_dataloader = dict(dataset=objects)
del objects
