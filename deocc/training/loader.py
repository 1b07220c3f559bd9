"""Endless, reproducible batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from deocc.errors import DeoccError
from deocc.occlusion import collate
from deocc.training.config import TrainConfig


class EpochDataset(Protocol):
    """A dataset whose items depend on (epoch, index) alone."""

    def __len__(self) -> int: ...
    def item(self, epoch: int, index: int) -> dict[str, Any]: ...


class _EpochView(Dataset):
    """A dataset addressed by (epoch, index), so that workers need not be notified of a new epoch."""

    def __init__(self, data: EpochDataset) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        return self.data.item(*key)


class EndlessBatches(Sampler[list[tuple[int, int]]]):
    """Endless batches of (epoch, index), shuffled anew each epoch; can begin at any step.

    Args:
        length: items of the dataset.
        batch_size: items a process and step.
        seed: of the order.
        start: first step, from 0.
        rank, world: this process and how many there are; each takes its share of a global batch.
    """

    def __init__(
        self, length: int, batch_size: int, seed: int, start: int = 0, rank: int = 0, world: int = 1
    ) -> None:
        if length <= 0:
            raise DeoccError("no training item; give people folders with people in split 'train'")
        self.length, self.batch_size, self.seed = length, batch_size, seed
        self.start, self.rank, self.world = start, rank, world

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        position = self.start * self.batch_size * self.world
        while True:
            globally = [self._item(position + k) for k in range(self.batch_size * self.world)]
            position += len(globally)
            yield globally[self.rank :: self.world]

    def _item(self, position: int) -> tuple[int, int]:
        epoch, place = divmod(position, self.length)
        if getattr(self, "_epoch", None) != epoch:
            self._epoch = epoch
            self._order = np.random.default_rng([self.seed, epoch]).permutation(self.length)
        return epoch, int(self._order[place])


def make_loader(
    data: EpochDataset, config: TrainConfig, start: int, rank: int = 0, world: int = 1
) -> DataLoader:
    """An endless loader of collated batches that begins at step `start`."""
    batches = EndlessBatches(len(data), config.batch_size, config.seed, start, rank, world)
    return DataLoader(
        _EpochView(data),
        batch_sampler=batches,
        num_workers=config.workers,
        collate_fn=collate,
        generator=torch.Generator().manual_seed(config.seed),  # keeps the global generator untouched
        prefetch_factor=4 if config.workers else None,
        pin_memory=torch.cuda.is_available(),
    )
