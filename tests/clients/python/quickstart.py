"""psycopg 3 on a gateway over the demo's tables: the quickstart, parameters, COPY, types, errors, cancel.

Usage: quickstart.py QUICKSTART.sql CONNINFO
"""
import datetime as dt
import sys
import threading

import psycopg

script, conninfo = sys.argv[1], sys.argv[2]


def statements(text):
    """Statements of a script whose comments are whole lines and whose quotes hold no semicolons."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    return [part.strip() for part in "\n".join(lines).split(";") if part.strip()]


with psycopg.connect(conninfo, autocommit=True) as connection:
    for statement in statements(open(script, encoding="utf-8").read()):
        cursor = connection.execute(statement)
        if cursor.description:
            cursor.fetchall()

    may = dt.datetime(2026, 5, 31, 12, tzinfo=dt.timezone.utc)
    retrieval = """SELECT customer_id, total_orders FROM get_historical_features(
        entities => (SELECT * FROM (VALUES (%s::bigint, %s::timestamptz)) AS e (customer_id, event_timestamp)),
        features => ARRAY['customer_features:total_orders'])"""
    text = connection.execute(retrieval, (1002, may)).fetchall()
    for binary in (False, True):
        cursor = connection.cursor(binary=binary)
        assert cursor.execute(retrieval, (1002, may)).fetchall() == text, binary
    assert text[0][0] == 1002 and isinstance(text[0][1], int), text

    # Entity rows by COPY, training data back by COPY, in binary both ways.
    connection.execute("CREATE TEMP TABLE spine (customer_id BIGINT, event_timestamp TIMESTAMPTZ, label BOOLEAN, note TEXT)")
    rows = [(1001 + n % 5, may - dt.timedelta(days=n), n % 2 == 0, None if n % 3 else f"row {n}") for n in range(1000)]
    with connection.cursor().copy("COPY spine FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["int8", "timestamptz", "bool", "text"])
        for row in rows:
            copy.write_row(row)
    back = connection.execute("SELECT * FROM spine").fetchall()
    assert sorted(back, key=str) == sorted(rows, key=str)
    with connection.cursor().copy(
        "COPY (SELECT customer_id, event_timestamp, label, total_orders FROM get_historical_features((TABLE spine),"
        " ARRAY['customer_features:total_orders'])) TO STDOUT (FORMAT binary)"
    ) as copy:
        copy.set_types(["int8", "timestamptz", "bool", "int8"])
        assert len(list(copy.rows())) == len(rows)

    # Errors have their codes and leave the session usable.
    try:
        connection.execute("SELECT * FROM get_historical_features((TABLE spine), ARRAY['customer_feature:total_orders'])")
        raise AssertionError("a misspelt view is an error")
    except psycopg.errors.UndefinedTable as error:
        assert error.diag.message_hint == 'Perhaps you meant "customer_features".', error.diag.message_hint

    # A transaction that fails is failed until its end; a savepoint brings it back.
    with connection.transaction():
        try:
            with connection.transaction():
                connection.execute("SELECT 1 / 0")
        except psycopg.errors.DivisionByZero:
            pass
        assert connection.execute("SELECT 1").fetchone() == (1,)

    # Cancel from another thread.
    timer = threading.Timer(0.2, connection.cancel)
    timer.start()
    try:
        connection.execute("SELECT pg_sleep(60)")
        raise AssertionError("the statement was not cancelled")
    except psycopg.errors.QueryCanceled:
        pass
    timer.join()
    assert connection.execute("SELECT count(*) FROM spine").fetchone() == (1000,)

    # A server-side stream of many rows, in portions.
    total = 0
    for _ in connection.cursor().stream("SELECT * FROM iceberg.gold.customer_aggregates"):
        total += 1
    assert total == connection.execute("SELECT count(*) FROM iceberg.gold.customer_aggregates").fetchone()[0]

print("ok")
