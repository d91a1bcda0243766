# Copyright (c) mmseg_ctt contributors.
"""The memory bank as one list per class (section 6 of the method's description)."""

from typing import Dict, List, Sequence


class ListBank:
    """First in, first out, at most ``size`` entries per class.

    Args:
        num_classes (int): Number of queues.
        size (int): Entries a queue holds.
    """

    def __init__(self, num_classes: int, size: int) -> None:
        self.size = size
        self.queues: Dict[int, List] = {c: [] for c in range(num_classes)}

    def push(
        self,
        feature: Sequence,
        label: Sequence[int],
        score: Sequence[float],
        valid: Sequence[bool],
        budget: int,
    ) -> None:
        """Append the ``budget`` best candidates of each class, or all in their own order."""
        for c, queue in self.queues.items():
            candidates = [i for i in range(len(label)) if valid[i] and int(label[i]) == c]
            if len(candidates) >= budget:
                candidates.sort(key=lambda i: -float(score[i]))
                candidates = candidates[:budget]
            for i in candidates:
                queue.append(feature[i])
                if len(queue) > self.size:
                    queue.pop(0)
