# Copyright (c) mmseg_ctt contributors.
import re
import sys
from typing import Dict, Optional, Tuple, Union

import torch
from mmengine.dist import all_gather
from mmengine.logging import MessageHub
from mmengine.runner import LogProcessor, Runner
from mmseg.registry import LOG_PROCESSORS

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

Column = Union[int, float]
RATIO = 'confident_ratio'  # what methods log of each student
TIMERS = {'train/time', 'train/data_time'}
MIB = 2**20
TIMES = re.compile(r'data_time: \S+  (memory: \d+  )?')  # behind these columns stand ours


def resident_memory() -> int:
    """Largest resident memory of this process so far in MiB, without its workers; 0 if unknown."""
    if resource is None:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak * (1 if sys.platform == 'darwin' else 1024) / MIB)


def wait_and_confidence(hub: MessageHub, window: int) -> Tuple[Optional[float], Optional[float]]:
    """``data_wait`` and ``confident_ratio`` of this rank, see :class:`RunLogProcessor`.

    Args:
        hub (MessageHub): Of the run.
        window (int): Iterations of which they are means.

    Returns:
        tuple[float | None, float | None]: None for one that is not measured. A wait may be above 1.
    """
    logged = {
        name[len('train/') :]: float(buffer.mean(window))
        for name, buffer in hub.log_scalars.items()
        if name in TIMERS or name.startswith('train/') and name.endswith(f'.{RATIO}')
    }
    measured = {name for name in TIMERS if name[len('train/') :] in logged} == TIMERS
    wait = logged.pop('data_time', 0.0) / max(logged.pop('time', 0.0), 1e-9)
    ratio = sum(logged.values()) / len(logged) if logged else None
    return (wait if measured else None), ratio


@LOG_PROCESSORS.register_module()
class RunLogProcessor(LogProcessor):
    """mmengine's log of training with ``data_wait``, ``memory`` and ``confident_ratio``.

    * ``data_wait``: ``data_time / time``, ratio of the time in which the step waits for its batch.
      Mean over the ranks. Absent where one of the two is not measured.
    * ``memory``: MiB, the largest over the ranks. On a GPU the peak of its allocated memory since
      the last line, as in mmengine, elsewhere the peak of the resident memory of the process since
      its start, without the workers of data loaders.
    * ``confident_ratio``: mean of ``student*.confident_ratio``. Absent where a method has none.

    Ratios are means over the last ``window_size`` iterations, as ``time`` and losses are. The
    columns are in the line of the log and in the scalars of all backends. With several ranks a line
    costs one collective call.

    Args: as :class:`mmengine.runner.LogProcessor`.
    """

    def get_log_after_iter(
        self, runner: Runner, batch_idx: int, mode: str
    ) -> Tuple[Dict[str, Column], str]:
        """Scalars and line of an iteration.

        Args:
            runner (Runner): The runner.
            batch_idx (int): Index of the batch.
            mode (str): ``'train'``, ``'val'`` or ``'test'``; the columns are those of training.
        """
        tag, line = super().get_log_after_iter(runner, batch_idx, mode)
        if mode != 'train':
            return tag, line
        columns = self._columns(runner, tag.pop('memory', None))
        tag.update(columns)
        return tag, self._with_columns(line, columns)

    def _columns(self, runner: Runner, gpu_memory: Optional[int]) -> Dict[str, Column]:
        wait, ratio = wait_and_confidence(runner.message_hub, self.window_size)
        memory = resident_memory() if gpu_memory is None else gpu_memory
        rows = torch.stack(all_gather(torch.tensor([wait or 0.0, memory], dtype=torch.float64)))
        columns: Dict[str, Column] = {}
        if wait is not None:
            columns['data_wait'] = min(float(rows[:, 0].mean()), 1.0)
        if rows[:, 1].any():
            columns['memory'] = int(rows[:, 1].max())
        if ratio is not None:
            columns[RATIO] = ratio
        return columns

    def _with_columns(self, line: str, columns: Dict[str, Column]) -> str:
        text = ''.join(
            f'{name}: {value if isinstance(value, int) else f"{value:.{self.num_digits}f}"}  '
            for name, value in columns.items()
        )
        found = TIMES.search(line)
        if found is None:
            return f'{line.rstrip()}  {text}'.rstrip()
        times = found[0][: -len(found[1])] if found[1] else found[0]
        return f'{line[: found.start()]}{times}{text}{line[found.end() :]}'
