"""One thread for torch: the tensors are small, and other tests run beside."""

import torch

torch.set_num_threads(1)
