"""Makes data/demo-cases: rendered people unseen in training, behind people-mini's val occluders.

    python tools/build_demo_cases.py

M_i is of severity 1.
"""

from deocc.occlusion import make_cases, write_case
from deocc.paths import DATA, PEOPLE_MINI
from deocc.people import PeopleFolder
from deocc.people.synth import render_person

FIRST_SEED, COUNT = 900_000, 12


def main() -> None:
    """Writes the cases; the same ones each time on one machine."""
    people = [render_person(FIRST_SEED + i) for i in range(COUNT)]
    occluders = PeopleFolder(PEOPLE_MINI).occluders("val")
    for case in make_cases(people, occluders, per_person=1, density=(0.15, 0.5), severity=1.0, seed=0):
        write_case(DATA / "demo-cases", case)


if __name__ == "__main__":
    main()
