"""Stage 2's inputs for a case."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from deocc.errors import DeoccError
from deocc.evaluation.systems import recovery_system
from deocc.figures.colours import OUTSIDE
from deocc.figures.masks import enlarge
from deocc.masks import Frame, person_frame
from deocc.models import ContentRecoveryNet
from deocc.models.attention import ParsingGuidedAttention
from deocc.occlusion import OcclusionCase, Prompt, case_item, collate
from deocc.training.guidance import Guidance

if TYPE_CHECKING:
    from deocc.inference.deoccluder import Deoccluder


class Question(NamedTuple):
    """One case as stage 2's input.

    Attributes:
        case: of which the network sees `frame`.
        guidance: masks and body parts for stage 2.
        inputs: image 1 x 3 x S x S in [0, 1], M_v and M_a 1 x 1 x S x S, P_m and P_a 1 x 19 x S x S.
        hole, photo_mask: S x S bool: what is to be painted, what lies inside the photo.
    """

    case: OcclusionCase
    frame: Frame
    guidance: Guidance
    inputs: tuple[Tensor, ...]
    hole: np.ndarray
    photo_mask: np.ndarray

    def picture(self, size: int) -> np.ndarray:
        """The photo in the network's frame, grey outside; size x size x 3 uint8."""
        inside = self.frame.photo_mask(self.case.image.shape[:2], size)
        return np.where(inside[..., None], self.frame.crop_image(self.case.image, size), OUTSIDE)

    def hole_at(self, size: int) -> np.ndarray:
        """The hole at the network's resolution, each of its pixels a block; size x size bool."""
        return enlarge(self.hole.astype(np.uint8), size) > 0


def ask(deoccluder: Deoccluder, case: OcclusionCase, masks: str = "true") -> Question:
    """Stage 2's inputs for a case.

    Args:
        deoccluder: both stages.
        case: with ground truth.
        masks: "true", or "predicted": stage 1's answer from the case's initial mask.

    Raises:
        DeoccError: `masks` is unknown, or the case lacks what it names.
    """
    if masks not in ("true", "predicted"):
        raise DeoccError(f"masks={masks!r} is unknown; use 'true' or 'predicted'")
    prompt: Prompt = "modal" if masks == "true" else "initial"
    start = case.modal_mask if masks == "true" else case.initial_mask
    if start is None or case.amodal_mask is None:
        raise DeoccError(f"case {case.id}: {prompt}.png or amodal.png is missing; give a case that has both")
    frame = person_frame(start, photo_shape=start.shape)
    item = case_item(case, deoccluder.size, prompt, frame)
    batch = {name: value.to(deoccluder.device) for name, value in collate([item]).items()}
    system = recovery_system(deoccluder)
    guidance = system.true_guidance(batch) if masks == "true" else system.predicted_guidance(batch)
    hole, photo_mask = (
        m[0, 0].cpu().numpy() > 0 for m in (guidance.hole(batch["photo_mask"]), batch["photo_mask"])
    )
    return Question(case, frame, guidance, system.inputs(batch, guidance), hole, photo_mask)


def content_net(deoccluder: Deoccluder) -> ContentRecoveryNet:
    """Stage 2's network. Raises: DeoccError: it is not a `ContentRecoveryNet`."""
    if not isinstance(deoccluder.content_net, ContentRecoveryNet):
        name = type(deoccluder.content_net).__name__
        raise DeoccError(f"stage 2 is a {name}, which has no partial convolutions; use weights of deocc")
    return deoccluder.content_net


def attentions(network: ContentRecoveryNet) -> dict[str, ParsingGuidedAttention]:
    """The PGA modules of a network by place: "encoder 3", "encoder 5", "decoder 5", "decoder 3"."""
    places: dict[str, Any] = {f"encoder {k}": module for k, module in network.encoder_attention.items()}
    down = list(network.decoder_attention.items())[::-1]
    return places | {f"decoder {k}": module for k, module in down}


@contextmanager
def hooked(pairs: Sequence[tuple[nn.Module, Callable[..., None]]]) -> Iterator[None]:
    """Calls functions after their module's forward pass, (module, arguments, result), for a while."""
    handles = [module.register_forward_hook(hook) for module, hook in pairs]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
