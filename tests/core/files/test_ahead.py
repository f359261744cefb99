"""Reading ahead: the values of `map`, in its order, with its errors, read by several threads and never too far."""

from __future__ import annotations

import os
import threading
import time
import warnings
from contextvars import copy_context
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mlcvbench.contract import Batch, Split, Targets
from mlcvbench.errors import DataError
from mlcvbench.files import ahead as module
from mlcvbench.files import pillow_warnings
from mlcvbench.files.ahead import ahead, counting, counting_waits, noted, readers
from mlcvbench.files.images import read_image, turned_images
from mlcvbench.files.lazy_columns import file_column


def wait_until(condition) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@given(st.lists(st.integers(), max_size=40), st.integers(0, 5))
def test_values_are_those_of_map_in_its_order(items: list[int], count: int) -> None:
    with readers(count):
        assert list(ahead(lambda item: item * 2, items)) == [item * 2 for item in items]


def test_other_threads_read_while_the_taker_works() -> None:
    read: list[tuple[int, str]] = []

    def note(item: int) -> int:
        read.append((item, threading.current_thread().name))
        return item

    with readers(1):
        values = ahead(note, range(100))
        assert next(values) == 0
        wait_until(lambda: len(read) == 4)
        values.close()

    here = threading.current_thread().name
    assert [item for item, _ in sorted(read)] == [0, 1, 2, 3]
    assert any(name != here for _, name in read)


def test_the_taker_reads_as_well_rather_than_wait() -> None:
    started, names = threading.Event(), set()

    def slow(item: int) -> int:
        names.add(threading.current_thread().name)
        if item == 0:
            started.wait(10)
        elif item == 2:
            started.set()
        return item

    with readers(1):
        assert list(ahead(slow, range(5))) == [0, 1, 2, 3, 4]
    assert threading.current_thread().name in names


def test_what_waits_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    read: list[int] = []

    def note(item: int) -> int:
        read.append(item)
        return item

    with readers(4):
        values = ahead(note, range(100), size_of=lambda _: 1000)
        assert next(values) == 0
        time.sleep(0.1)
        assert len(read) <= 1 + 4 + 1
        assert list(values) == list(range(1, 100))


def test_what_is_in_reading_is_bounded_in_bytes_once_sizes_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_READ_BYTES", 3000)
    reading, most, lock = 0, [0], threading.Lock()

    def note(item: int) -> int:
        nonlocal reading
        with lock:
            reading += 1
            most.append(reading)
        time.sleep(0.002)
        with lock:
            reading -= 1
        return item

    with readers(8):
        assert list(ahead(note, range(60), size_of=lambda _: 1000)) == list(range(60))
    assert most[1] == 1
    assert 2 <= max(most) <= 3


def test_before_a_size_is_known_two_are_read_at_once() -> None:
    release, read = threading.Event(), list[int]()

    def wait(item: int) -> int:
        read.append(item)
        release.wait(10)
        return item

    with readers(8):
        values = ahead(wait, range(20), size_of=lambda _: 1000)
        first = threading.Thread(target=copy_context().run, args=(next, values))
        first.start()
        wait_until(lambda: len(read) == 2)
        time.sleep(0.05)
        assert len(read) == 2
        release.set()
        first.join()
        wait_until(lambda: len(read) > 8)
        values.close()


def test_an_interrupt_of_the_taker_does_not_wait_for_its_turn() -> None:
    started, taken = threading.Event(), list[int]()
    here = threading.current_thread()

    def read(item: int) -> int:
        if threading.current_thread() is here:
            started.set()
            raise KeyboardInterrupt
        started.wait(10)
        return item

    with readers(1), pytest.raises(KeyboardInterrupt):
        taken.extend(ahead(read, range(1000)))
    assert len(taken) < 3


def test_where_no_thread_can_be_started_the_taker_reads_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    start, started = threading.Thread.start, list[threading.Thread]()

    def scarce(thread: threading.Thread) -> None:
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", scarce)
    with readers(4):
        assert list(ahead(lambda item: item, range(50))) == list(range(50))
    assert len(started) == 1
    wait_until(lambda: not started[0].is_alive())


def test_what_is_read_ahead_does_not_read_ahead_itself() -> None:
    names: set[str] = set()
    waits: list[float] = []

    def inner(item: int) -> int:
        names.add(threading.current_thread().name)
        time.sleep(0.001)
        return item

    with readers(2), counting_waits(waits):
        assert list(ahead(lambda item: sum(ahead(inner, range(item))), range(30))) == [sum(range(n)) for n in range(30)]
    assert len(names) <= 3
    assert len(waits) == 1


@pytest.mark.parametrize("count", [0, 2])
def test_an_end_that_reading_raises_does_not_cut_the_values_short(count: int) -> None:
    def ends(item: int) -> int:
        if item == 5:
            raise StopIteration
        return item

    with readers(count), pytest.raises(RuntimeError, match="StopIteration"):
        list(ahead(ends, range(10)))


def test_an_error_comes_in_its_turn_and_ends_the_reading() -> None:
    read: list[int] = []

    def fail(item: int) -> int:
        read.append(item)
        if item in {3, 4}:
            raise DataError(f"item {item}")
        return item

    taken: list[int] = []
    with readers(3), pytest.raises(DataError, match="item 3"):
        taken.extend(ahead(fail, range(1000)))
    assert taken == [0, 1, 2]
    assert max(read) < 3 + 2 * 3 + 2


def test_no_thread_is_left_when_the_taker_goes() -> None:
    # As a set: threads that an earlier test left to end may end meanwhile.
    before = set(threading.enumerate())
    with readers(3):
        values = ahead(lambda item: item, range(1000))
        next(values)
        assert set(threading.enumerate()) - before
        values.close()
    wait_until(lambda: not set(threading.enumerate()) - before)


def test_nothing_is_read_before_it_is_asked_for_without_readers() -> None:
    read: list[int] = []
    with readers(0):
        values = ahead(read.append, range(10))
        next(values)
        time.sleep(0.02)
    assert read == [0]


def pictures(folder: Path, count: int = 12) -> list[Path]:
    paths = []
    for number in range(count):
        path = folder / f"{number}.jpg"
        exif = Image.Exif()
        exif[0x0112] = 6 if number % 2 else 1
        noise = np.random.default_rng(number).integers(0, 255, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path, exif=exif)
        paths.append(path)
    return paths


def test_pictures_are_the_same_and_those_turned_are_noted(tmp_path: Path) -> None:
    paths = pictures(tmp_path)
    alone = [read_image(path) for path in paths]

    with readers(3), turned_images() as turned:
        found = list(file_column(paths, read_image))

    assert all(np.array_equal(one, other) for one, other in zip(alone, found, strict=True))
    assert turned == set(paths[1::2])


def test_warnings_of_the_taker_stay_its_own_while_others_decode(tmp_path: Path) -> None:
    def model(image: np.ndarray) -> np.ndarray:
        warnings.warn("of the model", UserWarning, stacklevel=1)
        return image

    before = list(warnings.filters)
    with readers(2), pytest.warns(UserWarning, match="of the model"):
        assert len(list(map(model, file_column(pictures(tmp_path), read_image)))) == 12
    assert list(warnings.filters) == before


def test_filters_of_warnings_are_restored_after_columns_side_by_side(tmp_path: Path) -> None:
    paths, before = pictures(tmp_path), list(warnings.filters)

    with readers(2):
        for _ in zip(file_column(paths, read_image), file_column(paths, read_image), strict=False):
            pass
    assert list(warnings.filters) == before


@pytest.mark.parametrize("within", [True, False])
def test_filters_of_warnings_are_restored_when_the_taker_goes_whatever_it_did_to_them(
    tmp_path: Path, within: bool
) -> None:
    paths, before = pictures(tmp_path), list(warnings.filters)
    running = set(threading.enumerate())

    with readers(2):
        if within:
            values = iter(file_column(paths, read_image))
            next(values)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                values.close()
                wait_until(lambda: set(threading.enumerate()) <= running)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                values = iter(file_column(paths, read_image))
                next(values)
            values.close()
            wait_until(lambda: set(threading.enumerate()) <= running)
    assert list(warnings.filters) == before


def test_a_process_that_is_begun_by_a_copy_of_this_one_reads_pictures(tmp_path: Path) -> None:
    path = pictures(tmp_path, 1)[0]
    with pillow_warnings._SHARED._lock:  # held by a thread, as far as the child knows
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if read_image(path).size else 1)
            finally:
                os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


def test_a_damaged_picture_is_named_from_any_thread(tmp_path: Path) -> None:
    paths = pictures(tmp_path)
    paths[7].write_bytes(paths[7].read_bytes()[:400])

    with readers(3), pytest.raises(DataError, match=r"7\.jpg: cannot be decoded"):
        list(file_column(paths, read_image))


class Numbers(Split):
    """Samples that say which thread read them."""

    name = "test"
    ids = groups = np.array([f"{number:02d}" for number in range(20)])

    def __init__(self, *, threaded: bool) -> None:
        self.threaded, self.threads = threaded, set()

    def read(self, index) -> tuple[Batch, Targets]:
        self.threads.add(threading.current_thread().name)
        time.sleep(0.002)
        return Batch(self.ids[index], {"image": np.arange(20)[index]}), {}

    def targets(self) -> Targets:
        return {}

    def fingerprint(self) -> str:
        return "0" * 64


@pytest.mark.parametrize("threaded", [True, False])
def test_only_a_split_that_says_so_is_read_by_several_threads(threaded: bool) -> None:
    split = Numbers(threaded=threaded)
    part = split.take([3, 1, 2, 7, 5, 11])

    with readers(2):
        whole = [batch.inputs["image"].tolist() for batch in split.inputs(3)]
        chosen = [batch.inputs["image"].tolist() for batch in part.inputs(2)]

    assert [value for block in whole for value in block] == list(range(20))
    assert chosen == [[3, 1], [2, 7], [5, 11]]
    assert (len(split.threads) > 1) == threaded


def test_the_seconds_that_a_taker_waits_are_counted_and_its_own_work_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, waits = [0.0], []
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock[0])

    def slow(item: int) -> int:
        clock[0] += 1
        return item

    with counting_waits(waits), readers(0):
        for _ in ahead(slow, range(3)):
            clock[0] += 10
    list(ahead(slow, range(2)))

    assert waits == [3.0]


@pytest.mark.parametrize("count", [0, 3])
def test_what_is_read_of_a_whole_is_counted_by_its_taker_alone(count: int) -> None:
    def read(number: int) -> int:
        return sum(noted(range(number), number))  # a part of the whole, in a thread of its own or the taker's

    seen: list[tuple[int, int]] = []
    with readers(count), counting(lambda done, total: seen.append((done, total))):
        values = list(noted(ahead(read, [0, 0, 0]), 3))

    assert values == [0, 0, 0]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert list(noted("ab", 2)) == ["a", "b"]
    assert len(seen) == 3
