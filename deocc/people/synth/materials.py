"""Materials as rows of numbers, which a Numba kernel turns into colours at points.

Colours are linear RGB in [0, 1]. A point has 3-D pattern coordinates (metres, rest pose or object space), 2-D
surface coordinates (around, along; metres) and the distance to the garment's edge.
"""

import colorsys
from dataclasses import dataclass, replace

import numpy as np

from deocc.compiled import compiled
from deocc.people.synth.noise import fractal, noise, smoothstep

(
    PLAIN, HSTRIPE, VSTRIPE, CHECK, DOTS, FLORAL, CAMO, BLOCK, LOGO, SIDE, DENIM, HEATHER, SHOE, HAIR,
    SKIN, EYE, TILE, BRICK, PLANK, GRASS, ASPHALT, PLASTER, FACADE, FOLIAGE, SHELVES, CURTAIN, SAND,
    POSTER, WOOD, BARK, METAL, CARTON, LEAF, SIDING, LETTERS, CARPET, FUR, LIGHT,
) = range(38)  # fmt: skip
COLUMNS = 24  # of a material's row


@dataclass(frozen=True)
class Material:
    """The look of a surface.

    Attributes:
        pattern: one of this module's pattern numbers.
        colour, second, third: linear RGB; which parts they colour depends on the pattern.
        frequency: of the pattern, cells a metre; phase: shifts its noise; duty: share of the second colour.
        split: height at which BLOCK and SHOE change colour.
        seam: darken a line along garment edges (0 or 1).
        logo: half width and half height of a LOGO, metres.
        specular, gloss: strength and exponent of the highlight.
        wrap: how far light wraps around (soft skin, leaves).
        extra: beard strength of SKIN, strength of CARTON's tape, ...
    """

    pattern: int = PLAIN
    colour: tuple[float, ...] = (0.5, 0.5, 0.5)
    second: tuple[float, ...] = (0.5, 0.5, 0.5)
    third: tuple[float, ...] = (0.2, 0.2, 0.2)
    frequency: float = 20.0
    phase: float = 0.0
    duty: float = 0.5
    split: float = 0.0
    seam: float = 0.0
    logo: tuple[float, float] = (0.06, 0.05)
    specular: float = 0.04
    gloss: float = 20.0
    wrap: float = 0.06
    extra: float = 0.0

    def row(self) -> np.ndarray:
        """The material as `COLUMNS` float64 numbers."""
        values = (
            self.pattern,
            *self.colour,
            *self.second,
            *self.third,
            self.frequency,
            self.phase,
            self.duty,
            self.split,
            self.seam,
            *self.logo,
            self.specular,
            self.gloss,
            self.wrap,
            self.extra,
        )
        return np.array(values + (0.0,) * (COLUMNS - len(values)), np.float64)

    def but(self, **changes: object) -> "Material":
        """A copy with some attributes changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


def linear(srgb: np.ndarray | list[float] | tuple[float, ...]) -> tuple[float, ...]:
    """Linear RGB of an sRGB colour in [0, 1] (clipped)."""
    return tuple(float(v) for v in np.clip(np.asarray(srgb, float), 0, 1) ** 2.2)


def grey(level: float) -> tuple[float, ...]:
    """Linear RGB of an sRGB grey."""
    return linear([level, level, level])


def hsv(hue: float, saturation: float, value: float) -> tuple[float, ...]:
    """Linear RGB of a hue (turns), saturation and value (clipped to [0, 1])."""
    clipped = float(np.clip(saturation, 0, 1)), float(np.clip(value, 0, 1))
    return linear(colorsys.hsv_to_rgb(hue % 1, *clipped))


def cloth_colour(rng: np.random.Generator) -> tuple[float, ...]:
    """A random colour of clothes: a third greys, many blues, some browns, the rest any hue."""
    kind = rng.random()
    if kind < 0.36:
        level = rng.choice([0.07, 0.1, 0.16, 0.25, 0.4, 0.6, 0.8, 0.92])
        return linear(np.full(3, level) + rng.normal(0, 0.012, 3))
    if kind < 0.52:
        return hsv(rng.normal(0.61, 0.03), rng.uniform(0.3, 0.75), rng.uniform(0.15, 0.6))
    if kind < 0.68:
        return hsv(rng.normal(0.08, 0.03), rng.uniform(0.15, 0.6), rng.uniform(0.25, 0.85))
    return hsv(rng.random(), rng.beta(2, 3) * 0.85 + 0.05, rng.uniform(0.15, 0.85))


_WARDROBE: dict[str, tuple[tuple[int, ...], tuple[float, ...]]] = {
    "top": ((PLAIN, HSTRIPE, VSTRIPE, CHECK, DOTS, FLORAL, CAMO, HEATHER, BLOCK, LOGO),
            (0.36, 0.09, 0.06, 0.09, 0.04, 0.05, 0.02, 0.11, 0.04, 0.14)),
    "dress": ((PLAIN, HSTRIPE, VSTRIPE, CHECK, DOTS, FLORAL, HEATHER), (0.44, 0.08, 0.06, 0.08, 0.1, 0.2,
        0.04)),
    "pants": ((DENIM, PLAIN, CHECK, SIDE, HEATHER, CAMO), (0.40, 0.42, 0.03, 0.05, 0.07, 0.03)),
    "coat": ((PLAIN, HEATHER, CHECK, DENIM), (0.62, 0.22, 0.08, 0.08)),
    "small": ((PLAIN, HEATHER, HSTRIPE), (0.78, 0.13, 0.09)),
    "shoe": ((PLAIN,), (1.0,)),
}  # fmt: skip


def draw_cloth(rng: np.random.Generator, kind: str) -> Material:
    """A random fabric. Args: kind: "top", "dress", "pants", "coat", "small" (hats, socks ...) or "shoe"."""
    patterns, odds = _WARDROBE[kind]
    pattern = int(rng.choice(patterns, p=np.array(odds) / sum(odds)))
    colour, second = cloth_colour(rng), cloth_colour(rng)
    if pattern == DENIM:
        colour = hsv(0.6 + rng.normal(0, 0.02), rng.uniform(0.25, 0.65), rng.uniform(0.14, 0.6))
    if kind == "shoe" and rng.random() < 0.7:
        colour = grey(rng.choice([0.05, 0.08, 0.15, 0.3, 0.85, 0.92]))
    return Material(
        pattern,
        colour,
        second,
        third=linear([0.9, 0.85, 0.5]),
        frequency=rng.uniform(12, 45),
        phase=rng.uniform(0, 50),
        duty=rng.uniform(0.25, 0.7),
        split=rng.uniform(0.3, 0.45),
        seam=float(rng.random() < 0.7),
        logo=(rng.uniform(0.04, 0.1), rng.uniform(0.03, 0.09)),
        specular=float(rng.choice([0.02, 0.04, 0.12], p=[0.6, 0.3, 0.1])),
    )


@compiled(fastmath=True)
def _fraction(value: float) -> float:
    return value - np.floor(value)


@compiled(fastmath=True)
def _cloth(
    volume: np.ndarray, m: np.ndarray, x: float, y: float, z: float, u: float, v: float, out: np.ndarray
) -> None:
    """Colours of woven and printed patterns; `out` comes in as the first colour."""
    pattern, f, phase, duty = int(m[0]), m[10], m[11], m[12]
    use = False
    if pattern == HSTRIPE:
        use = _fraction(v * f + phase) < duty
    elif pattern == VSTRIPE:
        use = _fraction(u * f * 1.3 + phase) < duty * 0.5
    elif pattern == CHECK:
        a = 0.4 * (_fraction(v * f * 0.6 + phase) < 0.5) + 0.4 * (_fraction(u * f * 0.6 + phase) < 0.5)
        line = _fraction(v * f * 1.2 + phase) < 0.12 or _fraction(u * f * 1.2 + phase) < 0.12
        for k in range(3):
            out[k] = out[k] * (1 - a) + m[4 + k] * a
            if line:
                out[k] = 0.5 * out[k] + 0.3
    elif pattern == DOTS:
        a = _fraction(u * f + 0.5 * (np.floor(v * f) % 2)) - 0.5
        b = _fraction(v * f) - 0.5
        use = a * a + b * b < 0.07
    elif pattern == FLORAL:
        petals = noise(volume, x * f * 1.2 + phase, y * f * 1.2 + phase, z * f * 1.2 + phase)
        hearts = noise(volume, x * f * 0.9 + phase + 9, y * f * 0.9 + phase + 9, z * f * 0.9 + phase + 9)
        use = petals > 0.8 and hearts <= 1.1
        for k in range(3):
            out[k] = m[7 + k] if hearts > 1.1 else 0.5 * out[k] if petals < -1.1 else out[k]
    elif pattern == CAMO:
        blotch = fractal(volume, x * 9 + phase, y * 9 + phase, z * 9 + phase, 2.0)
        use = blotch > 0.3
        if blotch < -0.5:
            for k in range(3):
                out[k] *= 0.4
    elif pattern == BLOCK:
        use = z > m[13]
    elif pattern == LOGO:
        a, b = x / m[15], (z - 0.44) / m[16]
        r = a * a + b * b
        if y < -0.02 and r < 1:
            print_noise = noise(volume, x * 30 + phase, y * 30 + phase, z * 30 + phase)
            use = print_noise > -0.2 or abs(r - 0.8) < 0.15
    elif pattern == SIDE:
        use = abs(y) < 0.018 and abs(x) > 0.1
    elif pattern == DENIM:
        weave = 1 + 0.12 * min(
            max(noise(volume, x * 300 + phase, y * 300 + phase, z * 60 + phase), -2.0), 2.0
        )
        if y < 0:
            weave *= 1 + 0.8 * np.exp(-(((z + 0.1) / 0.17) ** 2) - ((abs(x) - 0.11) / 0.05) ** 2)
        if abs(y + 0.01) < 0.005:
            weave *= 0.6
        for k in range(3):
            out[k] *= weave
    elif pattern == HEATHER:
        weave = 1 + 0.22 * min(
            max(noise(volume, x * 220 + phase, y * 220 + phase, z * 220 + phase), -2.0), 2.0
        )
        for k in range(3):
            out[k] *= weave
    if use:
        for k in range(3):
            out[k] = m[4 + k]


@compiled(fastmath=True)
def _skin(
    volume: np.ndarray, m: np.ndarray, x: float, y: float, z: float, lips: float, out: np.ndarray
) -> None:
    """Skin with lips, brows, flushed cheeks and a beard; `m[13]` and `m[15]` hold the left eye's z and x."""
    mottle = 1 + 0.05 * fractal(volume, x * 14 + 3, y * 14 + 3, z * 14 + 3, 3.0)
    eye_z, eye_x = m[13], m[15]
    brow_x = abs(x) - eye_x
    brow_z = z - (eye_z + 0.021 - 8 * brow_x * brow_x + 0.1 * brow_x)
    brow = 0.75 if abs(brow_x) < 0.024 and abs(brow_z) < 0.0042 and y < -0.1 else 0.0
    cheek = np.exp(-(((abs(x) - 0.045) / 0.02) ** 2) - ((z - 0.79) / 0.02) ** 2) if y < -0.08 else 0.0
    beard = 0.75 * m[20] * smoothstep(0.80, 0.77, z) * (1 - lips) if y < -0.06 and z > 0.715 else 0.0
    for k in range(3):
        lip_colour = m[1 + k] * (0.85 if k == 0 else 0.5)
        value = m[1 + k] * mottle * (1 - lips) + lip_colour * lips
        value = value * (1 - brow) + 0.7 * m[4 + k] * brow
        value *= 1 - cheek * (0.0 if k == 0 else 0.13)
        out[k] = value * (1 - beard) + m[4 + k] * beard


@compiled(fastmath=True)
def _masonry(volume: np.ndarray, m: np.ndarray, u: float, v: float, blur: float, out: np.ndarray) -> None:
    """TILE, BRICK, SIDING and PLANK: cells with joints of the second colour."""
    pattern, phase = int(m[0]), m[11]
    if pattern == BRICK:
        width, height, joint = 0.24, 0.08, 0.007
    elif pattern == TILE:
        width, height, joint = m[12], m[12], 0.008
    elif pattern == SIDING:
        width, height, joint = 50.0, 0.16, 0.012
    else:
        width, height, joint = 1.9, 0.14, 0.006
    row = np.floor(v / height)
    shift = 0.5 * (row % 2) if pattern == BRICK else 0.37 * row if pattern == PLANK else 0.0
    cu = u / width + shift
    column = np.floor(cu)
    near_u = (0.5 - abs(cu - column - 0.5)) * width
    near_v = (0.5 - abs(v / height - row - 0.5)) * height
    cell = 1 + 0.14 * noise(volume, column * 1.37 + 0.37, row * 1.71 + 0.37, phase)
    if pattern == PLANK:
        cell += 0.14 * noise(volume, u * 4 + row * 3.1, v * 70, phase)
    else:
        cell += 0.07 * fractal(volume, u * 6, v * 6, phase, 3.0)
    fade = 1 / (1 + (blur / min(width, height)) ** 2)
    cell = 1 + (cell - 1) * fade
    reach = joint + 0.5 * blur  # joints finer than a pixel are drawn wider and fainter
    joined = min(joint / reach, 1.0) if near_u < reach or near_v < reach else 0.0
    for k in range(3):
        out[k] = m[4 + k] * joined * fade + out[k] * cell * (1 - joined * fade)


@compiled(fastmath=True)
def _facade(volume: np.ndarray, m: np.ndarray, u: float, v: float, out: np.ndarray) -> None:
    """A house front: rows of windows with frames, sills and uneven reflections in a plastered wall."""
    phase = m[11]
    width, height = m[12] * 4, 3.1
    column, row = np.floor(u / width), np.floor(v / height)
    a, b = u / width - column, v / height - row
    stain = 1 + 0.08 * fractal(volume, u * 0.8, v * 0.8, phase, 4.0)
    for k in range(3):
        out[k] *= stain
    half = 0.16 + 0.1 * _fraction(phase * 7.7)
    low, high = (0.28, 0.82) if row > 0 or _fraction(phase) < 0.5 else (0.02, 0.8)
    inside_u, inside_v = half - abs(a - 0.5), min(b - low, high - b)
    frame_u, frame_v = 0.07 / width, 0.07 / height
    if inside_u > -frame_u and inside_v > -frame_v:
        glass = inside_u > 0 and inside_v > 0 and abs(a - 0.5) * width > 0.025
        shine = 0.6 + 0.5 * fractal(volume, u * 0.9 + 3 * column, v * 0.9 + 2 * row, phase, 2.0)
        shine += 0.5 * noise(volume, column * 1.3 + 0.4, row * 1.7 + 0.4, phase)
        blind = glass and high - b < 0.35 * (high - low) * max(
            0.0, noise(volume, column * 2.3, row * 2.9, phase + 3)
        )
        shine *= 0.6 + 0.8 * (b - low) / (high - low)
        for k in range(3):
            pane = 0.35 + 0.3 * out[k] if blind else m[7 + k] * shine
            out[k] = max(pane, 0.01) if glass else m[4 + k]
    elif b < 0.02 and row > 0:
        for k in range(3):
            out[k] *= 0.7


@compiled(fastmath=True)
def _shelves(volume: np.ndarray, m: np.ndarray, u: float, v: float, out: np.ndarray) -> None:
    """Rows of book backs of many colours on boards of the second colour."""
    row = np.floor(v / 0.34)
    height = v - row * 0.34
    book = np.floor(u / 0.045)
    tone = noise(volume, book * 0.77 + 0.3, row * 1.9 + 0.3, m[11])
    top = 0.2 + 0.05 * noise(volume, book * 1.33 + 0.5, row * 1.3, m[11] + 9)
    if height < 0.03:
        for k in range(3):
            out[k] = m[4 + k]
    elif height - 0.03 > top or tone < -1.2:
        for k in range(3):
            out[k] = 0.02
    else:
        edge = 0.6 if _fraction(u / 0.045) < 0.12 else 1.0
        for k in range(3):
            hue = noise(volume, book * 0.77 + 0.3, row * 1.9 + 5.3 + 3.7 * k, m[11])
            out[k] = edge * max(0.02, (0.5 * out[k] + 0.12) * (1 + 0.28 * hue + 0.4 * tone))


@compiled(fastmath=True)
def _poster(volume: np.ndarray, m: np.ndarray, u: float, v: float, out: np.ndarray) -> None:
    """A picture of blobs and blocks of three colours."""
    f, phase = m[10], m[11]
    blob = fractal(volume, u * f * 0.12 + phase, v * f * 0.12, phase, 2.0)
    block = noise(volume, np.floor(u * f * 0.3) * 1.3 + 0.4, np.floor(v * f * 0.3) * 1.3 + 0.4, phase + 5)
    shade = 1 + 0.2 * fractal(volume, u * 3, v * 3, phase + 9, 3.0)
    for k in range(3):
        value = m[4 + k] if blob > 0.35 else m[7 + k] if block > 0.6 else out[k]
        out[k] = max(0.01, value * shade)


@compiled(fastmath=True)
def _ground(volume: np.ndarray, m: np.ndarray, u: float, v: float, blur: float, out: np.ndarray) -> None:
    """GRASS, ASPHALT, SAND, CARPET and PLASTER: noise at the scales each has."""
    pattern, phase = int(m[0]), m[11]
    broad = fractal(volume, u * 0.9, v * 0.9, phase, 4.0) + 1.2 * noise(volume, u * 0.25, v * 0.25, phase)
    fine, coarse = 1 / (1 + (60 * blur) ** 2), 1 / (1 + (20 * blur) ** 2)
    if pattern == GRASS:
        blades = fractal(volume, u * 26, v * 26, phase, 3.0)
        factor = 1 + 0.2 * broad + 0.36 * coarse * blades
        dry = smoothstep(0.3, 1.6, fractal(volume, u * 0.5 + 7, v * 0.5, phase, 3.0))
    elif pattern == ASPHALT:
        factor = 1 + 0.10 * broad + 0.16 * fine * noise(volume, u * 90, v * 90, phase)
        factor += 0.08 * coarse * noise(volume, u * 30, v * 30, phase)
        dry = 0.6 if abs(fractal(volume, u * 1.3, v * 1.3, phase + 4, 4.0)) < 0.02 * m[20] else 0.0
    elif pattern == SAND:
        factor = 1 + 0.16 * broad + 0.12 * coarse * fractal(volume, u * 9, v * 9, phase, 4.0)
        dry = 0.0
    elif pattern == CARPET:
        factor = 1 + 0.05 * broad + 0.16 * fine * noise(volume, u * 130, v * 130, phase)
        dry = smoothstep(0.75, 0.8, np.cos(u * m[10] * 0.6) * np.cos(v * m[10] * 0.6)) * m[12]
    else:
        factor = 1 + 0.07 * broad + 0.03 * fine * noise(volume, u * 40, v * 40, phase)
        dry = 0.0
    for k in range(3):
        out[k] = max(0.004, (out[k] * (1 - dry) + m[4 + k] * dry) * factor)


@compiled(fastmath=True)
def _object(
    volume: np.ndarray,
    m: np.ndarray,
    x: float,
    y: float,
    z: float,
    u: float,
    v: float,
    edge: float,
    out: np.ndarray,
) -> None:
    """FOLIAGE, CURTAIN, WOOD, BARK, METAL, CARTON, LEAF, LETTERS and FUR."""
    pattern, f, phase = int(m[0]), m[10], m[11]
    factor, mix = 1.0, 0.0
    if pattern == FOLIAGE:
        leaves = fractal(volume, u * 5, v * 5, phase, 4.0)
        factor = max(0.12, 0.8 + 0.55 * leaves)
        mix = 0.7 * smoothstep(0.5, 1.8, fractal(volume, u * 14, v * 14, phase + 3, 2.0))
    elif pattern == CURTAIN:
        factor = 0.78 + 0.25 * np.sin(u * f + 1.3 * noise(volume, u * 2, v * 0.6, phase))
    elif pattern == WOOD:
        ring = noise(volume, x * 9, y * 60, z * 60 + phase) + noise(volume, x * 3 + 7, y * 25, z * 25 + phase)
        factor = 1 + 0.14 * ring
    elif pattern == BARK:
        ridge = 1 - abs(noise(volume, u * 28, v * 7, phase))
        factor = 0.55 + 0.6 * ridge + 0.15 * noise(volume, u * 70, v * 40, phase)
        mix = 0.5 * smoothstep(0.6, 1.6, fractal(volume, u * 4, v * 4, phase + 5, 2.0))
    elif pattern == METAL:
        factor = 1 + 0.07 * fractal(volume, x * 6 + phase, y * 6, z * 6, 3.0)
        mix = m[20] * smoothstep(0.6, 1.4, fractal(volume, x * 9 + phase, y * 9, z * 9, 3.0))
    elif pattern == CARTON:
        factor = 1 + 0.05 * fractal(volume, x * 8 + phase, y * 8, z * 8, 3.0) + 0.03 * np.sin(u * 500)
        mix = 0.8 * m[20] if abs(u) < 0.025 else 0.0
        factor *= 0.75 if edge < 0.006 else 1.0
    elif pattern == LEAF:
        vein = abs(u) / 0.004
        factor = 1 + 0.15 * noise(volume, x * 30 + phase, y * 30, z * 30)
        mix = 0.45 * np.exp(-vein * vein)
    elif pattern == LETTERS:
        column, row = np.floor(u * f), np.floor(v * f * 0.5)
        ink = noise(volume, u * f * 3.1 + phase, v * f * 2.3, phase) > -0.1
        word = noise(volume, column * 0.9 + 0.5, row * 1.7 + 0.5, phase + 3) > -0.5
        line = _fraction(v * f * 0.5)
        mix = 1.0 if ink and word and 0.3 < line < 0.75 and edge > 0.03 else 0.0
        if edge < 0.012:
            mix = 1.0
    elif pattern == FUR:
        strands = noise(volume, x * 60 + phase, y * 60, z * 25) + 0.6 * noise(
            volume, x * 140, y * 140, z * 60 + phase
        )
        factor = 1 + 0.2 * strands
        mix = smoothstep(
            0.1, 0.5, fractal(volume, x * f * 0.2 + phase, y * f * 0.2, z * f * 0.2, 2.0) + m[12] - 0.6
        )
    for k in range(3):
        out[k] = max(0.003, (out[k] * (1 - mix) + m[4 + k] * mix) * factor)


@compiled(fastmath=True)
def albedo(
    volume: np.ndarray,
    materials: np.ndarray,
    material: np.ndarray,
    coords: np.ndarray,
    uv: np.ndarray,
    edges: np.ndarray,
    blurs: np.ndarray,
) -> np.ndarray:
    """Colours of materials at N points.

    Args:
        volume: `noise_volume()`.
        materials: M x COLUMNS; material: N row numbers.
        coords: N x 3 pattern coordinates; uv: N x 2 surface coordinates; edges: N distances to the edge; all
            metres (SKIN: u = lips).
        blurs: N, size of a pixel on the surface, metres; finer detail than that fades out.

    Returns:
        N x 3 linear RGB in [0, 1].
    """
    colours = np.empty((coords.shape[0], 3))
    for i in range(coords.shape[0]):
        m, out = materials[material[i]], colours[i]
        x, y, z, u, v = coords[i, 0], coords[i, 1], coords[i, 2], uv[i, 0], uv[i, 1]
        edge, blur, pattern = edges[i], blurs[i], int(m[0])
        for k in range(3):
            out[k] = m[1 + k]
        if pattern == SKIN:
            _skin(volume, m, x, y, z, u, out)
        elif pattern == HAIR:
            strand = (
                noise(volume, u * 900, v * 14, m[11]) * 0.28
                + noise(volume, u * 270, v * 14, m[11] + 3) * 0.25
            )
            factor = min(max(1 + strand, 0.25), 2.2)
            for k in range(3):
                out[k] *= factor
        elif pattern == EYE:
            radius = np.hypot(abs(x) - m[15], z - m[13])
            for k in range(3):
                out[k] = 0.01 if radius < 0.0035 else m[1 + k] if radius < 0.0075 else 0.75
        elif pattern < SHOE:
            _cloth(volume, m, x, y, z, u, v, out)
            worn = 1 + 0.05 * fractal(volume, x * 7 + m[11], y * 7, z * 7, 3.0)
            if m[14] > 0 and 0.006 < edge < 0.011:
                worn *= 0.72
            for k in range(3):
                out[k] *= worn
        elif pattern == SHOE:
            dark = 0.7 if edge < 0.012 else 1.0
            for k in range(3):
                out[k] = (m[4 + k] if z < m[13] else out[k]) * dark
        elif pattern in (TILE, BRICK, PLANK, SIDING):
            _masonry(volume, m, u, v, blur, out)
        elif pattern == FACADE:
            _facade(volume, m, u, v, out)
        elif pattern == SHELVES:
            _shelves(volume, m, u, v, out)
        elif pattern == POSTER:
            _poster(volume, m, u, v, out)
        elif pattern in (GRASS, ASPHALT, SAND, CARPET, PLASTER):
            _ground(volume, m, u, v, blur, out)
        elif pattern != LIGHT:
            _object(volume, m, x, y, z, u, v, edge, out)
        for k in range(3):
            out[k] = min(max(out[k], 0.0), 1.0)
    return colours
