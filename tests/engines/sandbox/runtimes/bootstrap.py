#!/usr/bin/python3
"""A custom runtime that does what each event asks of it, right or wrong."""

from __future__ import annotations

import base64
import http.client
import json
import os
import sys
import time

BASE = "/2018-06-01/runtime/invocation"
connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])


def ask(method, path, body=None, headers=None, **more):
    connection.request(method, path, body, headers or {}, **more)
    reply = connection.getresponse()
    return reply.status, dict(reply.headers), reply.read()


def trailed(path, pieces, headers, trailers):
    """Send a chunked body that trailers follow."""
    connection.putrequest("POST", path)
    for name, value in {**headers, "Transfer-Encoding": "chunked"}.items():
        connection.putheader(name, value)
    connection.endheaders()
    for piece in pieces:
        connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
    connection.send(b"0\r\n" + b"".join(b"%s: %s\r\n" % pair for pair in trailers) + b"\r\n")
    reply = connection.getresponse()
    return reply.status, dict(reply.headers), reply.read()


if os.environ.get("START") == "init error":
    error = {"errorMessage": "no database", "errorType": "My.StartError", "stackTrace": ["a"]}
    ask("POST", "/2018-06-01/runtime/init/error", json.dumps(error))
    sys.exit(1)
if os.environ.get("START") == "exit":
    sys.stderr.write("leaving\n")
    sys.exit(3)
if os.environ.get("START") == "sleep":
    time.sleep(60)

STREAMING = {"Lambda-Runtime-Function-Response-Mode": "streaming", "Content-Type": "text/x-a"}
told = None
while True:
    _, headers, payload = ask("GET", f"{BASE}/next")
    event = json.loads(payload)
    request_id = headers["Lambda-Runtime-Aws-Request-Id"]
    path = f"{BASE}/{request_id}"
    what = event["do"]
    if what == "headers":
        keep = {k: v for k, v in headers.items() if k.startswith("Lambda-") or k == "Content-Type"}
        ask("POST", f"{path}/response", json.dumps({"headers": keep, "env": dict(os.environ)}))
    elif what == "leave":
        ask("POST", f"{path}/response", b"1")
        time.sleep(0.05)
        sys.exit(0)
    elif what == "told":
        ask("POST", f"{path}/response", json.dumps(told))
    elif what == "stream":
        pieces = [piece.encode() for piece in event["pieces"]]
        told = trailed(f"{path}/response", pieces, STREAMING, [])[0]
    elif what == "large stream":
        ask(
            "POST", f"{path}/response", iter([b"x" * 100_000] * 100), STREAMING, encode_chunked=True
        )
    elif what == "stream error":
        error = base64.b64encode(b'{"errorMessage": "half-way"}')
        kind = b"Lambda-Runtime-Function-Error-Type"
        pairs = [(kind, b"Half"), (b"Lambda-Runtime-Function-Error-Body", error)]
        told = trailed(f"{path}/response", [b"one"], STREAMING, pairs)[0]
    elif what == "cut":
        connection.putrequest("POST", f"{path}/response")
        for name, value in {**STREAMING, "Content-Length": "100"}.items():
            connection.putheader(name, value)
        connection.endheaders(b"half")
        connection.close()
    elif what == "wrong id":
        told = [ask("POST", f"{BASE}/other/response", b"1")]
        told += [ask("POST", f"{path}/response", b"2")]
        told += [ask("POST", f"{path}/response", b"3"), ask("POST", f"{path}/error", b"{}")]
        told = [(status, body.decode()) for status, _, body in told]
    elif what == "large":
        told = ask("POST", f"{path}/response", b" " * 6_291_557)
        told = told[0], told[2].decode()
    elif what == "mode":
        told = ask("POST", f"{path}/response", b"1", {"Lambda-Runtime-Function-Response-Mode": "x"})
        told = told[0], told[2].decode()
    elif what == "next again":
        told = ask("GET", f"{BASE}/next")
        told = told[0], told[2].decode()
        ask("POST", f"{path}/response", b"1")
    elif what == "elsewhere":
        told = [
            ask("GET", "/2018-06-01/runtime/nothing")[0],
            ask("POST", "/2020-01-01/extension/register")[0],
        ]
        ask("POST", f"{path}/response", b"1")
    elif what == "nonsense":
        connection.sock.sendall(b"NONSENSE\r\n\r\n")
        connection.close()
        ask("POST", f"{path}/response", b"1")
