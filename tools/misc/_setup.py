# Copyright (c) mmseg_ctt contributors.
"""What the checks of check_setup.py share."""

import argparse
from typing import Dict, List

MB = 1 << 20
SAMPLED = 64  # files of a set that are read without --all


class Skip(Exception):
    """A check needs what another has not found."""


class Setup:
    """The config and what the checks have built of it so far."""

    def __init__(self, cfg, args: argparse.Namespace) -> None:
        self.cfg, self.args = cfg, args
        self.sets: Dict[str, object] = {}
        self.model = None

    def infos(self, name: str) -> List[dict]:
        """Entries of a data set."""
        if name not in self.sets:
            raise Skip(f'no {name} set')
        return [self.sets[name].get_data_info(i) for i in range(len(self.sets[name]))]

    def some(self, name: str) -> List[dict]:
        """Entries whose files are read: all, or some that are spread evenly."""
        infos = self.infos(name)
        return infos if self.args.all else infos[:: max(1, -(-len(infos) // SAMPLED))]

    @property
    def trained(self) -> List[str]:
        """Names of the sets that are trained on, as far as they were found."""
        return [name for name in ('labeled', 'unlabeled') if name in self.sets]

    @property
    def classes(self) -> tuple:
        """Names of the classes."""
        self.infos('labeled')
        return tuple(self.sets['labeled'].metainfo['classes'])

    @property
    def ratio(self) -> tuple:
        """Labelled and unlabelled images of a period."""
        return tuple(self.cfg.train_dataloader.sampler.get('ratio', (1, 1)))
