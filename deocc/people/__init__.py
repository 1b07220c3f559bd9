"""People: where unoccluded humans with whole masks come from."""

from deocc.people.folder import (
    Occluder,
    Occluders,
    PeopleFolder,
    Person,
    write_occluder,
    write_people,
    write_people_table,
    write_person,
)

__all__ = [
    "Occluder", "Occluders", "PeopleFolder", "Person", "write_occluder", "write_people", "write_people_table",
    "write_person",
]  # fmt: skip
