# Copyright (c) mmseg_ctt contributors.
"""Light, weather and camera: from surfaces to a picture."""

import cv2
import numpy as np

from ...datasets.streets_layout import LANE, PAVEMENT, ROAD, SKY
from .camera import FAR
from .scene import Scene
from .texture import fractal

LUMA = np.array((0.299, 0.587, 0.114), np.float32)


def _lamp_light(scene: Scene) -> np.ndarray:
    """Light of street lamps and of the own headlights, at night."""
    rng, (height, width) = scene.rng, scene.canvas.shape
    rows, cols = np.mgrid[:height, :width].astype(np.float32)
    light = np.zeros((height, width, 3), np.float32)
    warm = rng.random() < 0.6
    lamp = np.array((1.0, 0.72, 0.38) if warm else (0.8, 0.9, 1.0), np.float32)
    for _ in range(rng.integers(3, 7)):
        middle = (rng.uniform(0, width), scene.camera.horizon + rng.uniform(-0.3, 0.4) * height)
        size = width * rng.uniform(0.08, 0.25)
        far = ((cols - middle[0]) / size) ** 2 + ((rows - middle[1]) / size / 0.8) ** 2
        light += np.exp(-far)[..., None] * lamp * rng.uniform(0.3, 0.8)
    beam = ((cols - scene.camera.centre) / (0.4 * width)) ** 2 + (
        (rows - 0.8 * height) / (0.3 * height)
    ) ** 2
    return light + 0.6 * np.exp(-beam)[..., None]


def _wet_road(scene: Scene, picture: np.ndarray) -> np.ndarray:
    """Blend the mirror image into wet ground."""
    canvas = scene.canvas
    rows = np.arange(canvas.shape[0])
    mirror = np.clip(2 * int(scene.camera.horizon) + 2 - rows, 0, rows[-1])
    mirrored = cv2.GaussianBlur(picture[mirror], (1, 15), 0)
    ground = np.isin(canvas.label, (ROAD, LANE, PAVEMENT))
    puddle = np.clip(0.45 + 0.3 * fractal(scene.rng, *canvas.shape, 6, 3), 0, 0.8)
    opacity = (scene.drive.rain * 0.7 * ground * puddle)[..., None]
    return picture * (1 - opacity) + mirrored * opacity


def _streaks(scene: Scene, picture: np.ndarray) -> np.ndarray:
    """Falling rain or snow flakes."""
    rng, shape = scene.rng, scene.canvas.shape
    drops: np.ndarray = (rng.random(shape) < 0.006).astype(np.float32)
    if scene.drive.rain:
        kernel = np.zeros((9, 9), np.float32)
        cv2.line(kernel, (4 + int(rng.integers(-2, 3)), 0), (4, 8), 1 / 3)
        drops = cv2.filter2D(drops, -1, kernel)
    else:
        drops = cv2.GaussianBlur(drops, (0, 0), rng.uniform(0.5, 0.9)) * 2
    strength = 0.35 * max(scene.drive.rain, scene.drive.snow) * rng.uniform(0.3, 1)
    return picture + (np.clip(drops, 0, 1) * strength)[..., None]


def light_scene(scene: Scene) -> np.ndarray:
    """Apply light, haze, rain, snow and night to the painted surfaces.

    Args:
        scene (Scene): The painted scene.

    Returns:
        np.ndarray: float32 ``(H, W, 3)``, RGB, about 0 to 1.
    """
    canvas, drive, rng = scene.canvas, scene.drive, scene.rng
    light = np.asarray(drive.light, np.float32) * rng.uniform(0.9, 1.1)
    light = light * (1 + 0.03 * rng.standard_normal(3)).astype(np.float32)
    if drive.night > 0.5:
        field = light + _lamp_light(scene) * (canvas.label != SKY)[..., None]
        picture = canvas.colour * field
    else:
        picture = canvas.colour * light
    # The roughness of all surfaces.
    grain = fractal(rng, *canvas.shape, 24, 3) + rng.standard_normal(canvas.shape, np.float32)
    picture = picture * (1 + 0.035 * grain * (canvas.label != SKY))[..., None]
    fog = drive.fog * rng.uniform(0.7, 1.3)
    clear = np.exp(-fog * canvas.depth)[..., None]
    # The sky has its own colour; only dense fog hides it.
    clear = np.where((canvas.depth >= FAR)[..., None], max(0.3, 1 - 25 * fog), clear)
    picture = picture * clear + (1 - clear) * np.asarray(drive.haze, np.float32)
    if drive.rain:
        picture = _wet_road(scene, picture)
    if drive.night:
        halo = cv2.GaussianBlur(canvas.glow, (0, 0), 3.5)
        picture = picture + 0.8 * canvas.glow + 1.2 * halo
    if drive.rain or drive.snow:
        picture = _streaks(scene, picture)
    return picture.astype(np.float32)


def take_picture(scene: Scene, picture: np.ndarray) -> np.ndarray:
    """Apply the lens, exposure and sensor of the camera.

    Args:
        scene (Scene): The scene.
        picture (np.ndarray): float32 ``(H, W, 3)``, RGB, about 0 to 1.

    Returns:
        np.ndarray: uint8 ``(H, W, 3)``, RGB.
    """
    drive, rng = scene.drive, scene.rng
    height, width = picture.shape[:2]
    picture = cv2.GaussianBlur(picture, (0, 0), max(drive.blur * rng.uniform(0.6, 1.5), 0.1))
    grey = (picture @ LUMA)[..., None]
    picture = grey + (picture - grey) * drive.saturation * rng.uniform(0.9, 1.1)
    picture = picture * rng.uniform(0.93, 1.07)
    rows, cols = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    picture = picture * (1 - rng.uniform(0, 0.18) * (rows**2 + cols**2))[..., None]
    picture = np.clip(picture, 0, 1) ** (drive.gamma * rng.uniform(0.95, 1.05))
    noise = rng.standard_normal((height, width, 3), np.float32) * drive.noise
    return np.clip((picture + noise) * 255 + 0.5, 0, 255).astype(np.uint8)
