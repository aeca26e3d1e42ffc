"""A workspace's record as it grows: server-sent events that survive the connection."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import httpx
import httpx_sse

# The server gives a sign of life every 15 s.
_SILENCE_SECONDS_MAX = 45.0


class Tail:
    """Entries in order, each once, from the moment this object was made. When the connection ends, for whatever reason, it is made again and
    goes on after the last entry that was seen. Raises :class:`CounterfoilError` if that does not succeed; :attr:`last` is where to go on.

    Used by one thread: ``with workspace.tail(...) as entries: for entry in entries: ...``"""

    def __init__(self, http: httpx.Client, path: str, kinds: tuple[str, ...], last: int) -> None:
        self.last = last
        self._http = http
        self._path = path
        self._kinds = kinds
        self._pause_seconds = 2.0
        self._closed = False
        self._response: httpx.Response | None = None
        self._events: Iterator[httpx_sse.ServerSentEvent] = iter(())
        self._open()

    def __enter__(self) -> Tail:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        while not self._closed:
            event = self._next_event()
            if event is None:
                self._release()
                time.sleep(self._pause_seconds)
                self._open()
                continue
            if event.retry is not None:
                self._pause_seconds = event.retry / 1000
            if not event.data:
                continue
            entry: dict[str, Any] = json.loads(event.data)
            self.last = int(event.id)
            return entry
        raise StopIteration

    def close(self) -> None:
        self._closed = True
        self._release()

    def _next_event(self) -> httpx_sse.ServerSentEvent | None:
        """None: the connection has ended."""
        try:
            return next(self._events, None)
        except (httpx.TransportError, httpx.StreamError):
            return None

    def _open(self) -> None:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(self.last)}
        timeout = self._http.timeout
        timeout = httpx.Timeout(connect=timeout.connect, read=_SILENCE_SECONDS_MAX, write=timeout.write, pool=timeout.pool)
        request = self._http.build_request("GET", self._path, params={"kind": list(self._kinds)}, headers=headers, timeout=timeout)
        self._response = self._http.send(request, stream=True)
        self._events = httpx_sse.EventSource(self._response).iter_sse()

    def _release(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None
