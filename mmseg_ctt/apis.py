# Copyright (c) mmseg_ctt contributors.
"""Python API under the name that mmseg uses for its own: train, evaluate, export, predict.

.. code-block:: python

    from mmseg_ctt.apis import evaluate, export, predict, train
    run = train('photos', iterations=2000)  # a folder of images and masks, or a config
    evaluate(run)
    predict(run.model(), 'photo.jpg')
    export(run)

In a notebook the results show themselves as tables and pictures.
"""

from .deploy.api import SegResult, load_model, predict, predict_iter
from .deploy.volumes import VolumeResult, predict_volume
from .lab.python_api import ExportedModel, Scores, TrainingRun, evaluate, export, train

__all__ = [
    'ExportedModel',
    'Scores',
    'SegResult',
    'TrainingRun',
    'VolumeResult',
    'evaluate',
    'export',
    'load_model',
    'predict',
    'predict_iter',
    'predict_volume',
    'train',
]
