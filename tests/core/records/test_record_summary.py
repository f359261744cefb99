"""A record on one screen, as a Python session prints it."""

from __future__ import annotations

from support.records import make_record

from mlcvbench.records.schema import ErrorInfo, Metric, NoticeInfo, Record, Retraction


def test_a_record_is_printed_on_one_screen():
    record = make_record(metrics={f"metric{number}": Metric(value=0.5) for number in range(7)})

    assert repr(record) == str(record)
    assert repr(record) == (
        "Record\n"
        f"id                   {record.run_id}\n"
        "status               ok\n"
        "model                knn (mlcvbench_knn 0.1.0)\n"
        "data                 digits/test, n = 1000, 13fc162e2eb9\n"
        "protocol             top1/single-crop@1\n"
        "seed                 0\n"
        "trust                reported\n"
        "metric0              50.00 %\n"
        "metric1              50.00 %\n"
        "metric2              50.00 %\n"
        "metric3              50.00 %\n"
        "metric4              50.00 %\n"
        "... and 2 more metrics\n"
        "end_to_end, batch 1  1.5 ms (median) [1.43 ms, 1.59 ms], p99 -, n = 64, 1 pro...\n"
        "throughput           5,000 images/s at batch 64\n"
        "MACs / FLOPs         1.23 M / 2.47 M\n"
        "parameters           61,800 trainable, 247 kB fitted"
    )


def test_a_record_with_everything_still_fits():
    record = full_record()

    lines = repr(record).splitlines()

    assert len(lines) == 24
    assert max(map(len, lines)) == 80
    assert lines[-1] == "..."


def full_record() -> Record:
    """A record in which every part has more lines than there is room for."""
    return make_record(
        status="error",
        error=ErrorInfo(stage="fit", type="ValueError", message=f"line one\nline two {'x' * 200}"),
        retraction=Retraction(date="2026-11-30", reason="wrong data"),
        notices=tuple(NoticeInfo(code=f"notice-{number}", text="word " * 40) for number in range(9)),
        metrics={f"metric{number}": Metric(value=0.5) for number in range(30)},
        checks={
            name: {"passed": False, "detail": "differs"}
            for name in ("batch_invariant", "deterministic", "timed_equals_scored", "replay")
        },
    )


def test_a_failed_run_says_why():
    record = make_record(status="error", error=ErrorInfo(stage="fit", type="ValueError", message="no such kernel"))

    assert "\nfit                  no such kernel\n" in repr(record)
