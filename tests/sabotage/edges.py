"""Defects at the edges: what strangers, slow readers, disks and addresses may do to us."""

from typing import Final

from tests.sabotage.defect import Defect

_FETCHING: Final = "tests/fetching/test_fetching.py::"
_NOT_MISSED: Final = "tests/front/test_websocket.py::TestNothingIsMissed::"

EDGES: Final = (
    Defect(
        id="S12",
        breaks="a stream reads the store before it listens: what happens in between is missed",
        file="front_service/push/stream.py",
        text="        with self._hub.watch(tenant, job_id, self._clock.monotonic()) as watcher:\n"
        "            found = await self._reads.history(\n"
        "                {(tenant, job_id): _LARGEST if after is None else after}\n"
        "            )\n",
        instead="        found = await self._reads.history(\n"
        "            {(tenant, job_id): _LARGEST if after is None else after}\n"
        "        )\n"
        "        with self._hub.watch(tenant, job_id, self._clock.monotonic()) as watcher:\n",
        tests=(_NOT_MISSED + "test_i6_what_happens_during_the_first_read_is_told",),
    ),
    Defect(
        id="S12b",
        breaks="a stream jumps a gap instead of reading the store again",
        file="front_service/push/story.py",
        text="if event.sequence == self._told + 1:",
        instead="if event.sequence > self._told:",
        tests=("tests/front/test_story.py::test_a_gap_is_not_jumped",),
    ),
    Defect(
        id="S13",
        breaks="a blob is promised that the disk does not have yet",
        file="shared/blobs/upload.py",
        text="        os.fsync(target)\n",
        instead="",
        tests=("tests/blobs/test_blobs.py::test_what_put_answers_was_synced_first",),
    ),
    Defect(
        id="S16",
        breaks="a file's server sends us wherever it likes",
        file="back_service/fetching.py",
        text="allow_redirects=False",
        instead="allow_redirects=True",
        tests=(_FETCHING + "test_a_redirect_is_not_followed",),
    ),
    Defect(
        id="S17",
        breaks="an address is judged by the resolver only: one without a name is dialled",
        file="back_service/egress.py",
        text="            self.judge(host, port, secure=secure)\n            return socket",
        instead="            return socket",
        tests=(_FETCHING + "test_the_socket_is_judged_even_if_the_name_was_not",),
    ),
    Defect(
        id="S17b",
        breaks="a name passes that leads to forbidden addresses as well",
        file="back_service/egress.py",
        text='            self._judge(answer["host"], port)\n',
        instead="            pass\n",
        tests=(_FETCHING + "test_one_bad_address_condemns_a_name",),
    ),
    Defect(
        id="S18",
        breaks="a peer that never reads is kept for ever",
        file="front_service/push/socket.py",
        text="asyncio.timeout(_SEND_PATIENCE)",
        instead="asyncio.timeout(None)",
        tests=(
            "tests/front/test_websocket.py::TestHardPeers::test_a_slow_reader_is_cut_and_nobody_waits_for_it",
        ),
    ),
)
