"""How waitress writes an answer: a prepared one as it is, a refusal with the policy's headers."""

from __future__ import annotations

from waitress.task import ErrorTask, WSGITask


class Task(WSGITask):  # type: ignore[misc]  # it has no types
    """An answer of the app; one that is ready needs no work but the date."""

    def execute(self) -> None:
        """Answer."""
        # Nobody who speaks HTTP/1.0 is in a hurry.
        ready = None
        if self.version == "1.1":
            ready = self.channel.server.front.ready(self.get_environment())
        if ready is None:
            super().execute()
            return
        self.complete = self.wrote_header = True
        request = self.request
        self.close_on_finish = request.headers.get("CONNECTION", "").lower() == "close"
        head = ready.head(self.channel.server.date(self.start_time), close=self.close_on_finish)
        self.channel.send_ready(head, b"" if request.command == "HEAD" else ready.body)


class LastTask(Task):
    """An answer while the server ends: the last one on its connection says so."""

    def execute(self) -> None:
        """Answer, and close unless further requests have come already."""
        if len(self.channel.requests) == 1:
            self.request.headers["CONNECTION"] = "close"
        super().execute()


class Refusal(ErrorTask):  # type: ignore[misc]  # it has no types
    """What waitress answers by itself, to a request too malformed or too big for the app.

    Its own would repeat parts of the request and carry none of our headers.
    """

    def execute(self) -> None:
        """Answer with the status and the policy's headers, and close."""
        error = self.request.error
        self.status = f"{error.code} {error.reason}"
        self.response_headers.extend(self.channel.server.refusal_headers)
        self.set_close_on_finish()
        self.content_length = 0
        self.write(b"")
