# Copyright (c) mmseg_ctt contributors.
from typing import Any, Callable, List, TypeVar

from mmengine.dist import broadcast_object_list, is_main_process

Result = TypeVar('Result')


def on_main_process(function: Callable[[], Result]) -> Result:
    """Result of a function that the main process alone calls, on all ranks; so is its error.

    For what ranks may find differently, such as files that nodes see at different times.

    Args:
        function (Callable): Its result and its errors can be pickled.
    """
    found: List[Any] = [None, None]
    if is_main_process():
        try:
            found[0] = function()
        except Exception as error:  # or the other ranks would wait for it for ever
            found[1] = error
    broadcast_object_list(found)
    result, failure = found
    if failure is not None:
        raise failure
    return result
