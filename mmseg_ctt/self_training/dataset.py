# Copyright (c) mmseg_ctt contributors.
import copy
import json
from pathlib import Path
from typing import Any, List, Optional

from mmengine.dataset import BaseDataset
from mmseg.registry import DATASETS

from ..datasets.checks import check_files
from ..datasets.labeled_unlabeled import LabeledUnlabeledDataset
from ..datasets.sources import KEY, LABELED

MANIFEST = 'manifest.json'


class WithPseudoLabels:
    """Labelled data set extended by images with pseudo-labels, under the same pipeline.

    Args:
        dataset (BaseDataset): The labelled images.
        infos (list[dict]): ``img_path`` and ``seg_map_path`` of the pseudo-labelled images.
    """

    def __init__(self, dataset: BaseDataset, infos: List[dict]) -> None:
        self.dataset, self.infos = dataset, infos
        self.pipeline, self.metainfo = dataset.pipeline, dataset.metainfo

    def __len__(self) -> int:
        return len(self.dataset) + len(self.infos)

    def __getattr__(self, name: str) -> Any:
        if name == 'dataset':  # not yet set while unpickling
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def get_data_info(self, index: int) -> dict:
        """Entry of an image, the input of a pipeline."""
        if index < len(self.dataset):
            return self.dataset.get_data_info(index)
        return dict(copy.deepcopy(self.infos[index - len(self.dataset)]), sample_idx=index)


@DATASETS.register_module()
class SelfTrainingDataset(LabeledUnlabeledDataset):
    """Labelled and unlabelled images, with pseudo-labelled ones added to the labelled set.

    Pseudo-labelled images stay in the unlabelled set too, as in CReST.

    Args:
        pseudo (str, optional): Folder written by :class:`SelfTraining`, with ``manifest.json``
            and ``masks/``. Defaults to None: no pseudo-labels, as in the first generation.
        **kwargs: See :class:`LabeledUnlabeledDataset`.

    Raises:
        FileNotFoundError: If the manifest or a mask is missing.
        ValueError: If there is no labelled source.
    """

    def __init__(self, pseudo: Optional[str] = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if pseudo is None:
            return
        if LABELED not in self.sources:
            raise ValueError(f'{KEY}.pseudo needs {KEY}.{LABELED}, whose images it adds to')
        path = Path(pseudo, MANIFEST)
        if not path.is_file():
            raise FileNotFoundError(f'{KEY}.pseudo: {path} does not exist')
        infos = [
            dict(
                img_path=entry['image'],
                seg_map_path=str(Path(pseudo, entry['mask'])),
                label_map=None,
                reduce_zero_label=False,
                seg_fields=[],
            )
            for entry in json.loads(path.read_text())['selected']
        ]
        check_files('pseudo', infos, masks=True)
        self.sources[LABELED] = WithPseudoLabels(self.sources[LABELED], infos)
