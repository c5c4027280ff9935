"""PyDynamoDB: a connection of Python's database interface, which asks in PartiQL.

Argument: what its table is called by.
"""

from __future__ import annotations

import os
import sys

from pydynamodb import connect

NAME = sys.argv[1].replace("-", "_")  # its grammar has no hyphens
connection = connect(
    region_name=os.environ["AWS_REGION"],
    aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
    aws_secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
)
cursor = connection.cursor()
cursor.execute(
    f"CREATE TABLE {NAME} (artist string PARTITION KEY, number numeric SORT KEY, year numeric,"
    " INDEX byyear GLOBAL (year PARTITION KEY) Projection.ProjectionType ALL)"
    " BillingMode PAY_PER_REQUEST"
)
for number in range(30):
    cursor.execute(
        f"INSERT INTO \"{NAME}\" VALUE {{'artist': ?, 'number': ?, 'year': ?, 'title': ?}}",
        ["Björk" if number % 2 else "Nina", number, 1990 + number % 3, f"título {number} 🎵"],
    )
cursor.execute(
    f'SELECT number, title FROM "{NAME}" WHERE artist = ? AND number BETWEEN ? AND ?',
    ["Nina", 4, 9],
)
rows = cursor.fetchall()
assert rows == [(4, "título 4 🎵"), (6, "título 6 🎵"), (8, "título 8 🎵")], rows
cursor.execute(
    f'UPDATE "{NAME}" SET title = ? WHERE artist = ? AND number = ?', ["other", "Nina", 4]
)
cursor.execute(f'DELETE FROM "{NAME}" WHERE artist = ? AND number = ?', ["Nina", 6])
cursor.execute(f'SELECT title FROM "{NAME}"."byyear" WHERE year = ? LIMIT 100', [1991])
assert len(cursor.fetchall()) == 10
cursor.execute(f'SELECT number, title FROM "{NAME}" WHERE artist = ?', ["Nina"])
rows = dict(cursor.fetchall())
assert len(rows) == 14, rows
assert rows[4] == "other"
cursor.executemany(
    f'DELETE FROM "{NAME}" WHERE artist = ? AND number = ?', [["Björk", n] for n in range(1, 30, 2)]
)
cursor.execute(f'SELECT number FROM "{NAME}"')
assert len(cursor.fetchall()) == 14
cursor.execute(f"DROP TABLE {NAME}")
connection.close()
