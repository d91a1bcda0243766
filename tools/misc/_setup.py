# Copyright (c) mmseg_ctt contributors.
"""What the checks of check_setup.py share."""

import argparse
from typing import Dict, List

MB = 1 << 20
EVALUATED = ('val', 'test')
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
    def sources(self) -> List[str]:
        """Names of the sources of training images, in order."""
        from mmseg_ctt.datasets.sources import source_names

        return source_names((self.cfg.get('train_dataloader') or {}).get('dataset') or {})

    @property
    def trained(self) -> List[str]:
        """Names of the sources that could be built."""
        return [name for name in self.sources if name in self.sets]

    def has_masks(self, name: str) -> bool:
        """Whether the images of a set must have masks."""
        from mmseg_ctt.datasets.sources import needs_masks

        return name in EVALUATED or needs_masks(name, self.cfg.train_dataloader.dataset[name])

    @property
    def masked(self) -> str:
        """Name of the first source with masks."""
        for name in self.sources:
            if self.has_masks(name):
                self.infos(name)
                return name
        raise Skip('no source with masks')

    @property
    def classes(self) -> tuple:
        """Names of the classes."""
        return tuple(self.sets[self.masked].metainfo['classes'])
