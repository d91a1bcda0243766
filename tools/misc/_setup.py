# Copyright (c) mmseg_ctt contributors.
"""State of check_setup.py that its checks have in common."""

import argparse
from typing import TYPE_CHECKING, Dict, List, Optional, Tuple

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.model import BaseModel

    from mmseg_ctt.datasets.wrappers import AnySet

MB = 1 << 20
EVALUATED = ('val', 'test')
SAMPLED = 64  # files read of each set without --all


class Alert(str):
    """Note of a check that found what may stop the run elsewhere, and is no error here."""


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
        self.sets: Dict[str, AnySet] = {}
        self.model: Optional[BaseModel] = None
        self.drawn: List[str] = []  # sources that the sampler draws from
        self.step_seconds: Optional[float] = None  # of the step that was computed here
        self.warnings: List[str] = []  # of settings that train, but probably not as intended

    def built(self, name: str) -> 'AnySet':
        """A data set that was built."""
        if name not in self.sets:
            raise Skip(f'no {name} set')
        return self.sets[name]

    def infos(self, name: str) -> List[dict]:
        """Entries of a data set, each image once."""
        from mmseg_ctt.datasets.wrappers import distinct_infos

        return distinct_infos(self.built(name))

    def own(self, name: str) -> List[dict]:
        """The same without pseudo-labelled images, which stay in the unlabelled source."""
        return [info for info in self.infos(name) if not info.get('pseudo_labeled')]

    def some(self, name: str) -> List[dict]:
        """Entries whose files are read: all, or ``SAMPLED`` evenly spread ones."""
        infos = self.infos(name)
        return infos if self.args.all else infos[:: max(1, -(-len(infos) // SAMPLED))]

    @property
    def sources(self) -> List[str]:
        """Names of the sources of training images, in order."""
        from mmseg_ctt.datasets.sources import source_names

        return source_names((self.cfg.get('train_dataloader') or {}).get('dataset') or {})

    @property
    def trained(self) -> List[str]:
        """Names of the sources that were built."""
        return [name for name in self.sources if name in self.sets]

    def has_masks(self, name: str) -> bool:
        """Whether the images of a set must have masks."""
        from mmseg_ctt.datasets.sources import needs_masks
        from mmseg_ctt.engine.score_checks import reads_masks

        if name in EVALUATED:
            return reads_masks(self.cfg)
        return needs_masks(name, self.cfg.train_dataloader.dataset[name])

    def has_tags(self, name: str) -> bool:
        """Whether the images of a source have tags."""
        from mmseg_ctt.datasets.sources import has_tags

        return has_tags(self.cfg.train_dataloader.dataset[name])

    @property
    def reference(self) -> str:
        """Name of the source whose classes are those of training: with masks, with tags, else any.

        Images alone are enough for methods that read neither, which need no classes.
        """
        chosen = [name for name in self.sources if self.has_masks(name)]
        chosen += [name for name in self.sources if self.has_tags(name)]
        chosen += [] if chosen else self.trained
        for name in chosen[:1]:
            self.infos(name)
            return name
        raise Skip('no source of training images')

    @property
    def classes(self) -> Tuple[str, ...]:
        """Names of the classes."""
        return tuple(self.sets[self.reference].metainfo.get('classes') or ())
