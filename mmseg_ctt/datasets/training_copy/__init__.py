# Copyright (c) mmseg_ctt contributors.
"""Training copies: the images and masks of a training, written once in a form that decodes fast.

``sizes``: size that a pipeline needs; ``plan``: files of a config or folder; ``encode``: files of a
copy; ``make``: writes them, in parallel and resumable; ``manifest``: what a copy holds, with
checksums; ``use``: a training reads the copy.
"""
