from mlcvbench.measure.timing.yardstick import Reading, compare, run


def test_equal_readings_are_quiet() -> None:
    info = compare(Reading(0.010, 0.01), Reading(0.0105, 0.01))

    assert (info.before, info.after, info.noisy) == (0.010, 0.0105, False)


def test_a_change_over_ten_percent_is_noisy_on_a_steady_machine() -> None:
    assert compare(Reading(0.010, 0.01), Reading(0.0112, 0.01)).noisy
    assert compare(Reading(0.010, 0.01), Reading(0.0088, 0.01)).noisy


def test_on_a_restless_machine_three_of_its_own_deviations_are_allowed() -> None:
    assert compare(Reading(0.010, 0.05), Reading(0.0112, 0.01)).noisy is False
    assert compare(Reading(0.010, 0.05), Reading(0.0117, 0.01)).noisy is True


def test_a_reading_is_a_positive_time_with_a_finite_deviation() -> None:
    reading = run()

    assert 0 < reading.seconds < 10
    assert reading.deviation >= 0
