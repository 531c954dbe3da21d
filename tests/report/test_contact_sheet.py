"""Contact sheets: where each pixel lands, and that equal images give equal files."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as pillow

from trueward.report.contact_sheet import contact_sheet, png_bytes


def ramp(count: int, channels: int = 1) -> np.ndarray:
    """Images of 2×2 pixels, all of different values."""
    pixels = np.linspace(0.0, 1.0, count * channels * 4)
    return pixels.reshape(count, channels, 2, 2)


def test_every_image_lies_where_it_should_enlarged_without_smoothing() -> None:
    images = ramp(5)
    sheet = np.asarray(contact_sheet(images, columns=3, scale=3))
    # Two rows of 6 pixels and three columns of 6, with 4 between and around.
    assert sheet.shape == (4 + 2 * 10, 4 + 3 * 10, 3)
    for place, image in enumerate(images):
        top, left = 4 + place // 3 * 10, 4 + place % 3 * 10
        expected = np.kron(np.rint(image[0] * 255), np.ones((3, 3)))
        for channel in range(3):
            assert (sheet[top : top + 6, left : left + 6, channel] == expected).all()
    assert (sheet[14:20, 24:30] == 255).all()  # the sixth place is empty
    assert (sheet[:4] == 255).all() and (sheet[:, :4] == 255).all()


def test_colours_stay_in_their_order() -> None:
    image = np.zeros((1, 3, 1, 1))
    image[0, 0] = 1.0
    assert np.asarray(contact_sheet(image, 1))[4, 4].tolist() == [255, 0, 0]


def test_values_outside_are_clipped_and_not_wrapped() -> None:
    sheet = np.asarray(contact_sheet(np.array([[[[1.7, -0.4]]]]), 1))
    assert sheet[4, 4:6, 0].tolist() == [255, 0]


def test_equal_images_give_equal_files_that_can_be_read() -> None:
    images, labels = ramp(4), ["0.1", "0.2", "a text that is far too long", ""]
    first, second = (png_bytes(contact_sheet(images, 2, labels, 8, row_labels=["a", "b"])) for _ in range(2))
    assert first == second
    assert (
        np.asarray(pillow.open(io.BytesIO(first)))
        == np.asarray(contact_sheet(images, 2, labels, 8, row_labels=["a", "b"]))
    ).all()
    changed = images.copy()
    changed[0, 0, 0, 0] = 0.5
    assert png_bytes(contact_sheet(changed, 2, labels, 8, row_labels=["a", "b"])) != first


def test_texts_stand_below_their_image_and_left_of_their_row() -> None:
    images = np.ones((2, 1, 2, 2))
    bare = np.asarray(contact_sheet(images, 1, scale=10))
    assert (bare == 255).all()
    below = np.asarray(contact_sheet(images, 1, ["", "7"], scale=10))
    assert (below[: 4 + 20 + 20] == 255).all() and (below[4 + 40 + 20 :] < 128).any()
    left = np.asarray(contact_sheet(images, 1, scale=10, row_labels=["7", ""]))
    added = left.shape[1] - bare.shape[1]
    assert added > 0 and (left[:24, : added + 4] < 128).any()
    assert (left[24:] == 255).all() and (left[:, added + 4 :] == 255).all()


def test_a_long_label_does_not_run_into_the_next_image() -> None:
    images = np.ones((2, 1, 4, 4))
    sheet = np.asarray(contact_sheet(images, 2, ["W" * 50, ""], scale=8))
    assert (sheet[:, 4 + 32 + 4 :] == 255).all() and (sheet < 128).any()


@pytest.mark.parametrize(
    ("images", "more", "message"),
    [
        (np.zeros((0, 1, 2, 2)), {}, "N ≥ 1"),
        (np.zeros((2, 2, 2)), {}, "shape"),
        (np.zeros((1, 2, 2, 2)), {}, "shape"),
        (np.full((1, 1, 2, 2), np.nan), {}, "not finite"),
        (np.zeros((1, 1, 2, 2)), {"scale": 0}, "scale"),
        (np.zeros((1, 1, 2, 2)), {"labels": ["a", "b"]}, "2 texts; expected 1"),
        (np.zeros((3, 1, 2, 2)), {"row_labels": ["a"]}, "1 texts; expected 2"),
    ],
)
def test_what_does_not_fit_is_said(images: np.ndarray, more: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        contact_sheet(images, 2, **more)
