"""The twelve departures of the released code from the paper, with a switch for each."""

from __future__ import annotations

from dataclasses import dataclass, fields

from deocc.errors import DeoccError


@dataclass(frozen=True)
class Departures:
    """The switches of the departures; by default all are off (the paper as written).

    The numbers are those of `DEPARTURES` and of the table in docs/departures.md.
    """

    argmax_masks: bool = False  # 1: L1 and perceptual distance of stage 1 compare argmax masks
    lonely_discriminator: bool = False  # 2: stage 1's network has no adversarial term
    erased_adversary: bool = False  # 3: stage 2's adversarial gradient is erased, and reaches the adversary
    dot_templates: bool = False  # 4: template weights are a softmax of dot products summed over pixels
    shrinking_convolutions: bool = False  # 5: partial convolutions divide by n, and multiply by nothing
    masked_amodal: bool = False  # 6: M_v and M_a are channels of the image, under its validity
    stale_validity: bool = False  # 7: attention leaves the validity as it was
    two_way_attention: bool = False  # 8: both softmax directions, over all positions, instead of eq. 6
    detached_parsing: bool = False  # 9: mask heads see detached parsing features through channel weights
    headless_discriminators: bool = False  # 9: five layers and four, which end in many channels
    tight_templates: bool = False  # 10: templates of tight boxes, stretched over the frame
    joined_masks: bool = False  # 11: predictions are M_a or M_m, and parsing within them

    @classmethod
    def only(cls, *names: str) -> Departures:
        """Some switches on, the others off. Raises: DeoccError: there is no such switch."""
        if unknown := sorted(set(names) - set(cls.names())):
            raise DeoccError(f"departure {unknown[0]!r} is unknown; choose from {', '.join(cls.names())}")
        return cls(**dict.fromkeys(names, True))

    @classmethod
    def released(cls) -> Departures:
        """All of them: the released code."""
        return cls.only(*cls.names())

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of the switches."""
        return tuple(field.name for field in fields(cls))


WRITTEN = Departures()
"""None: the paper as written."""

RELEASED = Departures.released()
"""All of them."""


@dataclass(frozen=True)
class Departure:
    """One departure.

    Attributes:
        number: 1 to 12, as in docs/departures.md.
        stage: "1", "2", "both" or "scores".
        paper: place in the paper.
        code: behaviour of the released code.
        written: text of the paper, followed by this package.
        names: switches of `Departures`, or functions and classes of `deocc.released`.
    """

    number: int
    stage: str
    paper: str
    code: str
    written: str
    names: tuple[str, ...]


DEPARTURES: tuple[Departure, ...] = (
    Departure(
        1, "1", "Eq. 3, Sec. 3.2",
        "L1 and perceptual distance compare `argmax` masks, which have no gradient",
        "a reconstruction loss trains the network", ("argmax_masks",),
    ),
    Departure(
        2, "1", "Eq. 3, table 4 row 2",
        "the network has no adversarial term; the discriminator trains alone, on `argmax` masks",
        "an adversarial loss trains the network", ("lonely_discriminator",),
    ),
    Departure(
        3, "2", "Eq. 7, Sec. 3.3",
        "`zero_grad()` erases the adversarial gradient before the network's step; the same term reaches the "
        "discriminator and asks it to call fakes real; its real term counts 0.01",
        "an adversarial loss trains the network", ("erased_adversary",),
    ),
    Departure(
        4, "1", "Sec. 3.2", "softmax of dot products of mask and template, summed over all pixels",
        "softmax of distances", ("dot_templates",),
    ),
    Departure(
        5, "2", "Sec. 3.3; Liu et al. 2018, eq. 1",
        "a partial convolution divides by the known entries and never multiplies by the window's size",
        "renormalised by window size over known entries", ("shrinking_convolutions",),
    ),
    Departure(
        6, "2", "Eq. 5, Sec. 3.3", "M_v and M_a are channels beside the image, zeroed where it is unknown",
        "M_a says where to paint", ("masked_amodal",),
    ),
    Departure(
        7, "2", "Sec. 3.3, fig. 3",
        "the validity stays as it was after the attention; the next layer drops what it wrote into holes",
        "attention fills the invisible region", ("stale_validity",),
    ),
    Departure(
        8, "2", "Eq. 6, Sec. 3.3",
        "softmax over rows and over columns, over all positions; a value convolution; channel weights "
        "in stream B, through which alone F reaches the fusion",
        "relevance of visible points for an invisible one; conv([F, b, t])", ("two_way_attention",),
    ),
    Departure(
        9, "both", "Supplement, fig. 1",
        "mask heads see parsing features detached, by channel weights; one convolution for two; "
        "discriminators of five and of four layers that end in 256 channels",
        "[F, parsing feature] trains as one; four-layer PatchGAN",
        ("detached_parsing", "headless_discriminators"),
    ),
    Departure(
        10, "1", "Sec. 3.2, 5.2",
        "hourglass of width 4 at full resolution, its parent's is 2; the clustering script makes 128 centres "
        "of tight boxes, the network loads 64 and stretches them over the frame",
        "size \"inherited for fair comparison\"; k-means of training masks",
        ("tight_templates", "FullResolutionNet"),
    ),
    Departure(
        11, "1", "not mentioned", "predictions are M_a or M_m, and parsing within them", "M_a as predicted",
        ("joined_masks",),
    ),
    Departure(
        12, "scores", "Sec. 5.1",
        "ground truth is pasted outside M_a before content is scored; the IoU of two empty masks is 0; "
        "two IoUs: mean over people, and over all pixels",
        "metrics without definition", ("pasted", "iou_empty_is_zero"),
    ),
)  # fmt: skip

"""Differences of the released code from the paper, found by reading the authors' public files."""
