# Copyright (c) mmseg_ctt contributors.
"""Agreement of predictions with each of several raters."""

from typing import Any, Dict, List, Optional, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS
from prettytable import PrettyTable

from ..label_fusion.agreement import dice_of_counts, pair_counts


@METRICS.register_module()
class RaterAgreementMetric(BaseMetric):
    """Dice of the prediction with each rater, beside that of the raters with one another.

    The masks of the raters come from ``LoadMultiRaterAnnotations(rater_masks=True)``, packed by
    ``PackSemiSegInputs(maps=('rater_masks',))``. Pixels and images that a rater did not annotate do
    not count for this rater.

    Results, in per cent: ``Dice.<rater>`` for each rater, ``Dice.raters`` their mean, and
    ``Dice.between_raters``, the mean over pairs of raters, which is what a prediction can be
    compared with. A Dice is the mean over images and classes that one of the two masks has.

    Args:
        raters (Sequence[str], optional): Names of the raters, in the order of the data set.
            Defaults to None: ``rater0`` and so on.
        include_background (bool): Whether class 0 counts. Defaults to False.
        collect_device (str): See mmengine. Defaults to 'cpu'.
        prefix (str, optional): See mmengine. Defaults to None.

    Raises:
        ValueError: In ``process``, if samples have no masks of raters or another number of them.
    """

    default_prefix = ''

    def __init__(
        self,
        raters: Optional[Sequence[str]] = None,
        include_background: bool = False,
        collect_device: str = 'cpu',
        prefix: Optional[str] = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.raters = None if raters is None else list(raters)
        self.include_background = include_background

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count the pixels of each image.

        Args:
            data_batch (Any): Not used.
            data_samples (Sequence[dict]): With ``pred_sem_seg`` and ``rater_masks``.
        """
        number = len(self.dataset_meta['classes'])
        for sample in data_samples:
            if 'rater_masks' not in sample:
                raise ValueError(
                    'RaterAgreementMetric needs the masks of the raters: load them with '
                    'LoadMultiRaterAnnotations(rater_masks=True) and pack them with '
                    "PackSemiSegInputs(maps=('rater_masks',)) in the pipeline of the test set"
                )
            predicted = sample['pred_sem_seg']['data'].squeeze(0).cpu().numpy()
            masks = sample['rater_masks']['data'].cpu().numpy()
            if self.raters is not None and len(self.raters) != len(masks):
                raise ValueError(
                    f'RaterAgreementMetric.raters names {len(self.raters)} raters, the data set '
                    f'has {len(masks)}'
                )
            together = [predicted, *masks]
            pairs = [(a, b) for a in range(len(together)) for b in range(a + 1, len(together))]
            self.results.append(
                {(a, b): pair_counts(together[a], together[b], number) for a, b in pairs}
            )

    def compute_metrics(self, results: List[Dict[Any, np.ndarray]]) -> Dict[str, float]:
        """Mean Dice of each pair, in per cent.

        Args:
            results (list[dict]): Counts by pair of masks, of each image; 0 is the prediction.
        """
        first = 0 if self.include_background else 1
        means = {}
        for pair in results[0]:
            dice = dice_of_counts(np.stack([image[pair] for image in results]))[:, first:]
            known = dice[~np.isnan(dice)]
            means[pair] = round(100 * float(known.mean()), 2) if known.size else float('nan')
        number = max(b for _, b in means)
        names = self.raters or [f'rater{r}' for r in range(number)]
        found = {f'Dice.{name}': means[0, r + 1] for r, name in enumerate(names)}
        between = [value for (a, _), value in means.items() if a > 0]
        summary = {'Dice.raters': _mean(list(found.values()))}
        if between:
            summary['Dice.between_raters'] = _mean(between)
        self._print({**found, **summary})
        return {**found, **summary}

    def _print(self, values: Dict[str, float]) -> None:
        table = PrettyTable(['Dice in % with', 'prediction'], align='r')
        for name, value in values.items():
            table.add_row([name.partition('.')[2], f'{value:.2f}'])
        print_log(f'agreement with raters:\n{table.get_string()}', 'current')


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return round(sum(known) / len(known), 2) if known else float('nan')
