# Copyright (c) mmseg_ctt contributors.
import copy
import json
from pathlib import Path
from typing import Any, Iterator, List, Optional

from mmengine.dataset import BaseDataset
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import DATASETS

from ..datasets.checks import check_files, real_address
from ..datasets.labeled_unlabeled import LabeledUnlabeledDataset
from ..datasets.sources import KEY, LABELED
from ..datasets.wrappers import Joined, distinct_infos, leaves

MANIFEST = 'manifest.json'


class PseudoLabelSet(BaseDataset):
    """Images with pseudo-labels as masks, under the pipeline of the labelled images.

    The masks hold class ids, so that neither ``reduce_zero_label`` nor a label map applies.

    Args:
        infos (list[dict]): ``img_path`` and ``seg_map_path`` of each image.
        labeled (BaseDataset): Gives classes and pipeline.
    """

    def __init__(self, infos: List[dict], labeled: BaseDataset) -> None:
        self.infos = infos
        super().__init__(metainfo=labeled.metainfo, pipeline=[], lazy_init=True)
        self.pipeline = copy.deepcopy(labeled.pipeline)
        for step in _steps(self.pipeline):
            if isinstance(step, LoadAnnotations):
                step.reduce_zero_label = False
        self.full_init()

    def load_data_list(self) -> List[dict]:
        """Entries of all images."""
        return [
            dict(info, label_map=None, reduce_zero_label=False, seg_fields=[], pseudo_labeled=True)
            for info in self.infos
        ]


def _steps(node: Any) -> Iterator[Any]:
    """A pipeline or transform and all transforms inside it."""
    yield node
    for inner in getattr(node, 'transforms', None) or ():
        yield from _steps(inner)


@DATASETS.register_module()
class SelfTrainingDataset(LabeledUnlabeledDataset):
    """Labelled and unlabelled images, with pseudo-labelled ones added to the labelled set.

    Pseudo-labelled images stay in the unlabelled set too, as in CReST. Images of the labelled set
    keep their masks: their pseudo-labels are left out.

    Args:
        pseudo (str, optional): Folder with ``manifest.json`` of a recipe of self-training, or a
            manifest of another name: a JSON file whose ``selected`` lists images, and masks
            relative to its folder. Defaults to None: no pseudo-labels, as in the first round.
        **kwargs: See :class:`LabeledUnlabeledDataset`.

    Raises:
        FileNotFoundError: If the manifest or a mask is missing.
        ValueError: If there is no labelled source, or the manifest names other classes.
    """

    def __init__(self, pseudo: Optional[str] = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if pseudo is None:
            return
        if LABELED not in self.sources:
            raise ValueError(f'{KEY}.pseudo needs {KEY}.{LABELED}, whose images it adds to')
        path = Path(pseudo) if pseudo.endswith('.json') else Path(pseudo, MANIFEST)
        if not path.is_file():
            raise FileNotFoundError(f'{KEY}.pseudo: {path} does not exist')
        manifest, labeled = json.loads(path.read_text()), self.sources[LABELED]
        self._check_classes(path, manifest)
        known = {real_address(info['img_path']) for info in distinct_infos(labeled)}
        infos = [
            dict(img_path=entry['image'], seg_map_path=str(path.parent / entry['mask']))
            for entry in manifest['selected']
            if real_address(entry['image']) not in known
        ]
        check_files('pseudo', infos, masks=True)
        if infos:
            added = PseudoLabelSet(infos, leaves(labeled)[0])
            self.sources[LABELED] = Joined([labeled, added])

    def _check_classes(self, path: Path, manifest: dict) -> None:
        found, own = manifest.get('class_names'), list(self.metainfo['classes'])
        if found is not None and found != own:
            raise ValueError(
                f'{KEY}.pseudo: the masks of {path} are of {", ".join(found)}, the data set of '
                f'{", ".join(own)}: both must have the same classes in the same order'
            )
