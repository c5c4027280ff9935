"""Flask-Session: sessions of a web application, kept in a table. Argument: what it is called by."""

from __future__ import annotations

import sys
import threading
import time
from datetime import timedelta
from typing import Any

import boto3
from flask import Flask, session
from flask_session import Session

NAME = sys.argv[1]
USERS, REQUESTS = 6, 8
resource = boto3.resource("dynamodb")
app = Flask(__name__)
app.config.update(
    SESSION_TYPE="dynamodb",
    SESSION_DYNAMODB=resource,
    SESSION_DYNAMODB_TABLE=NAME,
    PERMANENT_SESSION_LIFETIME=timedelta(hours=1),
)
Session(app)
table = resource.Table(NAME)


@app.get("/add/<name>")
def add(name: str) -> dict[str, Any]:
    session["cart"] = [*session.get("cart", []), name]
    session["of"] = {"ü": [1, 2.5, None, "🛒"]}
    return dict(session)


@app.get("/see")
def see() -> dict[str, Any]:
    return dict(session)


@app.get("/leave")
def leave() -> str:
    session.clear()
    return ""


def shop(user: int) -> None:
    client = app.test_client()
    for number in range(REQUESTS):
        client.get(f"/add/{user}-{number}")
    carts[user] = client.get("/see").get_json()["cart"]


carts: dict[int, list[str]] = {}
threads = [threading.Thread(target=shop, args=(user,)) for user in range(USERS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for user in range(USERS):
    assert carts[user] == [f"{user}-{number}" for number in range(REQUESTS)], carts
rows = table.scan()["Items"]
assert len(rows) == USERS
assert all(3_500 < int(row["expiration"]) - time.time() < 3_700 for row in rows)

one = app.test_client()
assert one.get("/add/a").get_json()["of"] == {"ü": [1, 2.5, None, "🛒"]}
assert "cart" not in app.test_client().get("/see").get_json()
one.get("/leave")
assert "cart" not in one.get("/see").get_json()
assert table.scan()["Count"] == USERS

# Its own table forgets to switch that on.
resource.meta.client.update_time_to_live(
    TableName=NAME, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expiration"}
)
app.permanent_session_lifetime = timedelta(seconds=-30)
late = app.test_client()
late.get("/add/late")
until = time.monotonic() + 30
while table.scan()["Count"] > USERS:
    assert time.monotonic() < until, "an expired session stays"
    time.sleep(0.1)
