import pytest
from support.fake_time import MILLISECOND, FakeClock, TimedModel, images

from mlcvbench.contract import ArraySplit, Batch, Predictions
from mlcvbench.measure.timing.throughput import measure_throughput


class PerImage(TimedModel):
    """Takes 1 ms a call and 0.1 ms per image; beyond `most` images it fails as `error`."""

    def __init__(self, clock: FakeClock, most: int = 10**6, error: BaseException | None = None) -> None:
        super().__init__(clock)
        self.most, self.error, self.sizes = most, error, []

    def predict(self, batch: Batch) -> Predictions:
        self.sizes.append(len(batch))
        if len(batch) > self.most and self.error is not None:
            raise self.error
        self.clock.advance(MILLISECOND + 0.1 * MILLISECOND * len(batch))
        return {}


def test_the_best_batch_size_and_the_whole_curve_are_reported() -> None:
    clock = FakeClock()

    info = measure_throughput(PerImage(clock), images(300), seconds=4.0, clock=clock)

    assert info.batch == 256
    assert {size: round(rate) for size, rate in info.curve.items()} == {"1": 909, "8": 4444, "64": 8649, "256": 9624}
    assert info.images_per_s == info.curve["256"]


def test_sizes_that_cannot_be_filled_or_would_not_fit_the_time_are_left_out() -> None:
    small, hasty = FakeClock(), FakeClock()

    filled = measure_throughput(PerImage(small), images(20), seconds=1.0, clock=small)
    timed = measure_throughput(PerImage(hasty), images(300), seconds=0.02, clock=hasty)

    assert list(filled.curve) == ["1", "8"]
    assert "256" not in timed.curve


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory"), RuntimeError("CUDA out of memory")],
)
def test_running_out_of_memory_ends_the_curve_and_keeps_what_was_measured(error: BaseException) -> None:
    clock = FakeClock()

    info = measure_throughput(PerImage(clock, most=8, error=error), images(300), seconds=1.0, clock=clock)

    assert list(info.curve) == ["1", "8"]
    assert info.batch == 8


def test_a_fault_of_the_model_is_not_taken_for_lack_of_memory() -> None:
    clock = FakeClock()

    with pytest.raises(RuntimeError, match="shape mismatch"):
        measure_throughput(
            PerImage(clock, most=8, error=RuntimeError("shape mismatch")), images(300), seconds=1.0, clock=clock
        )


def test_images_of_unequal_size_go_one_by_one() -> None:
    import numpy as np

    clock = FakeClock()
    split = ArraySplit("test", {"image": [np.zeros((s, s), np.uint8) for s in range(1, 20)]}, {"labels": np.zeros(19)})
    model = PerImage(clock)

    info = measure_throughput(model, split, seconds=1.0, clock=clock)

    assert list(info.curve) == ["1"]
    assert set(model.sizes) == {1}
