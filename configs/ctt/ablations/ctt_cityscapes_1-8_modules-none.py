# Modules: none, 372 labels alone; published (CTT, table 4): 57.74 mIoU (56.96 in tables 5 and 7).
# The supervised baseline under the name of its row.
# mIoU of this implementation: not measured.
# python tools/train.py configs/ctt/ablations/ctt_cityscapes_1-8_modules-none.py
_base_ = ['../../supervised/supervised_deeplabv2_cityscapes_1-8.py']
