#!/usr/bin/python3
"""An external extension that does what its variables and events ask of it, right or wrong."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import socket
import sys
import threading
import time

NAME = os.path.basename(sys.argv[0])
BASE = "/2020-01-01/extension/"
connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])


def ask(method, path, body=None, **headers):
    sent = {f"Lambda-Extension-{name.replace('_', '-')}": value for name, value in headers.items()}
    connection.request(method, BASE + path, body, sent)
    reply = connection.getresponse()
    return reply.status, dict(reply.headers), reply.read()


def say(*words):
    sys.stdout.write(" ".join(map(str, (NAME, *words))) + "\n")
    sys.stdout.flush()


def register(events):
    body = json.dumps({"events": events})
    status, headers, raw = ask("POST", "register", body, Name=NAME, Accept_Feature="accountId")
    say("registered", status, raw.decode().strip())
    return headers.get("Lambda-Extension-Identifier", "")


heard = []


class Listener(http.server.BaseHTTPRequestHandler):
    """Takes batches of telemetry."""

    def do_POST(self):
        heard.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def lines_of(listener):
    while True:
        connection = listener.accept()[0]
        for line in connection.makefile("rb"):
            heard.extend([json.loads(line)])


def subscribe(protocol):
    if protocol == "HTTP":
        server = http.server.HTTPServer(("sandbox.localdomain", 8080), Listener)
        work, destination = server.serve_forever, {"URI": "http://sandbox.localdomain:8080/x"}
    else:
        listener = socket.create_server(("", 8081))
        work, destination = lambda: lines_of(listener), {"port": 8081}
    threading.Thread(target=work, daemon=True).start()
    body = {
        "schemaVersion": "2022-12-13" if protocol == "HTTP" else "2021-03-18",
        "types": ["platform", "function", "extension"],
        "buffering": {"timeoutMs": 25},
        "destination": {"protocol": protocol, **destination},
    }
    path = "/2022-07-01/telemetry" if protocol == "HTTP" else "/2020-08-15/logs"
    headers = {"Lambda-Extension-Identifier": identifier}
    connection.request("PUT", path, json.dumps(body), headers)
    reply = connection.getresponse()
    say("subscribed", reply.status, reply.read().decode())


behaviour = os.environ.get("BEHAVIOUR", "")
if behaviour == "crash":
    sys.exit(3)
identifier = register(["INVOKE", "SHUTDOWN"])
if behaviour == "init/error":
    say(ask("POST", "init/error", Identifier=identifier, Function_Error_Type="My.Reason")[0])
    sys.exit(1)
if behaviour in ("HTTP", "TCP"):
    subscribe(behaviour)
if behaviour == "environment":
    say(sorted(os.environ))
while True:
    status, headers, raw = ask("GET", "event/next", Identifier=identifier)
    event = json.loads(raw)
    assert headers["Lambda-Extension-Event-Identifier"]
    say(event["eventType"], event.get("requestId", event.get("shutdownReason")))
    if event["eventType"] == "SHUTDOWN":
        # As AWS has extensions do: what is still on its way is taken before they end.
        for _ in range(100 if behaviour in ("HTTP", "TCP") else 0):
            if any(each["type"] in ("platform.report", "platform.end") for each in heard):
                break
            time.sleep(0.01)
        say("heard", json.dumps(heard))
        if behaviour == "linger":
            time.sleep(60)
        sys.exit(0)
    if behaviour == "slow":
        time.sleep(0.3)
        say("done")
    if behaviour == "late crash":
        sys.exit(0)
