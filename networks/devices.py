"""Which GPU a process computes on, where several processes share one or more of them."""

import functools
import time

import torch

from evolution.errors import RunError

PATIENCE = 600  # seconds that a process waits for memory


@functools.cache
def freest_gpu(needed: int) -> torch.device:
    """The GPU with the most free memory, chosen once in a process, so that each sees what those before it have taken.

    Waits until one has `needed` bytes free, since a GPU that is full now may be shared by networks that are done soon;
    RunError after ten minutes of that.
    """
    end = time.monotonic() + PATIENCE
    while True:
        free = [torch.cuda.mem_get_info(device)[0] for device in range(torch.cuda.device_count())]
        if max(free) >= needed:
            return torch.device("cuda", free.index(max(free)))
        if time.monotonic() > end:
            raise RunError(
                f"no GPU has {needed / 2**20:.0f} MiB free (the freest {max(free) / 2**20:.0f} MiB); "
                "use fewer num_workers, or none of use_cuda"
            )
        time.sleep(1)
