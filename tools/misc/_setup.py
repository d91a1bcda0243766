# Copyright (c) mmseg_ctt contributors.
"""State of check_setup.py that its checks have in common."""

import argparse
from typing import TYPE_CHECKING, Dict, List, Optional, Tuple

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.dataset import BaseDataset
    from mmengine.model import BaseModel

MB = 1 << 20
SAMPLED = 64  # files read of each set without --all


class Skip(Exception):
    """A check needs the result of a check that failed."""


class Setup:
    """Config, and the data sets and model that the checks have built from it.

    Args:
        cfg (Config): Config of the job.
        args (argparse.Namespace): Arguments of check_setup.py.
    """

    def __init__(self, cfg: 'Config', args: argparse.Namespace) -> None:
        self.cfg, self.args = cfg, args
        self.sets: Dict[str, BaseDataset] = {}
        self.model: Optional[BaseModel] = None

    def infos(self, name: str) -> List[dict]:
        """Entries of a data set."""
        if name not in self.sets:
            raise Skip(f'no {name} set')
        return [self.sets[name].get_data_info(i) for i in range(len(self.sets[name]))]

    def some(self, name: str) -> List[dict]:
        """Entries whose files are read: all, or ``SAMPLED`` evenly spread ones."""
        infos = self.infos(name)
        return infos if self.args.all else infos[:: max(1, -(-len(infos) // SAMPLED))]

    @property
    def trained(self) -> List[str]:
        """Names of the training sets that were built."""
        return [name for name in ('labeled', 'unlabeled') if name in self.sets]

    @property
    def classes(self) -> Tuple[str, ...]:
        """Names of the classes."""
        self.infos('labeled')
        return tuple(self.sets['labeled'].metainfo['classes'])

    @property
    def ratio(self) -> Tuple[int, ...]:
        """Numbers of labelled and unlabelled images in a period of the sampler."""
        return tuple(self.cfg.train_dataloader.sampler.get('ratio', (1, 1)))
