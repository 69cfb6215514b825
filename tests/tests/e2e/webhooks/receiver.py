"""A receiver of webhooks that checks each message with the published library, and answers as it is told."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

LOCK = threading.Lock()
# Path → secrets that are tried one by one.
SECRETS = {}
# Path → answers to come; the last one stays.
ANSWERS = {}
CALLS = []


def verified(path, body, headers):
    """Which of the path's secrets the message is signed with, and what it says."""
    good, message = [], None
    for index, secret in enumerate(SECRETS.get(path, [])):
        try:
            message = Webhook(secret).verify(body, headers)
            good.append(index)
        except WebhookVerificationError:
            pass
    return good, message


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def answer(self, status, headers=None, value=None):
        text = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        for name, header in (headers or {}).items():
            self.send_header(name, header)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        body, path = self.body(), self.path.split("?")[0]
        headers = {name.lower(): value for name, value in self.headers.items()}
        with LOCK:
            good, message = verified(path, body, headers)
            CALLS.append({"path": self.path, "good": good, "headers": headers, "message": message, "bytes": len(body)})
            answers = ANSWERS.get(path, [])
            answer = (answers.pop(0) if len(answers) > 1 else answers[0]) if answers else {"status": 204 if good else 401}
        self.answer(answer["status"], answer.get("headers"))

    def do_PUT(self):
        """`{path, secrets?, answers?}`"""
        told = json.loads(self.body())
        with LOCK:
            if "secrets" in told:
                SECRETS[told["path"]] = told["secrets"]
            if "answers" in told:
                ANSWERS[told["path"]] = told["answers"]
        self.answer(200)

    def do_GET(self):
        with LOCK:
            calls = list(CALLS)
        self.answer(200, {"content-type": "application/json"}, calls)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
# It ends with whoever started it.
threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()
server.serve_forever()
