"""The FastAGI server: each call that the dialplan hands over gets a thread and a handler."""

import contextlib
import logging
import socket
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable

from agi.session import AgiError, CallerGone, Session

log = logging.getLogger("careline.agi")


class AgiServer:
    """Serves calls from :meth:`start` to :meth:`stop`.

    ``handler`` runs in a thread of its own for each call. When it returns, the dialplan goes on;
    when it raises, only that call is concerned: it is logged and the dialplan's fall-back acts.
    More than ``max_calls`` at once are refused, also with the fall-back. A client that does not
    send its environment block within ``greeting_seconds`` is dropped; it counts as a call until
    then. FastAGI knows no login: listen on a private address.
    """

    def __init__(
        self,
        host: str,
        port: int,
        handler: Callable[[Session], None],
        *,
        max_calls: int = 400,
        greeting_seconds: float = 5.0,
        step_seconds: float = 120.0,
    ) -> None:
        self.host = host
        self.port = port
        self._handler = handler
        self._max_calls = max_calls
        self._greeting_seconds = greeting_seconds
        self._step_seconds = step_seconds
        self._calls: dict[socket.socket, Session | None] = {}  # None: before the environment block
        self._changed = threading.Condition()
        self._stopping = False
        self._refused: deque[socket.socket] = deque(maxlen=64)
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None

    @property
    def running(self) -> int:
        """How many calls are being served."""
        return len(self._calls)

    def start(self) -> None:
        """Listens; ``port`` is the real one afterwards if it was 0. OSError if it is taken."""
        self._listener = socket.create_server((self.host, self.port), backlog=512)
        self.port = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, args=(self._listener,), name="agi-accept", daemon=True)
        self._acceptor.start()

    def stop(self, seconds: float = 10.0) -> int:
        """Takes no more calls, lets the running ones end for ``seconds``, then gives the rest back
        to the dialplan's fall-back. Returns how many those were."""
        self._stopping = True
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept(); close() would not
            self._listener.close()
        if self._acceptor is not None:
            self._acceptor.join()
        with self._changed:
            self._changed.wait_for(lambda: not self._calls, seconds)
            rest = dict(self._calls)
        for connection, session in rest.items():
            if session is not None:
                session.fail("the service is stopping")
            else:
                with contextlib.suppress(OSError):  # gone already
                    connection.shutdown(socket.SHUT_RDWR)
        with self._changed:
            self._changed.wait_for(lambda: not self._calls, 2.0)
        while self._refused:
            self._refused.popleft().close()
        return sum(session is not None for session in rest.values())

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError as error:
                if self._stopping:
                    return
                log.error("no call can be taken: %s", error.strerror)  # noqa: TRY400  # says it all
                time.sleep(0.1)  # out of file descriptors: some call will end
                continue
            self._admit(connection)

    def _admit(self, connection: socket.socket) -> None:
        with self._changed:
            full = len(self._calls) >= self._max_calls
            if not full:
                self._calls[connection] = None
        if full:
            log.warning("refused: %d calls are served already", self._max_calls)
            self._refuse(connection)
            return
        thread = threading.Thread(target=self._serve, args=(connection,), name="agi-call", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            log.error("refused: no thread can be started")  # noqa: TRY400  # says it all
            self._forget(connection)
            self._refuse(connection)

    def _refuse(self, connection: socket.socket) -> None:
        """AGISTATUS becomes FAILURE: see Wire.fail. The socket stays open until later ones push it
        out: a close with Asterisk's unread lines in it would send a reset that outruns the word."""
        try:
            connection.settimeout(0)
            connection.send(b"failure\n")
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # gone already
        if len(self._refused) == self._refused.maxlen:
            self._refused.popleft().close()
        self._refused.append(connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            session = Session(
                connection,
                greeting_seconds=self._greeting_seconds,
                step_seconds=self._step_seconds,
            )
            self._calls[connection] = session
            self._converse(session)
        except CallerGone:
            pass  # connected and closed, or hung up in the middle: the handler has seen it
        except (AgiError, OSError) as error:
            log.warning("dropped a client: %s", error)
        finally:
            connection.close()
            self._forget(connection)

    def _converse(self, session: Session) -> None:
        try:
            self._handler(session)
        except CallerGone:
            session.close()
        except Exception as error:  # a conversation's mistake must not touch other calls
            # The text of the error may hold a number or a name: its kind and place must do.
            kind, where = type(error).__name__, "".join(traceback.format_tb(error.__traceback__))
            log.error("%s in a conversation\n%s", kind, where)  # noqa: TRY400  # see above
            session.fail("the conversation failed")
        else:
            session.close()

    def _forget(self, connection: socket.socket) -> None:
        with self._changed:
            self._calls.pop(connection, None)
            self._changed.notify_all()
