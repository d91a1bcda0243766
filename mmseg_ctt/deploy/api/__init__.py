# Copyright (c) mmseg_ctt contributors.
"""Python API: load a run or an exported model, predict, save pictures.

.. code-block:: python

    from mmseg_ctt.apis import load_model, predict
    model = load_model('config.py', 'iter_1000.pth', member='teacher0')
    predict(model, 'street.jpg').save('street_overlay.png')
"""

from .load import load_model
from .predict import predict, predict_iter
from .result import SegResult

__all__ = ['SegResult', 'load_model', 'predict', 'predict_iter']
