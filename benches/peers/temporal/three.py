"""Three durable steps for Temporal: each is an activity, local or not."""

from datetime import timedelta

from temporalio import activity, workflow

PATIENCE = timedelta(minutes=2)


@activity.defn
async def step(n: int) -> int:
    return n + 1


@workflow.defn
class Three:
    @workflow.run
    async def run(self, n: int) -> int:
        for _ in range(3):
            n = await workflow.execute_activity(step, n, start_to_close_timeout=PATIENCE)
        return n


@workflow.defn
class ThreeLocal:
    @workflow.run
    async def run(self, n: int) -> int:
        for _ in range(3):
            n = await workflow.execute_local_activity(step, n, start_to_close_timeout=PATIENCE)
        return n
