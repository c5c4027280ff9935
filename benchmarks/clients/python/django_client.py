"""dj-dynamodb-sessions: sessions of Django, kept in a table. Argument: what it is called by."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import boto3
import django
from django.conf import settings
from django.core.management import call_command
from django.http import HttpRequest, JsonResponse
from django.test import Client
from django.urls import path

NAME = sys.argv[1]
USERS, REQUESTS = 6, 8
settings.configure(
    SECRET_KEY="of the field",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["dynamodb_sessions"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    SESSION_ENGINE="dynamodb_sessions.backends.dynamodb",
    SESSION_COOKIE_AGE=3_600,
    DYNAMODB_SESSIONS_TABLE_NAME=NAME,
    USE_TZ=True,
)
django.setup()


def add(request: HttpRequest, name: str) -> JsonResponse:
    cart = request.session.get("cart", [])
    request.session["cart"] = [*cart, name]
    request.session["ünïcode"] = {"🛒": ["a", None, True]}
    return JsonResponse({"cart": request.session["cart"], "of": request.session["ünïcode"]})


def see(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"cart": request.session.get("cart", None)})


def leave(request: HttpRequest) -> JsonResponse:
    request.session.flush()
    return JsonResponse({})


def soon(request: HttpRequest) -> JsonResponse:
    request.session.set_expiry(1)
    return JsonResponse({})


def turn(request: HttpRequest) -> JsonResponse:
    request.session.cycle_key()
    return JsonResponse({})


urlpatterns = [path("add/<name>", add), path("see", see), path("turn", turn), path("leave", leave)]
urlpatterns += [path("soon", soon)]
call_command("create_session_table")
dynamodb = boto3.client("dynamodb")
dynamodb.get_waiter("table_exists").wait(TableName=NAME)
carts: dict[int, Any] = {}


def shop(user: int) -> None:
    client = Client()
    for number in range(REQUESTS):
        client.get(f"/add/{user}-{number}")
    carts[user] = client.get("/see").json()["cart"]


threads = [threading.Thread(target=shop, args=(user,)) for user in range(USERS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for user in range(USERS):
    assert carts[user] == [f"{user}-{number}" for number in range(REQUESTS)], carts
rows = dynamodb.scan(TableName=NAME)["Items"]
assert len(rows) == USERS

one = Client()
assert one.get("/add/a").json()["of"] == {"🛒": ["a", None, True]}
assert Client().get("/see").json() == {"cart": None}
before = one.cookies["sessionid"].value
one.get("/turn")
assert one.cookies["sessionid"].value != before
assert one.get("/see").json() == {"cart": ["a"]}
assert dynamodb.scan(TableName=NAME)["Count"] == USERS + 1
one.get("/leave")
assert one.get("/see").json() == {"cart": None}
assert dynamodb.scan(TableName=NAME)["Count"] == USERS

dynamodb.update_time_to_live(
    TableName=NAME, TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"}
)
late = Client()
late.get("/add/late")
late.get("/soon")
until = time.monotonic() + 30
while dynamodb.scan(TableName=NAME)["Count"] > USERS:
    assert time.monotonic() < until, "an expired session stays"
    time.sleep(0.1)
