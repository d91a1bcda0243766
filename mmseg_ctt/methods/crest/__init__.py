# Copyright (c) mmseg_ctt contributors.
"""CReST and CReST+, arXiv 2102.09559: class-rebalancing self-training.

It trains any method several times, each time with some pseudo-labels of the time before as labels,
so it is no segmentor but rounds of training.

- ``functional.py``: keep rates, selection by class, thresholds, temperature of a round
- elsewhere: the rounds are ``mmseg_ctt/self_training``, run by ``tools/self_train.py``;
  distribution alignment (CReST+) is ``nn/alignment.py`` and works for every method
"""
