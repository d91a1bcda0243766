# Copyright (c) mmseg_ctt contributors.
"""AllSpark (arXiv 2403.01818): labelled features rebuilt from unlabelled ones, channel by channel.

- ``segmentor.py``: the step, and which channels a labelled image reads
- ``neck.py``: the layers around the attention, a part of the network (section 3.2)
- ``memory.py``: the semantic memory (section 3.3) and the grouping of channels (section 3.4)
- ``functional.py``: channel attention, classes of channels, positions in the rings
"""

from .neck import AllSparkNeck
from .segmentor import AllSpark

__all__ = ['AllSpark', 'AllSparkNeck']
