"""What tests of training share: one thread, and models that several tests start from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from quantlab.job import Job
from quantlab.qat.start import Start
from tests.qat.networks import small_job, solved_network, start_of


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def job() -> Job:
    return small_job()


@pytest.fixture(scope="session")
def start(job: Job) -> Start:
    return start_of(job)


@pytest.fixture(scope="session")
def hard_job() -> Job:
    """The same function, hard to quantize: see `solved_network`."""
    return small_job(solved_network(spread=1000.0))


@pytest.fixture(scope="session")
def hard_start(hard_job: Job) -> Start:
    return start_of(hard_job)
