"""Input and output of files. A writer leaves a complete file or none."""

from deocc.io.files import (
    make_once,
    read_json,
    refuse_overwriting,
    remove_temporaries,
    require_writable,
    require_writable_file,
    temporary_of,
    whole_folder,
    write_atomic,
    write_json,
)
from deocc.io.masks import MaskFile, check_polarity, read_mask, read_mask_file
from deocc.io.names import PathLike, inside, safe_name
from deocc.io.pictures import (
    Photo,
    read_image,
    read_labels,
    read_parsing,
    read_photo,
    read_rgba,
    refuse_unclear_turn,
    write_image,
    write_mask,
    write_parsing,
)
from deocc.io.turns import turn

__all__ = [
    "MaskFile",
    "PathLike",
    "Photo",
    "check_polarity",
    "inside",
    "make_once",
    "read_image",
    "read_json",
    "read_labels",
    "read_mask",
    "read_mask_file",
    "read_parsing",
    "read_photo",
    "read_rgba",
    "refuse_overwriting",
    "refuse_unclear_turn",
    "remove_temporaries",
    "require_writable",
    "require_writable_file",
    "safe_name",
    "temporary_of",
    "turn",
    "whole_folder",
    "write_atomic",
    "write_image",
    "write_json",
    "write_mask",
    "write_parsing",
]
