"""Settings of the whole test run."""

from __future__ import annotations

import torch

# Tests run side by side (pytest-xdist). Two processes of two threads on two cores wait for each
# other at every operation, which makes small networks many times slower than one thread each.
torch.set_num_threads(1)
