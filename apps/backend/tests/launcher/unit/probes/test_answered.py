"""A watch outlives the checks that break their own promises."""

from __future__ import annotations

import asyncio

import pytest

from launcher.probes import runner
from launcher.probes.checks.result import CheckResult
from launcher.probes.runner import answered


async def test_an_answer_is_passed_on() -> None:
    """What a check says is what is told."""

    async def good() -> CheckResult:
        return CheckResult(True, 0.25)

    assert await answered(good(), 1.0) == CheckResult(True, 0.25)


async def test_a_check_that_does_not_end_costs_one_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither silence nor a swallowed cancellation holds the watch up; where the check was is logged."""
    monkeypatch.setattr(runner, "OVERDUE", 0.0)
    released = asyncio.Event()

    async def stubborn() -> CheckResult:
        while True:
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue
            return CheckResult(True, 0.0)

    result = await answered(stubborn(), 0.01)
    released.set()
    assert (result.ok, result.reason) == (False, "its check did not end within 0.01 s")
    assert "stubborn" in caplog.text


async def test_a_check_that_raises_costs_one_answer(caplog: pytest.LogCaptureFixture) -> None:
    """An error in a check is a failed check, told by its type, with the whole of it in the log."""

    async def broken() -> CheckResult:
        raise LookupError("secret")

    result = await answered(broken(), 1.0)
    assert (result.ok, result.reason) == (False, "its check failed with LookupError")
    assert "LookupError" in caplog.text


async def test_whoever_gives_up_the_watch_ends_the_check() -> None:
    """A cancelled watch leaves no check behind."""
    begun = asyncio.Event()
    ended = asyncio.Event()

    async def long() -> CheckResult:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    watch = asyncio.create_task(answered(long(), 60.0))
    await begun.wait()
    watch.cancel()
    await asyncio.wait((watch,))
    await ended.wait()
    assert watch.cancelled()
