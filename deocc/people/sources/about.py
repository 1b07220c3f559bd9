"""Facts about each public dataset, for help texts, licences, reports."""

from dataclasses import dataclass


@dataclass(frozen=True)
class About:
    """A public dataset.

    Attributes:
        title: its name and year.
        gives: the annotations of each person.
        licence: a summary of the owner's terms, for the column `licence` of people.csv.
    """

    title: str
    gives: str
    licence: str


ABOUT: dict[str, About] = {
    "ahp": About(
        "Amodal Human Perception (Zhou et al., CVPR 2021)",
        "whole masks of unoccluded people, pseudo-parsing of the training split",
        "annotations CC BY 4.0; non-commercial research only",
    ),
    "coco": About(
        "COCO instances (Lin et al., ECCV 2014)",
        "instance masks as polygons or run lengths",
        "annotations CC BY 4.0; each photo has its own Flickr licence",
    ),
    "voc": About(
        "PASCAL VOC 2012 segmentation, with SBD (Hariharan et al., ICCV 2011) if present",
        "instance masks as label pictures",
        "photos from Flickr under its terms; VOC and SBD ask to be cited",
    ),
    "lip": About(
        "Look Into Person, single person parsing (Gong et al., CVPR 2017)",
        "20-class parsing with true sides; the mask is where it is not background",
        "non-commercial research only",
    ),
    "openimages": About(
        "OpenImages v4 boxes (Kuznetsova et al., 2018)",
        "boxes; a segmenter makes the masks",
        "annotations CC BY 4.0; photos listed as CC BY 2.0",
    ),
    "objects365": About(
        "Objects365 (Shao et al., ICCV 2019)",
        "boxes; a segmenter makes the masks",
        "annotations CC BY 4.0; photos from Flickr under its terms",
    ),
    "cocoa": About(
        "COCO amodal (Zhu et al., CVPR 2017)",
        "whole masks as polygons, visible masks, depth order",
        "annotations of COCO photos; each photo has its own Flickr licence",
    ),
    "pennfudan": About(
        "Penn-Fudan pedestrians (Wang et al., ACCV 2007)",
        "instance masks as label pictures",
        "no licence is stated; research use",
    ),
    "ccp": About(
        "Clothing Co-Parsing (Yang et al., CVPR 2014)",
        "59 clothing classes of each pixel, mapped to LIP's",
        "research use; the repository carries an Apache 2.0 file",
    ),
}
