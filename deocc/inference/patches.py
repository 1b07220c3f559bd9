"""Compiled PatchMatch with guides: finds a visible pixel with similar surroundings for every hidden pixel.

Arrays have the size of one crop. A field is h x w x 2 int32 (row, column): the source of each target pixel;
-1 where there is none. Everything is deterministic: random draws use a state that callers pass.
"""

from typing import NamedTuple

import numpy as np

from deocc.compiled import compiled

RADIUS = 3  # patches of 7 x 7 pixels
LEAST = 12  # pixels that a patch has to share with its source
WORST = np.float32(1e9)
SLACK = np.float32(100)  # costs that differ by less, in squared grey levels, count as about equal


class Search(NamedTuple):
    """One level's arrays, as the compiled functions take them."""

    picture: np.ndarray  # h x w x 3 float32, the photo with the present estimate in the hole
    weight: np.ndarray  # h x w float32, what a pixel counts on the target's side
    clean: np.ndarray  # h x w bool, pixels whose colours count
    guides: np.ndarray  # h x w x K float32, compared at the centres of patches
    groups: np.ndarray  # h x w uint8, part of each pixel
    source: np.ndarray  # h x w bool, pixels that may be copied
    field: np.ndarray  # h x w x 2 int32, the source of each target
    cost: np.ndarray  # h x w float32, of that source
    tear: float  # what a tear between neighbours costs, see `_improve`


@compiled(fastmath=True)
def _draw(state: np.ndarray, limit: int) -> int:
    """The next whole number below a limit (xorshift); state: 1 uint64, changed in place."""
    x = state[0]
    x ^= x << np.uint64(13)
    x ^= x >> np.uint64(7)
    x ^= x << np.uint64(17)
    state[0] = x
    return int((x >> np.uint64(11)) % np.uint64(limit))


@compiled(fastmath=True)
def patch_cost(
    picture: np.ndarray,
    weight: np.ndarray,
    clean: np.ndarray,
    guides: np.ndarray,
    y: int,
    x: int,
    v: int,
    u: int,
    bound: float | np.floating,
) -> np.floating:
    """The difference between the surroundings of (y, x) and of its source (v, u).

    Args:
        picture: h x w x 3 float32, the photo with the present estimate in the hole.
        weight: h x w float32, what a pixel counts on the target's side.
        clean: h x w bool, what may be copied.
        guides: h x w x K float32, compared at the two centres.
        bound: costs above it need not be exact.

    Returns:
        Weighted mean squared difference over the shared pixels, plus the guides'.
    """
    height, width = weight.shape
    guide = np.float32(0)
    for k in range(guides.shape[2]):
        step = guides[y, x, k] - guides[v, u, k]
        guide += step * step
    if guide >= bound:
        return guide
    total, norm, count = np.float32(0), np.float32(0), 0
    for i in range(max(-RADIUS, -y, -v), min(RADIUS + 1, height - y, height - v)):
        for j in range(max(-RADIUS, -x, -u), min(RADIUS + 1, width - x, width - u)):
            share = weight[y + i, x + j]
            if share > 0 and clean[v + i, u + j]:
                a = picture[y + i, x + j, 0] - picture[v + i, u + j, 0]
                b = picture[y + i, x + j, 1] - picture[v + i, u + j, 1]
                c = picture[y + i, x + j, 2] - picture[v + i, u + j, 2]
                total += share * (a * a + b * b + c * c)
                norm += share
                count += 1
    return guide + total / norm if count >= LEAST else WORST


@compiled(fastmath=True)
def _cost(search: Search, y: int, x: int, v: int, u: int, bound: float | np.floating) -> np.floating:
    """`patch_cost` of one pair of pixels."""
    return patch_cost(search.picture, search.weight, search.clean, search.guides, y, x, v, u, bound)


@compiled(fastmath=True)
def _torn(field: np.ndarray, y: int, x: int, v: int, u: int) -> np.floating:
    """Share of the four neighbours of (y, x) whose sources are not the same neighbours of (v, u)."""
    height, width = field.shape[:2]
    apart, count = 0, 0
    for i, j in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        p, q = y + i, x + j
        if 0 <= p < height and 0 <= q < width and field[p, q, 0] >= 0:
            count += 1
            apart += field[p, q, 0] != v + i or field[p, q, 1] != u + j
    return np.float32(apart) / max(count, 1)


@compiled(fastmath=True)
def renew(
    search: Search,
    targets: np.ndarray,
    shifts: np.ndarray,
    pool: np.ndarray,
    first: np.ndarray,
    tries: int,
    state: np.ndarray,
) -> None:
    """Updates the costs of a field, then tries shifts and random sources, and keeps the best.

    Args:
        search: its field and costs are changed in place.
        targets: T x 2 int32, the hidden pixels to be filled.
        shifts: K x 3 int32, a part and the way (down, right) from its targets to sources.
        pool: S x 2 int32, the pixels that may be copied, by group.
        first: 257 int64, where each group starts in `pool`.
        tries: draws a pixel.
        state: 1 uint64, of the draws.
    """
    groups, source, field, cost = search.groups, search.source, search.field, search.cost
    for t in range(len(targets)):
        y, x = targets[t]
        for k in range(len(shifts)):
            v, u = y + shifts[k, 1], x + shifts[k, 2]
            inside = 0 <= v < len(source) and 0 <= u < source.shape[1]
            if field[y, x, 0] < 0 and shifts[k, 0] == groups[y, x] and inside and source[v, u]:
                if groups[v, u] == groups[y, x]:
                    field[y, x, 0], field[y, x, 1] = v, u
        v, u = field[y, x]
        cost[y, x] = _cost(search, y, x, v, u, WORST) if v >= 0 else WORST
    for t in range(len(targets)):
        y, x = targets[t]
        for k in range(len(shifts)):
            if shifts[k, 0] == groups[y, x]:
                _improve(search, y, x, y + shifts[k, 1], x + shifts[k, 2])
        low, count = first[groups[y, x]], first[groups[y, x] + 1] - first[groups[y, x]]
        for _ in range(tries if field[y, x, 0] >= 0 else tries + 4):
            v, u = pool[low + _draw(state, count)]
            if field[y, x, 0] < 0:  # any source is better than none
                field[y, x, 0], field[y, x, 1] = v, u
                cost[y, x] = _cost(search, y, x, v, u, WORST)
            else:
                _improve(search, y, x, v, u)


@compiled(fastmath=True)
def sweep(search: Search, targets: np.ndarray, back: bool, reach: int, state: np.ndarray) -> None:
    """One pass of PatchMatch: tries what the neighbours found, then draws ever nearer to the present source.

    Args:
        back: run from the last target to the first.
        reach: half side of the widest window of draws, pixels.
        search, targets, state: as of `renew`.
    """
    field = search.field
    height, width = search.weight.shape
    step = 1 if back else -1
    for index in range(len(targets)):
        y, x = targets[len(targets) - 1 - index if back else index]
        for k in range(2):
            p, q = (y + step, x) if k == 0 else (y, x + step)
            if 0 <= p < height and 0 <= q < width and field[p, q, 0] >= 0:
                _improve(search, y, x, field[p, q, 0] + y - p, field[p, q, 1] + x - q)
        span = reach
        while span >= 1:
            v = field[y, x, 0] + _draw(state, 2 * span + 1) - span
            u = field[y, x, 1] + _draw(state, 2 * span + 1) - span
            _improve(search, y, x, v, u)
            span //= 2


@compiled(fastmath=True)
def _improve(search: Search, y: int, x: int, v: int, u: int) -> None:
    """Makes (v, u) the source of (y, x) if it may be copied and is better.

    The better source has the smaller (cost + SLACK) * (1 + tear * share of neighbours it is torn from).
    """
    field, cost, groups = search.field, search.cost, search.groups
    height, width = groups.shape
    if v < 0 or u < 0 or v >= height or u >= width:
        return
    if not search.source[v, u] or groups[v, u] != groups[y, x]:
        return
    p, q = field[y, x]
    if v == p and u == q:
        return
    bound = WORST
    if p >= 0:
        bound = (cost[y, x] + SLACK) * (1 + search.tear * _torn(field, y, x, p, q))
    factor = 1 + search.tear * _torn(field, y, x, v, u)
    found = _cost(search, y, x, v, u, bound / factor - SLACK)
    if (found + SLACK) * factor < bound:
        cost[y, x] = found
        field[y, x, 0], field[y, x, 1] = v, u


@compiled(fastmath=True)
def vote(
    photo: np.ndarray, clean: np.ndarray, field: np.ndarray, targets: np.ndarray, spread: float
) -> np.ndarray:
    """Each target pixel as the mean of the values that its neighbours' sources propose.

    Args:
        photo: h x w x 3 float32.
        clean: h x w bool, what may be copied.
        field: h x w x 2 int32.
        targets: T x 2 int32.
        spread: standard deviation of the neighbours' weights in pixels; near 0, only the own source counts.

    Returns:
        T x 3 float32; nan where nothing may be copied.
    """
    height, width = clean.shape
    radius = min(RADIUS, int(np.ceil(2 * spread)))
    out = np.empty((len(targets), 3), np.float32)
    for t in range(len(targets)):
        y, x = targets[t]
        red, green, blue, norm = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for i in range(max(-radius, -y), min(radius + 1, height - y)):
            for j in range(max(-radius, -x), min(radius + 1, width - x)):
                v, u = field[y + i, x + j, 0] - i, field[y + i, x + j, 1] - j
                inside = 0 <= v < height and 0 <= u < width
                if field[y + i, x + j, 0] < 0 or not inside or not clean[v, u]:
                    continue
                share = np.float32(np.exp(-(i * i + j * j) / (2 * spread * spread + 1e-6)))
                red += share * photo[v, u, 0]
                green += share * photo[v, u, 1]
                blue += share * photo[v, u, 2]
                norm += share
        for k, value in enumerate((red, green, blue)):
            out[t, k] = value / norm if norm > 0 else np.nan
    return out
