"""Guessing passwords becomes slow; who knows theirs is not kept out by those who guess elsewhere."""

from __future__ import annotations

from service.api.throttle import Throttle


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _failing(throttle: Throttle, times: int, name: str = "anna", address: str = "10.0.0.1") -> None:
    for _ in range(times):
        throttle.failed(name, address)


def test_after_the_last_try_the_wait_begins_and_ends() -> None:
    clock = _Clock()
    throttle = Throttle(tries=3, seconds=60, clock=clock)

    _failing(throttle, 2)
    assert throttle.wait_seconds("anna", "10.0.0.1") == 0
    _failing(throttle, 1)
    assert throttle.wait_seconds("anna", "10.0.0.1") == 60
    clock.now += 59.5
    assert throttle.wait_seconds("anna", "10.0.0.1") == 1
    clock.now += 1
    assert throttle.wait_seconds("anna", "10.0.0.1") == 0
    _failing(throttle, 1)
    assert throttle.wait_seconds("anna", "10.0.0.1") == 0


def test_the_owner_of_the_name_comes_in_from_elsewhere() -> None:
    throttle = Throttle(tries=3)
    _failing(throttle, 9, address="10.6.6.6")

    assert throttle.wait_seconds("anna", "10.6.6.6") > 0
    assert throttle.wait_seconds("anna", "10.0.0.1") == 0
    assert throttle.wait_seconds("bob", "10.6.6.6") == 0


def test_success_forgets_the_failures() -> None:
    throttle = Throttle(tries=3)
    _failing(throttle, 2)
    throttle.succeeded("anna", "10.0.0.1")
    _failing(throttle, 2)

    assert throttle.wait_seconds("anna", "10.0.0.1") == 0


def test_many_names_do_not_fill_the_memory() -> None:
    throttle = Throttle(tries=1, remembered=100)
    for number in range(1000):
        throttle.failed(f"name-{number}", "10.0.0.1")

    assert throttle.wait_seconds("name-999", "10.0.0.1") > 0
    assert throttle.wait_seconds("name-0", "10.0.0.1") == 0
