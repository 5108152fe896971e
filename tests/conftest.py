"""Settings of the whole test run."""

from __future__ import annotations

import torch
from hypothesis import settings

# Tests run side by side (pytest-xdist). Two processes of two threads on two cores wait for each
# other at every operation, which makes small networks many times slower than one thread each.
torch.set_num_threads(1)

# A machine that is busy is no fault of the code: no example has to be done in 200 ms.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
