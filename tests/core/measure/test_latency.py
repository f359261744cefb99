import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from support.fake_time import MILLISECOND, SECOND, FakeClock, TimedModel, images

from mlcvbench.contract import ArraySplit
from mlcvbench.errors import RequestError
from mlcvbench.measure.gpu import ClockWatch, Gpu, GpuState
from mlcvbench.measure.timing.latency import (
    MAX_STORED,
    PROFILES,
    combine,
    device_is_shared,
    measure,
    profile_named,
    refused,
    rotation,
    thinned,
)
from mlcvbench.measure.timing.one_process import ProcessTimes, Profile, WarmUp, time_process, warm_up
from mlcvbench.records.schema import ThroughputInfo

QUICK = PROFILES["quick"]


def test_the_profiles_are_those_of_the_protocol() -> None:
    rules = {name: (rule.count, rule.seconds, rule.cap, rule.processes) for name, rule in PROFILES.items()}

    assert rules == {"quick": (11, 1.0, 120.0, 1), "standard": (64, 10.0, 120.0, 1), "publish": (662, 60.0, 120.0, 5)}


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(RequestError) as caught:
        profile_named("off")

    assert str(caught.value) == "time=off: wanted quick, standard or publish to measure latency."


def test_stages_are_bracketed_apart_and_end_to_end_is_timed_by_itself() -> None:
    clock = FakeClock()
    model = TimedModel(clock, 2 * MILLISECOND, 5 * MILLISECOND, 1 * MILLISECOND)

    times = time_process(model, rotation(images(8)), QUICK, clock=clock)

    medians = {name: float(np.median(values)) / MILLISECOND for name, values in times.samples.items()}
    assert medians == {"end_to_end": 8.0, "preprocess": 2.0, "forward": 5.0, "postprocess": 1.0}


def test_timing_goes_on_until_count_and_seconds_are_both_reached() -> None:
    fast, slow = FakeClock(), FakeClock()

    many = time_process(TimedModel(fast, 0, MILLISECOND, 0), rotation(images(8)), QUICK, clock=fast)
    few = time_process(TimedModel(slow, 0, SECOND, 0), rotation(images(8)), QUICK, clock=slow)

    assert len(many.samples["forward"]) == 500  # two calls of 1 ms a round: 1 s
    assert len(few.samples["forward"]) == 11
    assert many.converged
    assert few.converged


def test_the_cap_ends_a_slow_timing_keeps_its_samples_and_says_so() -> None:
    clock = FakeClock()

    times = time_process(TimedModel(clock, 0, 15 * SECOND, 0), rotation(images(8)), QUICK, clock=clock)
    info = combine([times], ThroughputInfo()).latency["end_to_end"]

    assert (info.n, info.converged) == (4, False)
    assert info.median == pytest.approx(15.0)
    assert info.p50 is None


def test_the_rotation_holds_64_distinct_samples_spread_over_the_split_or_all_of_a_smaller_one() -> None:
    many = [str(batch.ids[0]) for batch in rotation(images(1000))]
    few = [str(batch.ids[0]) for batch in rotation(images(10))]

    assert len(set(many)) == 64
    assert (many[0], many[-1]) == ("00000", "00999")
    assert few == [f"{index:05d}" for index in range(10)]


def test_consecutive_calls_never_see_the_same_sample() -> None:
    clock = FakeClock()
    model = TimedModel(clock)

    times = time_process(model, rotation(images(100)), Profile(64, 0.1), clock=clock)

    timed = model.seen[times.warm_up.calls :]
    assert all(left != right for left, right in itertools.pairwise(timed))
    assert len(set(timed)) == 64


def test_warm_up_makes_ten_calls_when_times_are_steady() -> None:
    clock = FakeClock()

    warm = warm_up(TimedModel(clock), rotation(images(8)), clock=clock)

    assert warm == WarmUp(calls=10, seconds=0.01, settled=True)


def test_warm_up_goes_on_while_medians_of_five_still_move() -> None:
    clock = FakeClock()
    falling = TimedModel(clock, 0, lambda call: MILLISECOND * max(1.0, 10 * 0.8**call), 0)

    warm = warm_up(falling, rotation(images(8)), clock=clock)

    assert warm.settled
    assert 12 <= warm.calls <= 25


def test_warm_up_gives_up_after_sixty_seconds() -> None:
    clock = FakeClock()
    restless = TimedModel(clock, 0, lambda call: SECOND * (1 + call), 0)

    warm = warm_up(restless, rotation(images(8)), clock=clock)

    assert not warm.settled
    assert 60 <= warm.seconds < 75


def test_warm_up_calls_each_distinct_shape_twice() -> None:
    clock = FakeClock()
    model = TimedModel(clock)
    sizes = [4, 6, 8, 10, 12, 14, 16]
    split = ArraySplit("test", {"image": [np.zeros((s, s), np.uint8) for s in sizes]}, {"labels": np.zeros(7)})

    warm = warm_up(model, rotation(split), clock=clock)

    assert warm.calls == 14
    assert [model.seen.count(sample) for sample in dict.fromkeys(model.seen)] == [2] * 7


def test_a_whole_measurement_gives_four_stages_throughput_and_raw_samples() -> None:
    clock = FakeClock()

    result = measure(TimedModel(clock, 0, MILLISECOND, 0), images(100), QUICK, clock=clock)

    assert set(result.latency) == {"end_to_end", "preprocess", "forward", "postprocess"}
    assert result.samples["end_to_end"].dtype == np.int64
    assert result.latency["end_to_end"].median == pytest.approx(1e-3)
    assert result.throughput.batch == 64  # a call costs 1 ms whatever the batch; 256 images there are not
    assert result.throughput.images_per_s == pytest.approx(64_000)


def test_five_processes_give_a_prediction_interval_and_keep_their_samples_apart() -> None:
    processes = [
        ProcessTimes(
            {name: np.full(700, 1000 + k, np.int64) for name in ("end_to_end", "preprocess", "forward", "postprocess")},
            converged=k != 3,
            warm_up=WarmUp(10, 0.1, settled=True),
        )
        for k in range(5)
    ]

    result = combine(processes, ThroughputInfo())

    headline = result.latency["end_to_end"]
    assert headline.process_medians == pytest.approx((1.000e-6, 1.001e-6, 1.002e-6, 1.003e-6, 1.004e-6))
    assert headline.low < min(headline.process_medians) <= max(headline.process_medians) < headline.high
    assert headline.converged is False
    assert sorted(result.samples)[:2] == ["end_to_end.0", "end_to_end.1"]


def test_stored_samples_are_thinned_evenly_only_when_there_are_too_many() -> None:
    few, many = np.arange(MAX_STORED), np.arange(3 * MAX_STORED + 1)

    assert thinned(few) is few
    assert len(thinned(many)) <= MAX_STORED
    assert set(np.diff(thinned(many))) == {4}


def test_a_refused_timing_has_no_numbers_and_its_reason_everywhere() -> None:
    result = refused("refused: because")

    assert {info.reason for info in result.latency.values()} == {"refused: because"}
    assert {info.median for info in result.latency.values()} == {None}
    assert result.throughput.reason == "refused: because"


class FakeEvent:
    def __init__(self, cuda: "FakeCuda") -> None:
        self.cuda, self.when = cuda, 0.0

    def record(self) -> None:
        self.when = self.cuda.device_time

    def elapsed_time(self, other: "FakeEvent") -> float:
        return (other.when - self.when) / MILLISECOND


class FakeCuda:
    """A device with its own time line, which the host only joins when it synchronises."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock, self.device_time, self.syncs = clock, 0.0, 0

    def Event(self, enable_timing: bool) -> FakeEvent:  # noqa: N802 - torch's name
        assert enable_timing
        return FakeEvent(self)

    def synchronize(self) -> None:
        self.syncs += 1
        self.clock.now = max(self.clock.now, int(self.device_time))


class CudaModel(TimedModel):
    """Launches take 10 us on the host, kernels 4 ms on the device."""

    def __init__(self, clock: FakeClock, cuda: FakeCuda, launch: float = 10_000, kernel: float = 4e6) -> None:
        super().__init__(clock, 0, 0, 0, device="cuda")
        self.cuda, self.launch, self.kernel, self.syncs_at_forward = cuda, launch, kernel, []

    def forward(self, inputs: np.ndarray) -> np.ndarray:
        self.syncs_at_forward.append(self.cuda.syncs)
        self.clock.advance(self.launch)
        self.cuda.device_time = max(self.cuda.device_time, self.clock.now) + self.kernel
        return inputs


def fake_gpu(clock_mhz: list[int]) -> Gpu:
    readings = iter([*clock_mhz, *([clock_mhz[-1]] * 100_000)])
    gpu = Gpu(SimpleNamespace(NVMLError=RuntimeError), None)
    gpu.state = lambda: GpuState(next(readings), 60, 300.0, ("software_power_cap",))
    gpu.default_sm_mhz = lambda: 1000
    return gpu


def test_on_cuda_the_forward_is_timed_on_the_device_without_a_sync_inside_the_loop() -> None:
    clock = FakeClock()
    cuda = FakeCuda(clock)
    model = CudaModel(clock, cuda)

    times = time_process(model, rotation(images(64)), Profile(50, 0.01), clock=clock, cuda=cuda, gpu=fake_gpu([1000]))

    assert times.clocks["forward"] == "cuda_event"
    assert np.median(times.samples["forward"]) == 4 * MILLISECOND
    assert np.median(times.samples["forward_host"]) == pytest.approx(4.01 * MILLISECOND, rel=1e-3)
    assert times.host_bound is False
    longest = max(model.syncs_at_forward.count(value) for value in set(model.syncs_at_forward))
    assert longest >= 50


def test_a_model_that_launches_slower_than_it_computes_is_host_bound() -> None:
    clock = FakeClock()
    cuda = FakeCuda(clock)
    model = CudaModel(clock, cuda, launch=500_000, kernel=100_000)

    times = time_process(model, rotation(images(64)), Profile(50, 0.01), clock=clock, cuda=cuda, gpu=fake_gpu([1000]))

    assert times.host_bound is True
    assert combine([times], ThroughputInfo()).latency["forward"].host_bound is True


def test_samples_at_a_throttled_clock_are_dropped_and_counted() -> None:
    clock = FakeClock()
    cuda = FakeCuda(clock)
    model = CudaModel(clock, cuda)

    times = time_process(
        model,
        rotation(images(64)),
        Profile(200, 1.0),
        clock=clock,
        cuda=cuda,
        gpu=fake_gpu([1000] * 6 + [700] * 2 + [1000]),
    )

    assert sum(times.dropped.values()) > 0
    assert times.gpu["sm_mhz_min"] == 700
    assert times.gpu["throttle"] == ["software_power_cap"]
    kept = len(times.samples["end_to_end"])
    info = combine([times], ThroughputInfo()).latency["end_to_end"]
    assert (info.n, info.dropped) == (kept, times.dropped["end_to_end"])


def test_a_clock_reading_condemns_only_the_samples_nearest_to_it() -> None:
    states = iter([GpuState(1000), GpuState(700), GpuState(1000)])
    watch = ClockWatch(lambda: next(states), default_mhz=1000)
    for second in range(3):
        watch.poll(second * SECOND)

    slow = watch.slow(np.array([0, 0.4, 0.6, 1.4, 1.6, 9]) * SECOND)

    assert slow.tolist() == [False, False, True, True, False, False]


def test_the_clock_is_read_at_most_every_tenth_of_a_second() -> None:
    watch = ClockWatch(lambda: GpuState(1000), default_mhz=1000)

    for now in range(0, SECOND, MILLISECOND):
        watch.poll(now)

    assert len(watch.states) == 10


def test_without_a_known_default_clock_nothing_is_dropped() -> None:
    watch = ClockWatch(lambda: GpuState(None), default_mhz=None)
    watch.poll(0)

    assert not watch.slow(np.arange(3)).any()


def gpu_with_processes(pids: list[int]) -> Gpu:
    nvml = SimpleNamespace(
        NVMLError=RuntimeError,
        nvmlDeviceGetComputeRunningProcesses=lambda handle: [
            SimpleNamespace(pid=pid, usedGpuMemory=None) for pid in pids
        ],
    )
    return Gpu(nvml, None)


@pytest.mark.parametrize(
    ("pids", "others"), [([], 0), ([7], 0), ([7, 8], 0), ([7, 8, 9], 1), ([100], 0), ([100, 101], 1)]
)
def test_other_processes_on_the_gpu_are_told_from_ours(pids: list[int], others: int) -> None:
    assert gpu_with_processes(pids).others(frozenset((7, 8))) == others


def test_publish_is_refused_while_others_hold_the_gpu() -> None:
    model = TimedModel(FakeClock(), device="cuda")

    one = device_is_shared(model, gpu_with_processes([1_000_001, 1_000_002]))
    two = device_is_shared(model, gpu_with_processes([1_000_001, 1_000_002, 1_000_003]))

    assert one == "refused: 1 other process holds the GPU; use time=standard or wait"
    assert two == "refused: 2 other processes hold the GPU; use time=standard or wait"
    assert device_is_shared(model, gpu_with_processes([])) is None
    assert device_is_shared(TimedModel(FakeClock())) is None
