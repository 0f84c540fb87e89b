"""The model process, for real: fakes as models, signals as accidents."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import uvloop

from shared.errors import ConfigurationError, ModelDirectoryError, UnavailableError
from shared.inference.batch_run import BatchTooLargeError
from shared.inference.batching import DynamicBatcher
from shared.inference.predictor import Failure
from shared.inference.worker import PredictError
from shared.metrics import BatcherMetrics
from tests.fakes import FAKE_INFO
from tests.shared.inference.fronts import Front, alive, serving

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    async with serving() as made:
        yield made


class TestStart:
    async def test_start_tells_the_model_and_where_it_runs(self) -> None:
        front = Front("load", Path(), 5.0)
        assert await front.worker.start() == FAKE_INFO
        assert front.readiness == []
        labels = {key: getattr(FAKE_INFO, key) for key in ("name", "version", "digest", "space")}
        assert front.registry.get_sample_value("diptych_model_info", {**labels, "device": "cpu fake"}) == 1
        await front.worker.close()

    async def test_it_is_ready_after_warmup(self, front: Front) -> None:
        assert front.readiness == [True]

    async def test_a_missing_model_is_one_line_and_no_traceback(self, capfd: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(ModelDirectoryError, match=r"^/models/text/model.toml: missing$"):
            await Front("load_without_model", Path("/models/text"), 5.0).worker.start()
        assert capfd.readouterr().err == ""

    async def test_a_library_that_is_not_installed_is_one_line_that_says_how_to_get_it(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(ConfigurationError, match=r"^library_of_nobody is not installed; .*diptych\[services\]"):
            await Front("load_without_library", Path(), 5.0).worker.start()
        assert capfd.readouterr().err == ""

    async def test_a_warm_up_that_is_given_up_tells_those_who_wait(self) -> None:
        front = Front("load", Path(), 5.0)
        await front.worker.start()
        os.kill(front.pid, signal.SIGSTOP)  # so that the warm-up does not end
        warming, waiting = asyncio.create_task(front.worker.warmup()), asyncio.create_task(front.lengths("a"))
        await asyncio.sleep(0.05)
        warming.cancel()
        with pytest.raises(UnavailableError, match="stopping"):
            await asyncio.wait_for(waiting, 20)
        await front.worker.close()

    async def test_a_defect_in_loading_is_told_and_its_traceback_logged_once(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(ConfigurationError, match=r"tests\.fakes:load_and_raise, loading: ZeroDivisionError"):
            await Front("load_and_raise", Path(), 5.0).worker.start()
        assert capfd.readouterr().err.count("Traceback") == 1

    async def test_a_process_killed_while_loading_is_told(self) -> None:
        with pytest.raises(ConfigurationError, match="loading: the model process ended with signal 9"):
            await Front("load_and_die", Path(), 5.0).worker.start()


class TestRun:
    async def test_a_batch_is_answered_in_order(self, front: Front) -> None:
        assert await front.lengths("ccc", "a", "bb") == [3, 1, 2]

    async def test_the_time_in_the_predictor_is_told(self, front: Front) -> None:
        assert 0.02 <= (await front.worker.run(["sleep 0.02"])).inference_seconds < 20

    async def test_a_bad_item_fails_alone(self, front: Front) -> None:
        bad, good = await front.lengths("fail", "good")
        assert isinstance(bad, Failure)
        assert good == 4

    async def test_messages_of_many_megabytes_pass(self, front: Front) -> None:
        large = ["x" * 20_000_000, "y"]
        assert await front.lengths(*large) == [20_000_000, 1]

    async def test_an_exception_fails_the_batch_and_the_process_lives_on(self, front: Front) -> None:
        pid = front.pid
        with pytest.raises(PredictError, match="ArithmeticError"):
            await front.lengths("raise")
        assert await front.lengths("a") == [1]
        assert front.pid == pid

    @pytest.mark.parametrize("order", ["memory", "allocate"])
    async def test_a_batch_too_large_for_the_memory_is_told_as_such(self, front: Front, order: str) -> None:
        with pytest.raises(BatchTooLargeError):
            await front.lengths(f"{order} 1", "a")
        assert await front.lengths(f"{order} 1") == [len(order) + 2]

    async def test_only_the_guilty_item_of_a_halved_batch_costs_a_traceback(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        async with serving() as front:
            for batch in (["a", "b", "raise", "c"], ["a", "b"], ["raise", "c"], ["raise"], ["c"]):
                with suppress(PredictError):
                    await front.lengths(*batch)
        log = capfd.readouterr().err
        assert log.count("Traceback") == 1
        assert "a batch of 4 raised ArithmeticError" in log

    async def test_an_item_that_cannot_be_sent_does_no_harm(self, front: Front) -> None:
        with pytest.raises(Exception, match="pickle"):
            await front.worker.run([lambda: None])
        assert await front.lengths("a") == [1]
        assert front.restarts == 0

    async def test_the_answer_to_a_cancelled_batch_meets_no_other_batch(self, front: Front) -> None:
        cancelled = asyncio.create_task(front.lengths("sleep 0.1"))
        await asyncio.sleep(0.02)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        assert await front.lengths("a") == [1]


class TestLoss:
    async def test_a_killed_process_fails_its_batch_and_is_replaced(self, front: Front) -> None:
        pid = front.pid
        batch = asyncio.create_task(front.lengths("hang"))
        await asyncio.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(UnavailableError, match="the model process ended with signal 9"):
            await batch
        assert front.readiness == [True, False]
        assert await front.lengths("a") == [1]
        assert front.readiness == [True, False, True]
        assert front.pid != pid
        assert front.restarts == 1

    def test_a_killed_process_is_replaced_on_the_loop_that_servers_run_on(self) -> None:
        """uvloop's child processes and sockets are not those of asyncio."""

        async def scenario() -> None:
            async with serving() as front:
                os.kill(front.pid, signal.SIGKILL)
                while front.readiness != [True, False, True]:
                    await asyncio.sleep(0.01)
                with pytest.raises(UnavailableError):
                    await front.lengths("die")
                assert await front.lengths("x" * 5_000_000, "a") == [5_000_000, 1]

        uvloop.run(scenario())

    async def test_a_process_killed_while_idle_is_replaced_unasked(self, front: Front) -> None:
        os.kill(front.pid, signal.SIGKILL)
        while front.readiness != [True, False, True]:
            await asyncio.sleep(0.01)
        assert await front.lengths("a") == [1]

    async def test_a_hung_process_is_killed_and_replaced(self) -> None:
        async with serving(hang_timeout_seconds=0.5) as front:
            pid = front.pid
            with pytest.raises(UnavailableError, match=r"hung for 0.5 s"):
                await front.lengths("hang")
            assert await front.lengths("a") == [1]
            assert not alive(pid)

    async def test_requests_that_wait_survive_a_killed_process(self, front: Front) -> None:
        batcher: DynamicBatcher[object, int] = DynamicBatcher(
            front.worker.run,
            bucket_sizes=(1, 2, 4, 8),
            max_queue_items=64,
            max_queue_bytes=1000,
            metrics=BatcherMetrics(front.registry),
        )
        async with batcher:
            lost = asyncio.create_task(batcher.submit(["hang"]))
            await asyncio.sleep(0.02)
            waiting = [asyncio.create_task(batcher.submit(["x" * n])) for n in range(1, 21)]
            await asyncio.sleep(0.02)
            os.kill(front.pid, signal.SIGKILL)
            with pytest.raises(UnavailableError):
                await lost
            assert [(await task).outputs for task in waiting] == [[n] for n in range(1, 21)]
        assert front.registry.get_sample_value("diptych_queue_depth") == 0

    async def test_a_model_that_only_raises_is_checked_and_replaced(self, front: Front) -> None:
        pid = front.pid
        for text in ("break", *"abcdefghijklmn"):
            with pytest.raises(PredictError):
                await front.lengths(text)
        with pytest.raises(UnavailableError):  # what the check was for
            await front.lengths("o")
        while front.readiness != [True, False, True]:
            await asyncio.sleep(0.01)
        assert await front.lengths("a") == [1]
        assert front.pid != pid

    async def test_items_that_all_raise_cost_a_warmup_now_and_then_but_not_the_process(self, front: Front) -> None:
        pid = front.pid
        for _ in range(40):
            with pytest.raises(PredictError):
                await front.lengths("raise")
        assert await front.lengths("warmups") == [1 + 40 // 16]
        assert front.pid == pid

    async def test_a_model_that_raises_now_and_then_is_not_checked(self, front: Front) -> None:
        for _ in range(20):
            with pytest.raises(PredictError):
                await front.lengths("raise")
            assert await front.lengths("a") == [1]
        assert await front.lengths("warmups") == [1]


class TestAnotherModel:
    async def test_a_directory_whose_model_changed_ends_the_service_at_the_next_restart(self, tmp_path: Path) -> None:
        (tmp_path / "name").write_text("first")
        async with serving("load_as_named", tmp_path) as front:
            (tmp_path / "name").write_text("second")
            os.kill(front.pid, signal.SIGKILL)
            assert "has another model than at the start" in await asyncio.wait_for(front.worker.failed(), 20)


class TestEnd:
    async def test_close_ends_the_process(self) -> None:
        async with serving() as front:
            pid = front.pid
        assert not alive(pid)
        assert "model" not in front.memory.pids
        with pytest.raises(UnavailableError):
            await front.lengths("a")

    async def test_the_process_ignores_the_signals_of_terminals_and_supervisors(self, front: Front) -> None:
        os.kill(front.pid, signal.SIGINT)
        os.kill(front.pid, signal.SIGTERM)
        assert await front.lengths("a") == [1]
        assert front.restarts == 0

    @pytest.mark.parametrize("batch", ["a", "hang"])
    def test_a_killed_front_end_takes_its_model_process_along(self, batch: str) -> None:
        parent = subprocess.Popen(
            [sys.executable, __file__, batch],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        time.sleep(0.05)
        parent.kill()
        parent.communicate()
        while alive(pid):
            time.sleep(0.01)


class TestImports:
    @pytest.mark.parametrize(
        ("module", "strangers"),
        [
            ("shared.inference.worker", {"torch", "numpy", "grpc"}),
            ("shared.inference.worker_process", {"torch", "numpy", "grpc", "asyncio", "prometheus_client"}),
        ],
    )
    def test_neither_process_imports_what_is_the_others(self, module: str, strangers: set[str]) -> None:
        script = f"import sys, {module}; print(*{strangers!r} & sys.modules.keys())"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        assert subprocess.check_output([sys.executable, "-c", script], env=environment).split() == []


async def _front_end(batch: str) -> None:
    async with serving() as front:
        print(front.pid, flush=True)
        await front.worker.run([batch])
        await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(_front_end(sys.argv[1]))
