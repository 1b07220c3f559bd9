"""What a run was trained on: one stretch of steps after the other.

A stretch is a JSON object: `step`, at which it began, and the facts that `train` was given. A run that is
resumed with other facts has more than one.
"""

from typing import Any

FREE = ("step", "command")  # facts that may change without a word
Stretch = dict[str, Any]


def changed(old: dict[str, Any], new: dict[str, Any]) -> str:
    """The values that differ, as "key old -> new, ..."; "" if none does."""
    return ", ".join(f"{key} {old.get(key)} -> {new[key]}" for key in new if old.get(key) != new[key])


def continued(stretches: list[Stretch], facts: dict[str, Any] | None, step: int) -> tuple[list[Stretch], str]:
    """The stretches of a run that goes on with these facts, and what is other than before, in words.

    Args:
        stretches: of its checkpoint; empty for a new run, and for checkpoints that do not say.
        facts: JSON values by name; None: unknown, nothing is compared.
        step: steps that are done.
    """
    if facts is None:
        return stretches, ""
    stretches = trained(stretches, step)
    last = stretches[-1] if stretches else {"step": 0}
    words = changed({**facts, **last}, {key: value for key, value in facts.items() if key not in FREE})
    begun = step if words else last["step"]
    kept = stretches if words and step > last["step"] else stretches[:-1]
    return [*kept, {"step": begun, **facts}], words


def trained(stretches: list[Stretch], step: int) -> list[Stretch]:
    """The stretches without those that had no step of their own; the first one stays."""
    return [one for number, one in enumerate(stretches) if number == 0 or one["step"] < step]


def told(stretches: list[Stretch], key: str) -> str:
    """A fact of every stretch, in words; of a run with one stretch, the fact alone."""
    if len(stretches) == 1:
        return str(stretches[0][key])
    return "; ".join(f"from step {one['step']}: {one[key]}" for one in stretches)
