# Copyright (c) mmseg_ctt contributors.
import math
from dataclasses import dataclass
from typing import Dict, List, Mapping, Sequence

from prettytable import PrettyTable

from ...visualization.html import table_html

Values = Mapping[str, float]


@dataclass(frozen=True, repr=False)
class Scores:
    """Scores of the networks of a run; printed, and in a notebook, a table.

    ``scores['teacher0']['mIoU']`` is a number, in per cent for IoU.

    Attributes:
        members (dict[str, dict[str, float]]): By member and metric; the member of a plain
            segmentor is ``'model'``.
        classes (dict[str, dict[str, float]]): IoU in per cent by member and class; empty where
            the metrics have none. NaN for a class in neither truth nor prediction.
        member (str): The member that predicts by default.
        data (str): What they are scores of, in words.
    """

    members: Dict[str, Dict[str, float]]
    classes: Dict[str, Dict[str, float]]
    member: str
    data: str

    def __getitem__(self, member: str) -> Dict[str, float]:
        if member not in self.members:
            raise KeyError(f'no member {member!r}; there are {list(self.members)}')
        return self.members[member]

    def best(self, metric: str = 'mIoU') -> str:
        """Member with the largest value of a metric.

        Raises:
            ValueError: If no member has it.
        """
        found = {name: values[metric] for name, values in self.members.items() if metric in values}
        if not found:
            raise ValueError(f'no member has the metric {metric!r}: {self.metrics}')
        return max(found, key=lambda name: -math.inf if math.isnan(found[name]) else found[name])

    @property
    def metrics(self) -> List[str]:
        """Names of the metrics."""
        return list(dict.fromkeys(name for values in self.members.values() for name in values))

    def __str__(self) -> str:
        if not self.members:
            return f'{self.data}: no scores'
        tables = [self._table(['member', *self.metrics], self._rows())]
        if self.classes:
            tables.append(self._table(['IoU of class', *self.classes], self._class_rows()))
        return f'{self.data}\n' + '\n'.join(tables)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        if not self.members:
            return f'<p>{self.data}: no scores</p>'
        bold = {list(self.members).index(self.member)} if self.member in self.members else set()
        html = table_html(['member', *self.metrics], self._rows(), bold)
        if self.classes:
            html += table_html(['IoU of class', *self.classes], self._class_rows())
        return f'<p>{self.data}</p>{html}'

    def _rows(self) -> List[List[str]]:
        return [
            [name, *(_number(values.get(metric, math.nan)) for metric in self.metrics)]
            for name, values in self.members.items()
        ]

    def _class_rows(self) -> List[List[str]]:
        names = dict.fromkeys(name for values in self.classes.values() for name in values)
        return [
            [name, *(_number(values.get(name, math.nan)) for values in self.classes.values())]
            for name in names
        ]

    def _table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
        table = PrettyTable(list(head), align='r')
        table.align[head[0]] = 'l'
        table.add_rows([list(row) for row in rows])
        return table.get_string()


def _number(value: float) -> str:
    return '–' if math.isnan(value) else f'{value:.2f}'
