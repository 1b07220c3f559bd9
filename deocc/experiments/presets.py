"""The presets tiny, small and paper: all sizes and schedules of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from deocc.checks import ANY, check_config, key_value
from deocc.errors import DeoccError
from deocc.occlusion.case import PasteOptions
from deocc.occlusion.mix import TrainingMix, named_mix
from deocc.occlusion.priors import Placement
from deocc.training.config import TrainConfig
from deocc.training.content import ContentSettings
from deocc.training.mask import MaskSettings
from deocc.training.settings import AdversarySettings, FeatureSettings


@dataclass(frozen=True)
class Stage:
    """One stage of a preset: what is trained, and how."""

    settings: Any  # MaskSettings or ContentSettings
    train: TrainConfig  # optimiser, length, logging
    mix: TrainingMix = TrainingMix()  # what the online training set draws


@dataclass(frozen=True)
class Preset:
    """Sizes and schedules of both stages; fields are changed with `override`."""

    name: str  # "tiny", "small" or "paper"
    size: int  # side of the networks' input, pixels
    mask: Stage  # stage 1
    content: Stage  # stage 2
    held_out: int = 128  # cases of the evaluation during training

    def __post_init__(self) -> None:
        check_config(self, f"preset {self.name}", {"size": (32, 4096), "held_out": (0, ANY)})
        if self.size % 32:
            raise DeoccError(f"preset {self.name}: size is {self.size}; expected a multiple of 32 pixels")


TINY = Preset(
    name="tiny",
    size=64,
    mask=Stage(
        MaskSettings(
            width=8,
            levels=4,
            templates=16,
            template_size=16,
            template_samples=512,
            half_parsing=True,
            features=FeatureSettings(every=4, size=32),
            adversary=AdversarySettings(width=8, every=2),
        ),
        TrainConfig(
            batch_size=8, steps=60, lr=2e-3, warmup_steps=10, ema_decay=0.95, workers=0,
            eval_every=30, checkpoint_every=30, log_every=5,
        ),
    ),
    content=Stage(
        ContentSettings(
            width=8,
            features=FeatureSettings(every=4, size=32),
            adversary=AdversarySettings(width=8, every=2),
        ),
        TrainConfig(
            batch_size=8, steps=60, optimizer="adam", lr=2e-3, weight_decay=0.0, warmup_steps=10,
            ema_decay=0.95, workers=0, eval_every=30, checkpoint_every=30, log_every=5,
        ),
    ),
    held_out=16,
)  # fmt: skip

SMALL_MIX = TrainingMix(
    true_mask=0.2,
    severity=(0.4, 1.5),
    placement=Placement(
        anywhere=0.4, grounded=0.15, ridden=0.1, held=0.08, person_in_front=0.14, border=0.06, surface=0.07
    ),
    behind=0.2,
    degrade=0.15,
    paste=PasteOptions(edge_spread=0.8, colour_match=0.5, match_sharpness=True, shadow=0.3),
)

"""Plain pasting in about half of the cases; else, occluders with natural places (`Placement`)."""

SMALL = Preset(
    name="small",
    size=128,
    mask=Stage(
        MaskSettings(
            width=24,
            stride=4,
            levels=4,
            trunk="lite0",
            half_parsing=True,
            invisible_extra=2.0,
            error_extra=4.0,
            soft_iou=0.25,
            features=FeatureSettings(every=8, size=32),
            adversary=AdversarySettings(width=16, every=8, weight=0.01, start=3000),
        ),
        TrainConfig(
            batch_size=16, max_minutes=90.0, lr=2e-3, warmup_steps=100, ema_decay=0.999, eval_every=1500,
            checkpoint_every=500, log_every=50,
        ),
        SMALL_MIX,
    ),
    content=Stage(
        ContentSettings(
            width=16,
            features=FeatureSettings(every=8, size=64),
            adversary=AdversarySettings(width=16, every=8, weight=0.02, start=500),
        ),
        TrainConfig(
            batch_size=16, max_minutes=90.0, optimizer="adam", lr=1e-3, weight_decay=0.0, warmup_steps=300,
            ema_decay=0.999, eval_every=1000, checkpoint_every=500, log_every=50,
        ),
        SMALL_MIX,
    ),
)  # fmt: skip

"""For a laptop without GPU. Differs from the paper: stage 1's pretrained trunk; AdamW with a cosine schedule
in place of SGD; soft-IoU term and heavier invisible pixels in stage 1; feature and adversarial terms on every
eighth step (weight x 8); occluders placed as in photos.
"""

PAPER = Preset(
    name="paper",
    size=256,
    mask=Stage(
        MaskSettings(width=64, features=FeatureSettings(size=256), adversary=AdversarySettings(width=64)),
        TrainConfig(
            batch_size=32, steps=56_000, optimizer="sgd", lr=1e-3, momentum=0.9, weight_decay=1e-4,
            schedule="constant", warmup_steps=0, grad_clip=0.0, discriminator_lr=1e-4, ema_decay=0.999,
            mixed_precision="bf16", workers=8, eval_every=2000, checkpoint_every=2000, log_every=100,
        ),
    ),
    content=Stage(
        ContentSettings(
            width=64,
            l1_hole=0.0,
            l1_valid=2.0,  # of the visible person; the released code counts I_o everywhere
            l1_composite=10.0,
            perceptual=0.05,
            style=0.25,
            style_whole=0.05,
            features=FeatureSettings(levels=(1, 2, 3), size=256),
            adversary=AdversarySettings(width=64, weight=0.1),
        ),
        TrainConfig(
            batch_size=16, steps=450_000, optimizer="adam", lr=1e-4, weight_decay=0.0, schedule="constant",
            warmup_steps=0, grad_clip=0.0, discriminator_lr=1e-4, ema_decay=0.999, mixed_precision="bf16",
            workers=8, eval_every=5000, checkpoint_every=5000, log_every=100,
        ),
    ),
    held_out=512,
)  # fmt: skip

"""The paper's sizes; steps, batch and learning rate of its parent (PCNets), as its own are unpublished.
Source: Sec. 5.1; claim `input_size`.
"""

PRESETS: dict[str, Preset] = {preset.name: preset for preset in (TINY, SMALL, PAPER)}


def get_preset(preset: str | Preset, changes: dict[str, Any] | None = None) -> Preset:
    """A preset by name, with changes by dotted key, such as {"mask.train.lr": 1e-3}.

    Raises:
        DeoccError: unknown preset or key.
    """
    if isinstance(preset, str) and preset not in PRESETS:
        raise DeoccError(f"preset {preset!r} is unknown; choose from {', '.join(PRESETS)}")
    chosen = PRESETS[preset] if isinstance(preset, str) else preset
    for key, value in (changes or {}).items():
        chosen = override(chosen, key.split("."), value)
    return chosen


def override(config: Any, path: Sequence[str], value: Any) -> Any:
    """A copy of nested dataclasses with one field changed. Raises: DeoccError: there is no such field."""
    names = [field.name for field in fields(config)]
    if path[0] not in names:
        raise DeoccError(f"unknown key {path[0]!r} in {type(config).__name__}; known: {', '.join(names)}")
    old = getattr(config, path[0])
    if isinstance(old, TrainingMix) and isinstance(value, str) and len(path) == 1:
        value = named_mix(value)
    if len(path) > 1 and not is_dataclass(old):
        raise DeoccError(f"key {path[0]!r} of {type(config).__name__} has no field {'.'.join(path[1:])!r}")
    if len(path) == 1 and is_dataclass(old) and not isinstance(value, type(old)):
        raise DeoccError(f"key {path[0]!r} holds a {type(old).__name__}; change its fields one by one")
    if len(path) == 1:
        _check_type(path[0], old, value)
        value = tuple(value) if isinstance(old, tuple) else value
    return replace(config, **{path[0]: override(old, path[1:], value) if len(path) > 1 else value})


def with_changes(settings: Any, mix: TrainingMix | Any, words: Sequence[str]) -> tuple[Any, Any]:
    """Settings and mix with fields changed by words such as "width=8" and "mix.cut=0.2".

    Raises:
        DeoccError: a word is no KEY=VALUE, or there is no such field.
    """
    for key, value in map(key_value, words):
        first, *rest = key.split(".")
        if first == "mix":
            mix = override(mix, rest, value)
        else:
            settings = override(settings, [first, *rest], value)
    return settings, mix


def _check_type(key: str, old: Any, value: Any) -> None:
    """Checks that a new value has the old one's type; any number fits a number, and None fits anything."""
    if old is None or value is None or is_dataclass(old):
        return
    kinds: dict[type, tuple[type, ...]] = {float: (float, int), tuple: (tuple, list)}
    allowed = kinds.get(type(old), (type(old),))
    if not isinstance(value, allowed) or (isinstance(value, bool) and not isinstance(old, bool)):
        raise DeoccError(f"key {key!r} is {value!r}; expected a {type(old).__name__} such as {old!r}")
