# Copyright (c) mmseg_ctt contributors.
"""Prediction of videos, frame by frame."""

from pathlib import Path
from typing import Callable, Iterator, List, NamedTuple, Optional, Tuple

import cv2
import numpy as np
from PIL import Image

from ...datasets.image_reading import swapped
from ...datasets.image_values import to_picture
from ...visualization import colorize
from ..api.inputs import Source
from ..api.predict import make_result
from .items import Item
from .network import Given, Network
from .outputs import Outputs, whole_file
from .unreadable import UnreadableVideoError

CODEC = 'mp4v'
USUAL_RATE = 25.0  # frames a second, where the file does not say it
# Headers of intact videos may be off by so many frames, or by that ratio of them.
OFF, OFF_RATIO = 2, 0.02
CONVERT = 'ffmpeg -i INPUT -c:v libx264 -pix_fmt yuv420p OUTPUT.mp4'


class Video(NamedTuple):
    """Facts of a video: frames a second, and the number of frames by its header; 0: not known."""

    rate: float
    frames: int


def check_video(path: str) -> Video:
    """Open a video and decode its first frame.

    Args:
        path (str): Of the file.

    Raises:
        UnreadableVideoError: If it cannot be decoded here.
    """
    capture = cv2.VideoCapture(path)
    try:
        if not capture.isOpened() or not capture.read()[0]:
            raise UnreadableVideoError(
                f'the video {path} cannot be read: it is damaged, or OpenCV has no decoder for it. '
                f'Convert it: {CONVERT}'
            )
        return _facts(capture)
    finally:
        capture.release()


def _facts(capture: cv2.VideoCapture) -> Video:
    rate = capture.get(cv2.CAP_PROP_FPS)
    if not np.isfinite(rate) or not 0 < rate < 1000:
        return Video(USUAL_RATE, 0)  # the number may be made of the rate and the duration
    return Video(float(rate), max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0))


def frames_of(path: str, skip: Callable[[int], bool] = lambda _: False) -> Iterator[Tuple]:
    """Number and pixels ``(H, W, 3)`` uint8, blue first, of the frames of a video, one at a time.

    Args:
        path (str): Of the file.
        skip (Callable): Whether a frame, by its number, is left out.

    Raises:
        UnreadableVideoError: If a frame cannot be decoded.
    """
    capture = cv2.VideoCapture(path)
    try:
        number = 0
        while capture.grab():
            if not skip(number):
                read, frame = capture.retrieve()
                if not read:
                    raise UnreadableVideoError(
                        f'frame {number} of the video {path} cannot be decoded: it is damaged. '
                        f'Copy it again, or keep what can be read: {CONVERT}'
                    )
                yield number, frame
            number += 1
    finally:
        capture.release()


def missing_frames(path: str, number: int) -> Optional[str]:
    """Line about a video that has fewer frames than its header says; None where it has not.

    It may be cut off. But headers of intact videos count otherwise, too: frames that a cut without
    encoding hides, or the length of the sound.

    Args:
        path (str): Of the file.
        number (int): Frames that were decoded.
    """
    expected = check_video(path).frames
    if expected - number <= max(OFF, OFF_RATIO * expected):
        return None
    return (
        f'WARNING: {path} ends after {number} of the {expected} frames of its header. If it is '
        'longer, it is cut off or damaged: copy it again, and predict it into another folder'
    )


def predict_video(
    network: Network,
    item: Item,
    outputs: Outputs,
    batch_size: int,
    tick: Callable[[], None] = lambda: None,
) -> int:
    """Write a mask of every frame, then the video with the colours of the classes.

    Frames that have a mask are not predicted again.

    Args:
        network (Network): Of the model.
        item (Item): The video.
        outputs (Outputs): Started.
        batch_size (int): Frames in one pass.
        tick (Callable): Called after each predicted frame.

    Returns:
        int: Number of frames.

    Raises:
        UnreadableVideoError: If a frame cannot be decoded; masks of those before it stay.
    """
    folder, video = outputs.frames_of(item), check_video(item.path)
    batch: List[Tuple[int, np.ndarray]] = []
    for numbered in frames_of(item.path, lambda number: _mask(folder, number).exists()):
        batch.append(numbered)
        if len(batch) == batch_size:
            _predict_frames(network, item, folder, batch, tick)
            batch = []
    if batch:
        _predict_frames(network, item, folder, batch, tick)
    with whole_file(outputs.overlay_of(item)) as path:
        return _write_overlay(network, item, folder, video.rate, path)


def _mask(folder: Path, number: int) -> Path:
    return folder / f'{number:06d}.png'


def _predict_frames(
    network: Network,
    item: Item,
    folder: Path,
    batch: List[Tuple[int, np.ndarray]],
    tick: Callable[[], None],
) -> None:
    given = [Given(frame, f'frame {number} of {item.path}') for number, frame in batch]
    for (number, frame), sample in zip(batch, network.samples(given)):
        source = Source(str(number), None, frame)
        result = make_result(source, sample, network.model.dataset_meta)
        with whole_file(_mask(folder, number)) as path:
            result.save(path, 'labels')
        tick()


def _write_overlay(network: Network, item: Item, folder: Path, rate: float, path: Path) -> int:
    writer, count = None, 0
    try:
        for number, frame in frames_of(item.path):
            with Image.open(_mask(folder, number)) as mask:
                colours = colorize(np.array(mask), network.palette)
            picture = (to_picture(frame).astype(np.float32) + colours) / 2
            if writer is None:
                size = frame.shape[1], frame.shape[0]
                codec = cv2.VideoWriter.fourcc(*CODEC)
                writer = cv2.VideoWriter(str(path), codec, rate, size)
                if not writer.isOpened():
                    raise OSError(f'OpenCV cannot write {path}: it has no encoder {CODEC}')
            writer.write(swapped(picture.round().astype(np.uint8)))
            count += 1
    finally:
        if writer is not None:
            writer.release()
    return count
