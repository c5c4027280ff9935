"""Makes the pictures that the photo example uploads.

They are drawn by this script (sky, sun, hills, grain), so nobody's licence is needed; they are
files as cameras write them: JPEG and PNG, up to 48 megapixels, with Exif orientation and date.
"""

from __future__ import annotations

import io
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageOps

ORIENTATION = 0x0112
DATE_TIME_ORIGINAL = 0x9003
EXIF_IFD = 0x8769


class Picture(NamedTuple):
    """One file to upload, and what must come out."""

    name: str
    content_type: str
    content: bytes
    width: int
    """Pixels as a person sees it, after its orientation is applied."""
    height: int
    taken: str
    """When the camera took it, as Exif writes it; empty: it does not say."""


SCENES = (
    # name, form, width, height, orientation, date
    ("harbour.jpg", "JPEG", 4032, 3024, 1, "2024:05:17 09:12:44"),
    ("portrait.jpg", "JPEG", 4000, 3000, 6, "2025:02:28 17:03:09"),
    ("upside-down.jpg", "JPEG", 3264, 2448, 3, "2023:11:05 12:00:00"),
    ("left hand/side.jpg", "JPEG", 2592, 1944, 8, "2022:07:01 06:30:15"),
    ("panorama (48 MP).jpg", "JPEG", 8000, 6000, 1, "2026:01:31 08:45:00"),
    ("chart.png", "PNG", 1920, 1080, 1, ""),
    ("Zürich + lake.png", "PNG", 3000, 2000, 1, ""),
    ("small.jpg", "JPEG", 320, 240, 1, ""),
)


def scene(width: int, height: int, seed: int) -> Image.Image:
    """Draw a landscape whose colours and hills follow from a seed."""
    sky = Image.linear_gradient("L").resize((width // 8, height // 8))
    warm = (190 + seed * 7 % 60, 120 + seed * 13 % 80, 90 + seed * 29 % 60)
    cool = (30 + seed * 11 % 60, 70 + seed * 5 % 80, 140 + seed * 17 % 90)
    small = ImageOps.colorize(sky, black=cool, white=warm)
    grain = Image.effect_noise(small.size, 24).convert("RGB")
    small = Image.blend(small, grain, 0.15)
    draw = ImageDraw.Draw(small)
    across, down = small.size
    sun = across * (20 + seed * 9 % 60) // 100
    draw.ellipse((sun, down // 6, sun + down // 6, down // 3), fill=(255, 240, 200))
    for hill in range(4):
        top = down * (55 + 10 * hill) // 100
        left = across * (seed * (hill + 3) * 13 % 100 - 30) // 100
        shade = (20 + 18 * hill, 60 + 22 * hill - seed % 20, 30 + 9 * hill)
        draw.ellipse((left, top, left + across, top + down), fill=shade)
    return small.resize((width, height), Image.Resampling.BILINEAR)


def picture(
    name: str, form: str, size: tuple[int, int], orientation: int = 1, date: str = ""
) -> Picture:
    """Draw one picture and write it as a camera would."""
    width, height = size
    image = scene(width, height, sum(name.encode()))
    exif = Image.Exif()
    if orientation != 1:
        exif[ORIENTATION] = orientation
    if date:
        exif.get_ifd(EXIF_IFD)[DATE_TIME_ORIGINAL] = date
    out = io.BytesIO()
    if form == "JPEG":
        image.save(out, form, quality=88, exif=exif)
    else:
        image.save(out, form, compress_level=3)
    lying = orientation >= 5  # noqa: PLR2004 (Exif: 5 to 8 lie on their side)
    seen = (height, width) if lying else (width, height)
    return Picture(name, f"image/{form.lower()}", out.getvalue(), *seen, date)


def pictures() -> list[Picture]:
    """Return all pictures of the example."""
    return [
        picture(name, form, (width, height), orientation, date)
        for name, form, width, height, orientation, date in SCENES
    ]
