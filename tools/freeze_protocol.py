"""Writes deocc/tables/protocol-VERSION.json, which pins the present presets for the tables.

With a new protocol, all stored rows belong to an earlier one. `PROTOCOL` in deocc/tables/protocol.py names
the current one.

    python tools/freeze_protocol.py 2
"""

import json
import sys

from deocc.io import write_json
from deocc.tables.protocol import protocol_path, protocol_values


def main(version: int) -> None:
    """Writes the file; an existing protocol is never changed."""
    path = protocol_path(version)
    if path.exists():
        raise SystemExit(f"error: {path.name} is frozen; choose the next version")
    write_json(path, {"protocol": version, "presets": json.loads(json.dumps(protocol_values()))})
    print(path.name)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].isdecimal():
        raise SystemExit(__doc__)
    main(int(sys.argv[1]))
