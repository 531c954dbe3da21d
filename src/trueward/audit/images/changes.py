"""What can be done to images: pure functions of batches of pixels.

Each takes N images of one size [n, h, w, c] in [0, 1] and a random generator for each of them, so that what is drawn
for an image does not depend on its company, and returns images in [0, 1], of the same size where nothing else is said.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

Pixels = Float[np.ndarray, "n h w c"]
Generators = Sequence[np.random.Generator]
Change = Callable[[Pixels, Generators], Pixels]

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


def luma(pixels: Pixels) -> Float[np.ndarray, "n h w 1"]:
    """Grey of each pixel."""
    grey: np.ndarray = pixels if pixels.shape[-1] == 1 else (pixels @ _LUMA)[..., None]
    return grey


def clipped(pixels: Pixels) -> Pixels:
    """In the range that an image can hold."""
    inside: np.ndarray = np.clip(pixels, 0.0, 1.0)
    return inside


def saturation(factor: float) -> Change:
    """Colours `factor` times as far from grey."""

    def change(pixels: Pixels, generators: Generators) -> Pixels:
        grey = luma(pixels)
        return clipped(grey + factor * (pixels - grey))

    return change


def contrast(factor: float) -> Change:
    """Values `factor` times as far from the mean grey of their image."""

    def change(pixels: Pixels, generators: Generators) -> Pixels:
        middle = luma(pixels).mean(axis=(1, 2, 3), keepdims=True)
        return clipped(middle + factor * (pixels - middle))

    return change


def brightness(shift: float) -> Change:
    """The same added everywhere."""

    def change(pixels: Pixels, generators: Generators) -> Pixels:
        return clipped(pixels + shift)

    return change


def inversion(pixels: Pixels, generators: Generators) -> Pixels:
    """The negative."""
    return clipped(1.0 - pixels)


def posterisation(levels: int) -> Change:
    """Only so many values in each channel."""

    def change(pixels: Pixels, generators: Generators) -> Pixels:
        steps: np.ndarray = np.minimum(np.floor(pixels * levels), levels - 1)
        return clipped(steps / (levels - 1))

    return change


def blur(share: float, least: float) -> Change:
    """A Gaussian as wide as a share of the shorter side, and at least so many pixels (standard deviation)."""

    def change(pixels: Pixels, generators: Generators) -> Pixels:
        from scipy.ndimage import gaussian_filter

        wide = max(least, share * min(pixels.shape[1:3]))
        blurred: np.ndarray = gaussian_filter(pixels, (0.0, wide, wide, 0.0), mode="nearest")
        return clipped(blurred)

    return change


def noise(deviation: float) -> Change:
    """Gaussian noise, its own in every channel."""

    def change(pixels: Pixels, generators: Generators) -> Pixels:
        drawn = np.stack([one.standard_normal(pixels.shape[1:], dtype=np.float32) for one in generators])
        return clipped(pixels + deviation * drawn)

    return change


def specks(share: float) -> Change:
    """A share of the pixels black or white (salt and pepper)."""

    def change(pixels: Pixels, generators: Generators) -> Pixels:
        drawn = np.stack([one.random((*pixels.shape[1:3], 1), dtype=np.float32) for one in generators])
        return np.where(drawn < share / 2, np.float32(0), np.where(drawn < share, np.float32(1), pixels))

    return change


def checkerboard(height: float) -> Change:
    """Neighbouring pixels lighter and darker in turn: the highest frequency that there is."""

    def change(pixels: Pixels, generators: Generators) -> Pixels:
        rows, columns = np.indices(pixels.shape[1:3])
        sign = np.where((rows + columns) % 2, np.float32(1), np.float32(-1))[..., None]
        return clipped(pixels + height * sign)

    return change


def grid(height: float, period: int) -> Change:
    """Light lines every so many pixels, as up-sampling by blocks leaves them."""

    def change(pixels: Pixels, generators: Generators) -> Pixels:
        rows, columns = np.indices(pixels.shape[1:3])
        line = ((rows % period == 0) | (columns % period == 0)).astype(np.float32)[..., None]
        return clipped(pixels + height * line)

    return change


def tiles(down: int, across: int) -> Change:
    """The image several times, each smaller, in one frame."""

    def change(pixels: Pixels, generators: Generators) -> Pixels:
        height, width = pixels.shape[1:3]
        small = resized(pixels, -(-height // down), -(-width // across))
        return np.tile(small, (1, down, across, 1))[:, :height, :width]

    return change


def ghost(share: float) -> Change:
    """Half the image and half of it shifted by a share of its sides: an outline drawn twice."""

    def change(pixels: Pixels, generators: Generators) -> Pixels:
        down, across = (max(1, round(share * side)) for side in pixels.shape[1:3])
        return clipped((pixels + np.roll(pixels, (down, across), axis=(1, 2))) / 2)

    return change


def border(share: float, colour: float) -> Change:
    """A frame, so wide as a share of the shorter side, drawn over the image."""

    def change(pixels: Pixels, generators: Generators) -> Pixels:
        wide = max(1, round(share * min(pixels.shape[1:3])))
        framed = np.full_like(pixels, colour)
        framed[:, wide:-wide, wide:-wide] = pixels[:, wide:-wide, wide:-wide]
        return framed

    return change


def jpeg(quality: int) -> Change:
    """Written as JPEG and read again."""

    def change(pixels: Pixels, generators: Generators) -> Pixels:
        from PIL import Image as pillow

        read = []
        for image in pixels:
            file = io.BytesIO()
            to_pillow(image).save(file, format="JPEG", quality=quality)
            read.append(from_pillow(pillow.open(file)))
        return np.stack(read)

    return change


def coarse(factor: int) -> Change:
    """Fewer pixels, enlarged to the old size again: the detail is gone."""

    def change(pixels: Pixels, generators: Generators) -> Pixels:
        height, width = pixels.shape[1:3]
        small = resized(pixels, max(1, height // factor), max(1, width // factor))
        return resized(small, height, width, smooth=False)

    return change


def delivered(factor: float) -> Change:
    """Handed over with more or fewer pixels: the size changes."""

    def change(pixels: Pixels, generators: Generators) -> Pixels:
        height, width = (max(2, round(factor * side)) for side in pixels.shape[1:3])
        return resized(pixels, height, width, smooth=factor < 1)

    return change


def even(value: float) -> Change:
    """One value everywhere."""

    def change(pixels: Pixels, generators: Generators) -> Pixels:
        return np.full_like(pixels, value)

    return change


def mean_colour(pixels: Pixels, generators: Generators) -> Pixels:
    """The mean colour of the image everywhere."""
    return np.broadcast_to(pixels.mean(axis=(1, 2), keepdims=True), pixels.shape).copy()


def static(pixels: Pixels, generators: Generators) -> Pixels:
    """Every value drawn at random."""
    return np.stack([one.random(pixels.shape[1:], dtype=np.float32) for one in generators])


def shuffled_pixels(pixels: Pixels, generators: Generators) -> Pixels:
    """The pixels of the image, each in another place: what one counts stays, what one sees is gone."""
    n, height, width, channels = pixels.shape
    flat = pixels.reshape(n, height * width, channels)
    places = [one.permutation(height * width) for one in generators]
    return np.stack([image[place] for image, place in zip(flat, places, strict=True)]).reshape(pixels.shape)


def shuffled_patches(across: int) -> Change:
    """The image cut into a grid, its pieces in other places; what does not divide stays at the edge."""

    def change(pixels: Pixels, generators: Generators) -> Pixels:
        done = pixels.copy()
        high, wide = (max(1, side // across) for side in pixels.shape[1:3])
        down, right = min(across, pixels.shape[1] // high), min(across, pixels.shape[2] // wide)
        corners = [(row * high, column * wide) for row in range(down) for column in range(right)]
        for image, source, generator in zip(done, pixels, generators, strict=True):
            for (to, aside), place in zip(corners, generator.permutation(len(corners)), strict=True):
                top, left = corners[place]
                image[to : to + high, aside : aside + wide] = source[top : top + high, left : left + wide]
        return done

    return change


def pattern(seed: int, height: float, cells: int) -> Change:
    """A random pattern of light and dark fields, the same on every image, as coarse as `cells` to a side."""

    def change(pixels: Pixels, generators: Generators) -> Pixels:
        drawn = np.random.default_rng(seed).integers(2, size=(cells, cells, pixels.shape[3]))
        signs = (2 * drawn - 1).astype(np.float32)
        rows, columns = ((np.arange(side) * cells) // side for side in pixels.shape[1:3])
        return clipped(pixels + height * signs[rows][:, columns])

    return change


def patch(seed: int, share: float) -> Change:
    """A rectangle of one value, in the same place on every image, a share of the sides long."""

    def change(pixels: Pixels, generators: Generators) -> Pixels:
        drawn = np.random.default_rng(seed)
        begin, value = drawn.uniform(0.0, 1.0 - share, size=2), drawn.choice([0.0, 1.0])
        height, width = pixels.shape[1:3]
        top, left = int(begin[0] * height), int(begin[1] * width)
        done = pixels.copy()
        done[:, top : top + max(1, round(share * height)), left : left + max(1, round(share * width))] = value
        return done

    return change


def resized(pixels: Pixels, height: int, width: int, *, smooth: bool = True) -> Pixels:
    """At another size: box means where `smooth`, else the nearest pixel."""
    from PIL import Image as pillow

    how = pillow.Resampling.BOX if smooth else pillow.Resampling.NEAREST
    return np.stack([from_pillow(to_pillow(image).resize((width, height), how)) for image in pixels])


def to_pillow(pixels: Float[np.ndarray, "h w c"]) -> Any:
    """A Pillow image of 8 bits: grey or RGB, by the number of channels."""
    from PIL import Image as pillow

    bits = np.rint(np.clip(pixels, 0.0, 1.0) * 255.0).astype(np.uint8)
    return pillow.fromarray(bits[..., 0] if bits.shape[-1] == 1 else bits)


def from_pillow(image: Any) -> Float[np.ndarray, "h w c"]:
    """The pixels of a Pillow image of 8 bits, in [0, 1]."""
    numbers: np.ndarray = np.asarray(image, dtype=np.float32).reshape(image.height, image.width, -1) / 255.0
    return numbers
