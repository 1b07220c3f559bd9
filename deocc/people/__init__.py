"""Sources of unoccluded people with whole masks."""

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
