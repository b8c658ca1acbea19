"""Settings of every test: one thread each, since tests run side by side."""

import hypothesis
import torch

torch.set_num_threads(1)

hypothesis.settings.register_profile("tetviz", deadline=None, derandomize=True)
hypothesis.settings.load_profile("tetviz")
