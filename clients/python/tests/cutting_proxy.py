"""A TCP proxy whose connections can be cut, for what a client does when the network fails."""

from __future__ import annotations

import socket
import threading


class CuttingProxy:
    """Listens on 127.0.0.1 and passes bytes on to ``port`` there; TLS goes through untouched."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self.accepted = 0
        self._losing = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Ends all connections; new ones are taken."""
        with self._lock:
            sockets, self._open = self._open, []
        for one in sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    def lose_next_answer(self) -> None:
        """What the target says next is passed on to nobody: all connections end, and no new one is taken."""
        self._losing = True

    def close(self) -> None:
        try:
            self._listener.shutdown(socket.SHUT_RDWR)  # whoever waits in accept() would keep it open
        except OSError:
            pass
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            with self._lock:
                self._open += [near, far]
                self.accepted += 1
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, target, source is far), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, from_target: bool) -> None:
        try:
            while data := source.recv(65536):
                if self._losing and from_target:
                    self.close()
                    return
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass
