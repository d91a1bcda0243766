# S4L with VAT and entropy minimisation on 50 labelled street scenes, from scratch.
#
# As in the released code: weights 0.5 and 1, both on labelled and unlabelled images, a change of 0.103 a
# value in [-1, 1], which is the default radius, and the order of its divergence. Our own: the mean is
# over pixels, and the gradient is taken at a tenth of the change (the code: a length of 1e-6).
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/s4l/s4l-vat_deeplabv3plus_streets_1-8.py
_base_ = ['./s4l_deeplabv3plus_streets_1-8.py']
model = dict(
    auxiliary_tasks=[
        dict(type='AdversarialTask', weight=0.5, sources=['labeled', 'unlabeled']),
        dict(type='EntropyTask', weight=1.0, sources=['labeled', 'unlabeled']),
    ]
)
