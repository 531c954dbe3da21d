"""Pictures of what the arms of an experiment make: on one sheet, and inside its page."""

from __future__ import annotations

import base64
import io
import re

import experiment_sample
import numpy as np
import pytest
from page_in_browser import Page
from PIL import Image

from trueward.report.experiment_html import render_experiment
from trueward.report.experiment_images import joined


def png(colour: str, size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_pictures_stand_below_their_names_as_many_abreast_as_fit() -> None:
    # 310 pixels with a gap: three in a thousand.
    pictures = {f"arm {number}": png("red", (294, 30)) for number in range(4)}
    sheet = np.asarray(Image.open(io.BytesIO(joined(pictures))))
    red = (sheet == (255, 0, 0)).all(axis=2)
    assert red.sum() == 4 * 294 * 30
    # Two rows of a line of text, a picture and a gap; three columns of a picture and a gap.
    assert [*np.flatnonzero(red.any(axis=1))] == [*range(38, 68), *range(106, 136)]
    assert [*np.flatnonzero(red[:70].any(axis=0))] == [*range(16, 310), *range(326, 620), *range(636, 930)]
    assert joined(pictures) == joined(pictures)


def test_a_wide_picture_is_reduced_and_none_is_refused() -> None:
    sheet = Image.open(io.BytesIO(joined({"wide": png("blue", (1280, 100))})))
    assert sheet.width == 640 + 2 * 16
    with pytest.raises(ValueError, match="no picture"):
        joined({})


def test_the_page_holds_the_pictures_and_may_show_no_others() -> None:
    picture = png("red", (8, 8))
    name = '"><script>alert(1)</script>'
    source = render_experiment(experiment_sample.document(), {name: picture})
    page = Page(source)
    [image] = [have for tag, have in page.elements if tag == "img"]
    assert image["src"] == f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    assert image["alt"] == name
    assert "alert(1)" not in "".join(page.scripts)
    [policy] = [have["content"] for _, have in page.elements if have.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None and "img-src data:;" in policy and policy.startswith("default-src 'none'")
    assert "What each arm makes" in page.words


def test_a_page_without_pictures_may_show_none() -> None:
    source = render_experiment(experiment_sample.document())
    assert not re.search("<img|img-src|What each arm makes", source)
