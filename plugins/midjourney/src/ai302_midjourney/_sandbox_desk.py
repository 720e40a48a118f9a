"""One request at one emulated gateway: whose task, whose turn, whose money (wire/midjourney.md 3, 7, 9)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ai302_core.sandbox import BANNED_WORD, Answer, Incoming, World, picture_size

from ._sandbox_buttons import Press
from ._sandbox_gateways import Profile, envelope
from ._sandbox_tasks import FAMILY, Work

__all__ = ["ODD", "Desk", "text_of"]

ODD = ("waiting", "early", "back")


def text_of(body: Mapping[str, Any], name: str) -> str:
    """A text member of a body; "" when it is missing or something else."""
    value = body.get(name)
    return value if isinstance(value, str) else ""


@dataclass(frozen=True)
class Desk:
    """What every verb works with."""

    world: World
    incoming: Incoming
    profile: Profile
    mode: str

    def option(self, name: str) -> Any:
        """What the server was told about this family."""
        return self.world.option(FAMILY, name)

    def known(self, task_id: object) -> Work | Answer:
        """The task a body names, or why not."""
        if self.profile.relay and not isinstance(task_id, str):
            return self.profile.invalid("bind_request_body_failed" if task_id else "task_id_is_required", "")
        work = self.world.find(str(task_id), Work)
        return self.profile.absent if work is None or work.gateway != self.profile.name else work

    def parent(self, task_id: object) -> Work | Answer:
        """The finished task a body names, or why not."""
        work = self.known(task_id)
        if isinstance(work, Work) and work.word(self.world.now()) != "SUCCESS":
            return self.profile.invalid("task_status_not_success", "关联任务状态错误")
        return work

    def window(self, work: Work, press: Press) -> Answer:
        """Open a window: a new task that waits, and for which nothing is paid."""
        if refused := self._refused():
            return refused
        work.window, work.given_up_at = press, self.world.now() + self.profile.patience
        self.world.keep(work)
        code: int = self.option("window_code")
        if self.profile.relay and press.relay not in ("INPAINT", "CUSTOM_ZOOM"):
            code = 1
        # Prefilled with the prompt, except that of Inpaint (section 5.2).
        properties = {"finalPrompt": "" if press.verb == "Inpaint" else work.prompt, "remix": True}
        text = "Waiting for window confirm" if code == 21 else self.profile.submitted
        return envelope(code, text, result=self._result(work), properties=properties)

    def start(self, work: Work, *uploads: bytes) -> Answer:
        """Take the money, queue the task, answer the envelope; or say why not."""
        world, fault = self.world, self.incoming.fault
        if refused := self._refused():
            return refused
        if BANNED_WORD in work.prompt or self.incoming.fault_is("banned"):
            banned = self.profile.banned or self.option("banned")
            if banned == "code" and not (fault and fault.option("as_task", False)):
                found = {"promptEn": work.prompt, "bannedWord": BANNED_WORD}
                return envelope(24, "可能包含敏感词", properties=found)
            work.reason = (
                "[Banned prompt detected] Sorry! Our AI moderator thinks this prompt is probably against our rules"
            )
        row = work.operation if work.mode != "relax" else "relax"
        if not world.can_pay(FAMILY, row):
            return self.profile.penniless(world)
        waiting = self._queued(work)
        if waiting is None:
            return self.profile.full
        if any(picture_size(upload) is None for upload in uploads):
            work.reason = "[Invalid link] Could not validate image"
        if self.incoming.fault_is("stuck"):
            work.stuck = "running"
        if fault is not None and fault.kind in ODD:
            work.odd = fault.kind
        if failing := self.incoming.fault_is("fail"):
            work.reason = str(failing.option("reason", "[Internal Server Error] Something went wrong"))
        if work.reason:
            work.fails_at = work.start + 0.6 * work.seconds
        work.bare = work.bare or self.incoming.fault_is("no_asset") is not None
        work.publish(world)
        world.accept(work, row)
        self.tell(work, work.moments())
        properties: dict[str, Any] = {}
        if self.profile.relay:
            properties = {"discordInstanceId": "900000000000000001", "discordChannelId": "900000000000000002"}
        if waiting and not self.profile.relay:
            properties = {"numberOfQueues": waiting}
            text = f"排队中，前面还有{waiting}个任务"
            return envelope(22, text, result=self._result(work), properties=properties)
        return envelope(1, self.profile.submitted, result=self._result(work), properties=properties)

    def tell(self, work: Work, moments: Iterable[float]) -> None:
        """Call the task's own address at those moments, with its document as it is then (section 8.2).

        A task that was stopped meanwhile has told so already.
        """
        if not work.hook or not (self.profile.calls or self.option("relay_calls")):
            return
        ends = work.finish

        def document(last: bool) -> Any:
            over = work.finish < ends and not (last and work.canceled_at is None)
            return None if over else self.profile.document(work, self.world)

        for at in moments:
            self.world.tell(work.hook, at, partial(document, at == ends))

    def _result(self, work: Work) -> str | int:
        return int(work.id) if self.option("numeric_ids") and not self.profile.relay else work.id

    def _refused(self) -> Answer | None:
        if fault := self.incoming.fault_is("queue_full"):
            code = fault.option("code", None)
            return self.profile.full if code is None else envelope(code, "提交失败，队列已满，请稍后重试", result=None)
        if fault := self.incoming.fault_is("refused"):
            return envelope(fault.option("code", 4), str(fault.option("description", "参数错误")))
        return None

    def _queued(self, work: Work) -> int | None:
        """Give the task its slot; how many wait before it, or None when the queue is full (section 9, capacity)."""
        now, capacity = self.world.now(), self.option("capacity")
        work.start, work.given_up_at = now, now + self.profile.patience
        if capacity is None:
            return 0
        running, waiting = capacity
        others = [task for task in self.world.tasks.values() if isinstance(task, Work) and task is not work]
        open_ones = [task for task in others if task.paid and task.gateway == work.gateway and task.finish > now]
        ahead = sum(task.start > now for task in open_ones)
        if ahead >= waiting:
            return None
        if len(open_ones) >= running:
            work.start = sorted(task.finish for task in open_ones)[len(open_ones) - running]
        return ahead
