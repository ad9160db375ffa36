"""Spreading a population over workers by joblib: processes, or threads where the work releases the GIL."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import joblib

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNKS_PER_WORKER = 4  # so that a worker with small networks does not wait long for one with large networks


class Workers:
    """A pool of workers that lives as long as the run. With one worker everything happens in this process."""

    def __init__(self, num_workers: int = 1, backend: str = "loky") -> None:
        self.num_workers = num_workers
        self.backend = backend
        self._parallel: joblib.Parallel | None = None

    def map(
        self,
        function: Callable[..., Sequence[Result]],
        items: Sequence[Item],
        *shared: Any,
        threads: bool = False,
    ) -> list[Result]:
        """`function(chunk, *shared)` for chunks of `items`; the results, one per item, in the order of the items.

        With `threads` the chunks go to threads of this process whatever the backend: for kernels that release the GIL.
        What a chunk's result holds must not depend on how the items were divided.
        """
        if self.num_workers == 1 or len(items) < 2:
            return list(function(items, *shared)) if len(items) else []
        chunks = divide(items, self.num_workers * CHUNKS_PER_WORKER)
        parallel = joblib.Parallel(n_jobs=self.num_workers, backend="threading") if threads else self._pool()
        results = parallel(joblib.delayed(function)(chunk, *shared) for chunk in chunks)
        return [result for chunk in results for result in chunk]

    def _pool(self) -> joblib.Parallel:
        if self._parallel is None:
            self._parallel = joblib.Parallel(n_jobs=self.num_workers, backend=self.backend)
        return self._parallel

    def close(self) -> None:
        """End the workers."""
        self._parallel = None


def divide(items: Sequence[Item], count: int) -> list[Sequence[Item]]:
    """At most `count` slices of `items`, in order, whose lengths differ by one at most; none is empty."""
    count = min(count, len(items))
    ends = [len(items) * i // count for i in range(count + 1)]
    return [items[start:end] for start, end in pairwise(ends)]
