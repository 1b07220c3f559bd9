"""The datasets of `deocc people fetch` as data.

A checksum is given only if a well-maintained library publishes it; else it is None. Sizes are the
`Content-Length` of the file's host; None if unknown.
"""

from dataclasses import dataclass

from deocc.people.sources.about import ABOUT

COCO_HOST = "http://images.cocodataset.org"
OPENIMAGES = "https://storage.googleapis.com/openimages/2018_04"
HUB = "$TORCH_HOME/hub/checkpoints"  # torchvision's own place for weights


@dataclass(frozen=True)
class RemoteFile:
    """A file on a public host.

    Attributes:
        url: its address.
        size: bytes, or None if unknown.
        checksum: "sha256:..." or "md5:..." in hexadecimal digits (the first 8 or more are enough, as in
            torchvision's file names), or None if nobody publishes one.
        into: subfolder of the dataset's folder.
        strip: whether to drop the archive's single top folder.
    """

    url: str
    size: int | None = None
    checksum: str | None = None
    into: str = ""
    strip: bool = False

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.split("?")[0].rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Original:
    """A public dataset, or a part of one, that can be fetched.

    Attributes:
        title: its full name.
        licence: a summary of the owner's terms.
        page: the owner's page; a manual download starts there.
        folder: subfolder of the folder of all originals.
        files: files to download; empty if the owner's host does not allow it.
        by_hand: steps that the user must do by hand, or "".
    """

    title: str
    licence: str
    page: str
    folder: str
    files: tuple[RemoteFile, ...] = ()
    by_hand: str = ""


def _of(source: str, page: str, files: tuple[RemoteFile, ...] = (), by_hand: str = "",
        title: str = "") -> Original:  # fmt: skip
    about = ABOUT[source]
    return Original(title or about.title, about.licence, page, source, files, by_hand)


# Checksums of COCO and VOC: torchvision (its prototype datasets, datasets/voc.py, datasets/sbd.py).
COCO_ANNOTATIONS = RemoteFile(
    f"{COCO_HOST}/annotations/annotations_trainval2017.zip", 252_907_541,
    "sha256:113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
)  # fmt: skip
COCO_VAL = RemoteFile(
    f"{COCO_HOST}/zips/val2017.zip", 815_585_330,
    "sha256:4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
)  # fmt: skip
COCO_TRAIN = RemoteFile(
    f"{COCO_HOST}/zips/train2017.zip", 19_336_861_798,
    "sha256:69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
)  # fmt: skip
COCO_2014 = (
    RemoteFile(
        f"{COCO_HOST}/zips/train2014.zip", None,
        "sha256:ede4087e640bddba550e090eae701092534b554b42b05ac33f0300b984b31775",
    ),
    RemoteFile(
        f"{COCO_HOST}/zips/val2014.zip", None,
        "sha256:fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0",
    ),
)  # fmt: skip
VOC = RemoteFile(
    "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar", None,
    "md5:6cd6e144f989b92b3379bac3b3de84fd",
)  # fmt: skip
SBD = RemoteFile(
    "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz",
    None, "md5:82b4d87ceb2ed10f6038a1cba92111cb",
)  # fmt: skip
CCP_COMMIT = "fe34fb77721a9973fbae92c05f7f12b664d10110"
WEIGHTS_LICENCE = "BSD 3-Clause (torchvision); trained on COCO, whose photos have licences of their own"
WEIGHTS_PAGE = "https://docs.pytorch.org/vision/stable/models.html"

ORIGINALS: dict[str, Original] = {
    "coco": _of("coco", "https://cocodataset.org/#download", (COCO_ANNOTATIONS, COCO_VAL, COCO_TRAIN)),
    "coco-val": _of(
        "coco", "https://cocodataset.org/#download", (COCO_ANNOTATIONS, COCO_VAL),
        title="COCO 2017, the 5,000 validation photos alone",
    ),
    "voc": _of("voc", "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/", (VOC, SBD)),
    "pennfudan": _of(
        "pennfudan", "https://www.cis.upenn.edu/~jshi/ped_html/",
        (RemoteFile("https://www.cis.upenn.edu/~jshi/ped_html/PennFudanPed.zip", 53_723_336),),
    ),
    "ccp": _of(
        "ccp", "https://github.com/bearpaw/clothing-co-parsing",
        (RemoteFile(f"https://github.com/bearpaw/clothing-co-parsing/archive/{CCP_COMMIT}.zip", strip=True),),
    ),
    "cocoa": _of(
        "cocoa", "https://github.com/Wakeupbuddy/amodalAPI", COCO_2014,
        by_hand="the annotations, COCO_amodal_train2014.json and COCO_amodal_val2014.json, are linked from "
        "the page and go into the folder annotations",
    ),
    "openimages": _of(
        "openimages", "https://storage.googleapis.com/openimages/web/download_v4.html",
        (
            RemoteFile(f"{OPENIMAGES}/class-descriptions-boxable.csv"),
            RemoteFile(f"{OPENIMAGES}/validation/validation-annotations-bbox.csv"),
            RemoteFile(f"{OPENIMAGES}/train/train-annotations-bbox.csv"),
        ),
        by_hand="the photos (validation 12 GB, train 500 GB) are fetched as the page says, into the folders "
        "validation and train",
    ),
    "objects365": _of(
        "objects365", "https://www.objects365.org/download.html",
        by_hand="the owner asks to register on the page; unpack the annotations and the photos here",
    ),
    "lip": _of(
        "lip", "https://sysuhcp.github.io/lip/",
        by_hand="the page links to a file share: get the single-person parsing archives and unpack them here",
    ),
    "ahp": _of(
        "ahp", "https://sydney0zq.github.io/ahp/",
        by_hand="the page links to a file share: get the archive and unpack it here",
    ),
    "maskrcnn": Original(
        "weights of torchvision's Mask R-CNN (ResNet-50 FPN v2), for boxes without masks",
        WEIGHTS_LICENCE, WEIGHTS_PAGE, HUB,
        (
            RemoteFile(
                "https://download.pytorch.org/models/maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth", None,
                "sha256:73cbd019",
            ),
        ),
    ),
    "deeplab": Original(
        "weights of torchvision's DeepLab v3 (ResNet-50), for boxes without masks",
        WEIGHTS_LICENCE, WEIGHTS_PAGE, HUB,
        (
            RemoteFile(
                "https://download.pytorch.org/models/deeplabv3_resnet50_coco-cd0a2569.pth", None,
                "sha256:cd0a2569",
            ),
        ),
    ),
}  # fmt: skip
"""Everything that `deocc people fetch` fetches or explains, by name."""
