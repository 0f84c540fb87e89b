"""Which replicas there are: what names resolve to, and what happens when one does not."""

from __future__ import annotations

import asyncio

import pytest

from shared.errors import UnavailableError
from shared.rpc.replica_pool import PoolOptions
from tests.gateway.behaviour import Behaviour
from tests.shared.rpc.pooling import PATIENT, all_serve, encode, fakes, pool_of

OFTEN = PoolOptions(resolve_seconds=0.05, replica_wait_seconds=20)


async def test_name_that_does_not_resolve_is_told() -> None:
    async def look_up(target: str) -> list[str]:
        raise LookupError("name or service not known")

    options = PoolOptions(replica_wait_seconds=0.1)
    async with pool_of(["dns:///text:1"], options=options, resolve=look_up) as pool:
        with pytest.raises(UnavailableError) as caught:
            await encode(pool)
        assert str(caught.value) == "text: no replica is serving (dns:///text:1: name or service not known)"


async def test_dns_name_is_resolved() -> None:
    async with fakes(Behaviour()) as (one,):
        port = one.address.rpartition(":")[2]
        async with pool_of([f"dns:///localhost:{port}"]) as pool:
            assert await encode(pool) == "1"


async def test_replicas_follow_what_the_name_resolves_to() -> None:
    async with fakes(Behaviour(version="1"), Behaviour(version="2")) as (old, new):
        addresses = [old.address]

        async def look_up(target: str) -> list[str]:
            return list(addresses)

        async with pool_of(["dns:///text:1"], options=OFTEN, resolve=look_up) as pool:
            assert await encode(pool) == "1"
            addresses[:] = [new.address]
            async with asyncio.timeout(20):
                while await encode(pool) != "2":
                    await asyncio.sleep(0.02)
            assert sum(pool.spaces().values()) <= 1


async def test_name_that_ceases_to_resolve_keeps_its_replicas_and_no_others() -> None:
    """A name server in trouble takes nothing away, and keeps nothing that another name has given up."""
    async with fakes(Behaviour(version="1"), Behaviour(version="2"), Behaviour(version="3")) as replicas:
        names = {"dns:///a:1": [replicas[0].address], "dns:///b:1": [each.address for each in replicas[1:]]}

        async def look_up(target: str) -> list[str]:
            if target not in names:
                raise LookupError("name or service not known")
            return names[target]

        async with pool_of(list(names), options=OFTEN, resolve=look_up) as pool:
            await all_serve(pool, 3)
            del names["dns:///a:1"]
            names["dns:///b:1"] = [replicas[1].address]
            await all_serve(pool, 2)
            assert {each.address for each in pool.replicas()} == {replicas[0].address, replicas[1].address}


async def test_slow_look_up_of_one_name_holds_up_no_other() -> None:
    async with fakes(Behaviour()) as (one,):

        async def look_up(target: str) -> list[str]:
            if "slow" in target:
                await asyncio.sleep(60)
            return [one.address]

        async with pool_of(["dns:///slow:1", "dns:///quick:1"], options=PATIENT, resolve=look_up) as pool:
            assert await asyncio.wait_for(encode(pool), 20) == "1"
