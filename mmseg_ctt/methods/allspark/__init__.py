# Copyright (c) mmseg_ctt contributors.
"""AllSpark (arXiv 2403.01818): labelled features rebuilt from unlabelled ones, channel by channel.

- ``segmentor.py``: the step
- ``channel_sources.py``: which channels the images of a step read
- ``neck.py``: the layers around the attention, a part of the network (section 3.2)
- ``neck_config.py``: the config of a segmentor with the neck
- ``memory.py``: the semantic memory (section 3.3) and the grouping of channels (section 3.4)
- ``functional.py``: channel attention, classes of channels, positions in the queues
"""

from .neck import AllSparkNeck
from .segmentor import AllSpark

__all__ = ['AllSpark', 'AllSparkNeck']
