# Copyright (c) mmseg_ctt contributors.
"""CReST (arXiv 2102.09559): class-rebalancing self-training."""
