"""SeGAN's painter (Ehsani et al. 2018): Pix2Pix on the person alone, with colours for hole and background."""

from __future__ import annotations

from torch import Tensor

from deocc.baselines.masks.pix2pix import TranslationUNet
from deocc.baselines.pixels.painting import Painter

HOLE, REST = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)  # red where to paint, blue where the person is not


def coloured(image: Tensor, hole: Tensor, amodal_mask: Tensor) -> Tensor:
    """The visible person, red where it is hidden, blue elsewhere: N x 3 x H x W.

    Args:
        image: N x 3 x H x W.
        hole, amodal_mask: N x 1 x H x W {0, 1}.
    """
    red, blue = (image.new_tensor(colour).view(1, 3, 1, 1) for colour in (HOLE, REST))
    hidden, visible = amodal_mask * hole, amodal_mask * (1 - hole)
    return image * visible + red * hidden + blue * (1 - amodal_mask)


class SeGANPainter(Painter):
    """U-Net of Pix2Pix from a picture in which colours say what is hidden and what is background.

    The original's: three input channels, masks coded by colour, and no background; Pix2Pix's U-Net, its
    PatchGAN with binary cross-entropy on input and output; L1 that weighs the hidden region more. Adapted:
    region weights are the preset's; the adversary sees the composite in the photo, and the masks as maps.

    Args:
        width: channels of the first level (64 in the original).
        levels: halvings of the resolution.
    """

    def __init__(self, width: int = 32, levels: int = 6) -> None:
        super().__init__()
        self.config = {"width": width, "levels": levels}
        self.net = TranslationUNet(3, 3, width, levels)

    def draw(self, image: Tensor, hole: Tensor, amodal_mask: Tensor) -> list[Tensor]:
        """See `Painter.draw`."""
        return [self.net(coloured(image, hole, amodal_mask) - 0.5).sigmoid()]
