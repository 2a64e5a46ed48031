"""The matrix's cases through Python's clients: one line per case, `name<TAB>what came back`.

Usage: matrix.py DRIVER   (psycopg2, psycopg3, asyncpg, pg8000, sqlalchemy, pyodbc, adbc, connectorx)

Where to connect is in PGHOST, PGPORT, PGUSER, PGDATABASE; FEATGRES_ROWS is the size of the large fetch, FEATGRES_CASES, if set, the only
case that is wanted, FEATGRES_TLS_… where to connect encrypted. The same program runs on featgres and on PostgreSQL, and the lines must be the same; so values are written with their Python types, and errors by SQLSTATE.
"""
import asyncio
import contextlib
import datetime as dt
import decimal
import io
import os
import ssl
import sys
import threading
import uuid

HOST, PORT = os.environ["PGHOST"], int(os.environ["PGPORT"])
USER, DATABASE = os.environ["PGUSER"], os.environ["PGDATABASE"]
ROWS = int(os.environ.get("FEATGRES_ROWS", "20000"))
ONLY = os.environ.get("FEATGRES_CASES")
TLS = {name: os.environ.get(f"FEATGRES_TLS_{name}", "") for name in ("PORT", "USER", "PASSWORD", "CA", "OTHER_CA")}
ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"

# One value of each type, as SQL and as Python has it.
VALUES = [
    ("bool", "true", True),
    ("int2", "'-32768'", -32768),
    ("int4", "2147483647", 2147483647),
    ("int8", "'-9223372036854775808'", -9223372036854775808),
    ("float4", "1.5", 1.5),
    ("float8", "'0.1'", 0.1),
    ("float8_nan", "'NaN'", float("nan")),
    ("numeric(12,3)", "'123456.789'", decimal.Decimal("123456.789")),
    ("text", "'zwölf 😀'", "zwölf 😀"),
    ("bytea", "'\\x00ff41'", b"\x00\xffA"),
    ("date", "'2024-02-29'", dt.date(2024, 2, 29)),
    ("time", "'12:30:00.25'", dt.time(12, 30, 0, 250000)),
    ("timestamp", "'2024-02-29 12:30:00.123456'", dt.datetime(2024, 2, 29, 12, 30, 0, 123456)),
    ("timestamptz", "'2024-02-29 12:30:00+00'", dt.datetime(2024, 2, 29, 12, 30, tzinfo=dt.timezone.utc)),
    ("interval", "'3 days 04:05:06'", dt.timedelta(days=3, hours=4, minutes=5, seconds=6)),
    ("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
    ("int4[]", "'{1,2,3}'", [1, 2, 3]),
    ("text[]", "'{a,\"b c\"}'", ["a", "b c"]),
]
READER = "SELECT g::int8 AS id, g * 0.5::float8 AS half, 'row ' || g::text AS name FROM generate_series(1::int8, {}::int8) AS t(g)"


def shown(value):
    """A value and its type, in a form that does not depend on the object."""
    if isinstance(value, memoryview):
        value = bytes(value)
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        value = value.astimezone(dt.timezone.utc)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    return f"{type(value).__name__} {value!r}" if not isinstance(value, (str, int, float, bytes, type(None))) else repr(value)


def libpq(mode, authority, password, bound):
    """Connecting encrypted, in libpq's words."""
    where = {"host": "localhost", "port": TLS["PORT"], "user": TLS["USER"], "password": password, "dbname": DATABASE}
    where |= {"sslmode": mode, "channel_binding": bound}
    return where | ({"sslrootcert": authority} if authority else {})


def context(mode, authority):
    """The same for clients on Python's own TLS."""
    made = ssl.create_default_context(cafile=authority or None)
    if mode == "require":
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    return made


class Driver:
    """What every client can do; a client overrides how."""

    placeholder = "%s"
    version = ""
    # Whether it can live with its prepared statements being forgotten.
    discards = True

    def sql(self, text):
        """`$1` as the client spells it."""
        for index in range(1, 9):
            text = text.replace(f"${index}", self.placeholder.format(index))
        return text

    def rows(self, text, parameters=()):
        cursor = self.connection.cursor()
        cursor.execute(self.sql(text), *([tuple(parameters)] if parameters else []))
        found = cursor.fetchall() if cursor.description else []
        cursor.close()
        return [tuple(row) for row in found]

    def code(self, error):
        return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""

    def autocommit(self, on):
        self.connection.autocommit = on

    def begin(self):
        """The next transaction; most clients begin it by themselves."""

    def commit(self):
        self.connection.commit()

    def rollback(self):
        self.connection.rollback()

    def close(self):
        self.connection.close()

    def fetch_large(self):
        return self.rows(READER.format(ROWS))

    # How a client connects encrypted: `tls(mode, authority, password, bound)`; libpq's names where it is built on it.
    tls = None
    binds_channels = False


class Psycopg2(Driver):
    def __init__(self):
        import psycopg2
        import psycopg2.extras

        psycopg2.extras.register_uuid()
        self.module = psycopg2
        self.version = psycopg2.__version__.split()[0]

    def connect(self):
        self.connection = self.module.connect(host=HOST, port=PORT, user=USER, dbname=DATABASE)
        self.connection.autocommit = True

    binds_channels = True

    def tls(self, mode, authority, password, bound="prefer"):
        connection = self.module.connect(**libpq(mode, authority, password, bound))
        with connection.cursor() as cursor:
            cursor.execute(ENCRYPTED)
            found = cursor.fetchone()
        connection.close()
        return found

    def cancel(self):
        self.connection.cancel()

    def notices(self):
        return [notice.strip() for notice in self.connection.notices]

    def copy_in(self, table, data):
        with self.connection.cursor() as cursor:
            cursor.copy_expert(f"COPY {table} FROM STDIN", io.StringIO(data))

    def copy_out(self, sql, options=""):
        out = io.StringIO()
        with self.connection.cursor() as cursor:
            cursor.copy_expert(f"COPY ({sql}) TO STDOUT {options}", out)
        return out.getvalue()

    def portions(self):
        """A server-side cursor."""
        self.autocommit(False)
        try:
            with self.connection.cursor(name="portions") as cursor:
                cursor.itersize = 700
                cursor.execute(READER.format(2000))
                return sum(row[0] for row in cursor)
        finally:
            self.rollback()
            self.autocommit(True)


class Psycopg3(Driver):
    def __init__(self):
        import psycopg

        self.module = psycopg
        self.version = psycopg.__version__

    def connect(self):
        self.connection = self.module.connect(host=HOST, port=PORT, user=USER, dbname=DATABASE, autocommit=True)
        self.told = []
        self.connection.add_notice_handler(lambda notice: self.told.append(f"{notice.severity}: {notice.message_primary}"))

    binds_channels = True

    def tls(self, mode, authority, password, bound="prefer"):
        with self.module.connect(**libpq(mode, authority, password, bound)) as connection:
            return connection.execute(ENCRYPTED).fetchone()

    def cancel(self):
        self.connection.cancel()

    def notices(self):
        return self.told

    def binary_rows(self, text, parameters=()):
        with self.connection.cursor(binary=True) as cursor:
            return cursor.execute(self.sql(text), parameters).fetchall()

    def prepared(self):
        return [self.connection.execute("SELECT %s::int8 + 1", [n], prepare=True).fetchone()[0] for n in range(3)]

    def copy_in(self, table, data):
        with self.connection.cursor().copy(f"COPY {table} FROM STDIN") as copy:
            copy.write(data)

    def copy_out(self, sql, options=""):
        with self.connection.cursor().copy(f"COPY ({sql}) TO STDOUT {options}") as copy:
            return b"".join(bytes(part) for part in copy).decode()

    def copy_binary(self):
        with self.connection.cursor().copy("COPY (SELECT 1::int8, 'x'::text, NULL::float8) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["int8", "text", "float8"])
            return list(copy.rows())

    def portions(self):
        with self.connection.transaction(), self.connection.cursor(name="portions") as cursor:
            cursor.itersize = 700
            cursor.execute(READER.format(2000))
            return sum(row[0] for row in cursor)

    def pipeline(self):
        with self.connection.pipeline():
            cursors = [self.connection.execute("SELECT %s::int8", [n]) for n in range(5)]
        return [cursor.fetchone()[0] for cursor in cursors]


class Asyncpg(Driver):
    placeholder = "${}"
    discards = False

    def __init__(self):
        import asyncpg

        self.module = asyncpg
        self.version = asyncpg.__version__
        self.loop = asyncio.new_event_loop()
        self.transaction = None

    def run(self, work):
        return self.loop.run_until_complete(work)

    def connect(self):
        self.connection = self.run(self.module.connect(host=HOST, port=PORT, user=USER, database=DATABASE))
        self.told = []
        self.connection.add_log_listener(lambda _, message: self.told.append(f"{message.severity}: {message.message}"))

    def tls(self, mode, authority, password, bound="prefer"):
        async def encrypted():
            where = {"host": "localhost", "port": TLS["PORT"], "user": TLS["USER"], "password": password, "database": DATABASE}
            connection = await self.module.connect(**where, ssl=context(mode, authority))
            found = await connection.fetchrow(ENCRYPTED)
            await connection.close()
            return tuple(found)

        return self.run(encrypted())

    def rows(self, text, parameters=()):
        return [tuple(row) for row in self.run(self.connection.fetch(self.sql(text), *parameters))]

    def begin(self):
        self.autocommit(False)

    def autocommit(self, on):
        if not on:
            self.transaction = self.connection.transaction()
            self.run(self.transaction.start())

    def commit(self):
        self.run(self.transaction.commit())

    def rollback(self):
        self.run(self.transaction.rollback())

    def close(self):
        self.run(self.connection.close())

    def notices(self):
        return self.told

    def cancel_case(self):
        async def cancelled():
            try:
                await asyncio.wait_for(self.connection.fetch("SELECT pg_sleep(60)"), 0.2)
            except asyncio.TimeoutError:
                return "cancelled, then " + str(await self.connection.fetchval("SELECT 1::int8"))

        return self.run(cancelled())

    def prepared(self):
        async def three():
            statement = await self.connection.prepare("SELECT $1::int8 + 1")
            return [await statement.fetchval(n) for n in range(3)]

        return self.run(three())

    def copy_in(self, table, data):
        self.run(self.connection.copy_to_table(table, source=io.BytesIO(data.encode())))

    def copy_out(self, sql, options=""):
        out = io.BytesIO()
        self.run(self.connection.copy_from_query(sql, output=out, **({"format": "csv", "header": True} if options else {})))
        return out.getvalue().decode()

    def copy_records(self):
        rows = [(n, f"name {n}", None if n % 2 else n * 0.5) for n in range(100)]
        self.rows("CREATE TEMP TABLE records (id int8, name text, half float8)")
        self.run(self.connection.copy_records_to_table("records", records=rows))
        return self.rows("SELECT id, name, half FROM records ORDER BY id") == rows

    def portions(self):
        async def cursor():
            total = 0
            async with self.connection.transaction():
                async for row in self.connection.cursor(READER.format(2000), prefetch=700):
                    total += row[0]
            return total

        return self.run(cursor())

    def passed_over(self):
        """MOVE FORWARD of the portal that the cursor is."""

        async def cursor():
            async with self.connection.transaction():
                cursor = await self.connection.cursor(READER.format(2000))
                first = [row[0] for row in await cursor.fetch(2)]
                passed = await cursor.forward(10)
                return first, passed, (await cursor.fetchrow())[0], await cursor.forward(5000), len(await cursor.fetch(1))

        return self.run(cursor())

    def pool(self):
        async def reused():
            pool = await self.module.create_pool(host=HOST, port=PORT, user=USER, database=DATABASE, min_size=1, max_size=2)
            async with pool.acquire() as connection:
                await connection.execute("SET application_name = 'left over'")
                await connection.execute("CREATE TEMP TABLE pooled (a int8)")
            async with pool.acquire() as connection:
                name = await connection.fetchval("SELECT current_setting('application_name')")
            await asyncio.gather(*(pool.fetchval("SELECT $1::int8", n) for n in range(8)))
            await pool.close()
            return name

        return self.run(reused())


class Pg8000(Driver):
    def __init__(self):
        import pg8000.dbapi

        self.module = pg8000.dbapi
        self.version = __import__("importlib.metadata").metadata.version("pg8000")

    def connect(self):
        self.connection = self.module.connect(user=USER, host=HOST, port=PORT, database=DATABASE)
        self.connection.autocommit = True

    def tls(self, mode, authority, password, bound="prefer"):
        where = {"host": "localhost", "port": int(TLS["PORT"]), "user": TLS["USER"], "password": password, "database": DATABASE}
        connection = self.module.connect(**where, ssl_context=context(mode, authority))
        cursor = connection.cursor()
        cursor.execute(ENCRYPTED)
        found = cursor.fetchone()
        connection.close()
        return tuple(found)

    def code(self, error):
        return error.args[0].get("C", "") if error.args and isinstance(error.args[0], dict) else ""

    def notices(self):
        return [f"{notice[b'S'].decode()}: {notice[b'M'].decode()}" for notice in self.connection.notices]

    def copy_in(self, table, data):
        self.connection.cursor().execute(f"COPY {table} FROM STDIN", stream=io.BytesIO(data.encode()))

    def copy_out(self, sql, options=""):
        out = io.BytesIO()
        self.connection.cursor().execute(f"COPY ({sql}) TO STDOUT {options}", stream=out)
        return out.getvalue().decode()


class Sqlalchemy(Driver):
    placeholder = ":p{}"

    def __init__(self):
        import sqlalchemy

        self.module = sqlalchemy
        self.version = sqlalchemy.__version__

    def connect(self):
        url = self.module.URL.create("postgresql+psycopg", USER, host=HOST, port=PORT, database=DATABASE)
        self.engine = self.module.create_engine(url, pool_size=2)
        self.connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def rows(self, text, parameters=()):
        names = {f"p{index + 1}": value for index, value in enumerate(parameters)}
        # A colon that is no parameter's is written twice.
        text = self.module.text(self.sql(text).replace("::", "\\:\\:"))
        result = self.connection.execute(text, names)
        return [tuple(row) for row in result] if result.returns_rows else []

    def code(self, error):
        return getattr(getattr(error, "orig", None), "sqlstate", None) or ""

    def autocommit(self, on):
        self.connection.close()
        self.connection = self.engine.connect()
        if on:
            self.connection = self.connection.execution_options(isolation_level="AUTOCOMMIT")

    binds_channels = True

    def tls(self, mode, authority, password, bound="prefer"):
        where = libpq(mode, authority, password, bound)
        url = self.module.URL.create("postgresql+psycopg", where.pop("user"), where.pop("password"), where.pop("host"), where.pop("port"))
        engine = self.module.create_engine(url, connect_args=where)
        with engine.connect() as connection:
            found = connection.execute(self.module.text(ENCRYPTED)).one()
        engine.dispose()
        return tuple(found)

    def pool(self):
        with self.engine.connect() as first:
            pid = first.execute(self.module.text("SELECT pg_backend_pid()")).scalar()
        with self.engine.connect() as second:
            return "the same connection" if second.execute(self.module.text("SELECT pg_backend_pid()")).scalar() == pid else "another"

    def pandas(self):
        import pandas

        frame = pandas.read_sql(self.module.text(READER.format(500).replace("::", "\\:\\:")), self.connection)
        return f"{frame.shape} {[str(kind) for kind in frame.dtypes]} {int(frame['id'].sum())} {frame['name'].iloc[-1]}"

    def inspector(self):
        inspector = self.module.inspect(self.engine)
        return f"{'public' in inspector.get_schema_names()} {inspector.default_schema_name} {inspector.dialect.server_version_info >= (15,)}"

    def portions(self):
        self.autocommit(False)
        try:
            text = self.module.text(READER.format(2000).replace("::", "\\:\\:"))
            result = self.connection.execution_options(stream_results=True, max_row_buffer=300).execute(text)
            return sum(row[0] for row in result)
        finally:
            self.autocommit(True)

    def close(self):
        self.connection.close()
        self.engine.dispose()


class Pyodbc(Driver):
    placeholder = "?"

    def __init__(self):
        import pyodbc

        self.module = pyodbc
        self.version = pyodbc.version
        self.driver = next(name for name in pyodbc.drivers() if "PostgreSQL" in name and "Unicode" in name)

    def connect(self, more=""):
        text = f"Driver={{{self.driver}}};Server={HOST};Port={PORT};Database={DATABASE};Uid={USER};{more}"
        self.connection = self.module.connect(text, autocommit=True)

    def code(self, error):
        return error.args[0] if error.args else ""

    def tls(self, mode, authority, password, bound="prefer"):
        # It looks for authorities in libpq's own variable.
        os.environ["PGSSLROOTCERT"] = authority or "/nowhere"
        text = f"Driver={{{self.driver}}};Server=localhost;Port={TLS['PORT']};Database={DATABASE};Uid={TLS['USER']};Pwd={password};SSLmode={mode};"
        connection = self.module.connect(text, autocommit=True)
        found = tuple(connection.execute(ENCRYPTED).fetchone())
        connection.close()
        return found

    def portions(self):
        self.close()
        self.connect("UseDeclareFetch=1;Fetch=300;")
        return sum(row[0] for row in self.rows(READER.format(2000)))

    def tables(self):
        return [column.column_name for column in self.connection.cursor().columns(table="types_of_it")]


class Adbc(Driver):
    placeholder = "${}"

    def __init__(self):
        import adbc_driver_postgresql.dbapi

        self.module = adbc_driver_postgresql.dbapi
        self.version = __import__("importlib.metadata").metadata.version("adbc-driver-postgresql")

    def connect(self):
        self.connection = self.module.connect(f"postgresql://{USER}@{HOST}:{PORT}/{DATABASE}", autocommit=True)

    def autocommit(self, on):
        self.connection.adbc_connection.set_autocommit(on)

    binds_channels = True

    def tls(self, mode, authority, password, bound="prefer"):
        text = " ".join(f"{name}={value}" for name, value in libpq(mode, authority, password, bound).items())
        with self.module.connect(text, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute(ENCRYPTED)
            return cursor.fetchone()

    def arrow(self):
        with self.connection.cursor() as cursor:
            cursor.execute(READER.format(5000))
            table = cursor.fetch_arrow_table()
            return f"{table.schema.names} {[str(kind) for kind in table.schema.types]} {table.num_rows} {table['id'].to_pylist()[-1]}"

    def ingest(self):
        import pyarrow

        with self.connection.cursor() as cursor:
            table = pyarrow.table({"id": pyarrow.array([1, 2, None], pyarrow.int64()), "name": ["a", None, "c"]})
            cursor.adbc_ingest("ingested", table, mode="create", temporary=True)
            cursor.execute("SELECT id, name FROM ingested ORDER BY id NULLS LAST")
            return cursor.fetchall()


class Connectorx(Driver):
    def __init__(self):
        import connectorx

        self.module = connectorx
        self.version = connectorx.__version__
        self.url = f"postgresql://{USER}@{HOST}:{PORT}/{DATABASE}"

    def connect(self):
        pass

    def close(self):
        pass

    def frame(self, protocol):
        table = self.module.read_sql(self.url, READER.format(5000), protocol=protocol, return_type="arrow")
        return f"{table.schema.names} {[str(kind) for kind in table.schema.types]} {table.num_rows} {table['name'].to_pylist()[-1]}"

    def cases(self):
        yield "frame over binary", lambda: self.frame("binary")
        yield "frame over csv", lambda: self.frame("csv")
        yield "frame over cursor", lambda: self.frame("cursor")
        yield "polars", self.polars
        yield "polars over types", self.types

    def polars(self):
        import polars

        frame = polars.read_database_uri(READER.format(5000), self.url, engine="connectorx")
        return f"{frame.shape} {frame.dtypes} {frame['id'].sum()}"

    def types(self):
        import polars

        sql = "SELECT true AS a, 1::int2 AS b, 1.5::float4 AS c, 'x'::text AS d, '2024-02-29'::date AS e, '2024-02-29 12:30:00'::timestamp AS f"
        frame = polars.read_database_uri(sql, self.url, engine="connectorx")
        return f"{frame.dtypes} {frame.rows()}"


DRIVERS = {
    "psycopg2": Psycopg2,
    "psycopg3": Psycopg3,
    "asyncpg": Asyncpg,
    "pg8000": Pg8000,
    "sqlalchemy": Sqlalchemy,
    "pyodbc": Pyodbc,
    "adbc": Adbc,
    "connectorx": Connectorx,
}


def failing(driver, sql):
    """The SQLSTATE of a statement, and that the connection goes on."""
    try:
        driver.rows(sql)
        return "no error"
    except Exception as error:
        code = driver.code(error) or type(error).__name__
    return f"{code}, then {driver.rows('SELECT 1::int8')}"


def committed(driver):
    driver.rows("CREATE TEMP TABLE tx (a int8)")
    driver.autocommit(False)
    driver.rows("INSERT INTO tx VALUES (1)")
    driver.commit()
    driver.begin()
    driver.rows("INSERT INTO tx VALUES (2)")
    driver.rollback()
    driver.autocommit(True)
    return driver.rows("SELECT a FROM tx ORDER BY a")


def failed(driver):
    driver.autocommit(False)
    codes = []
    for sql in ["SELECT 1 / 0", "SELECT 1::int8"]:
        try:
            driver.rows(sql)
            codes.append("no error")
        except Exception as error:
            codes.append(driver.code(error) or type(error).__name__)
    driver.rollback()
    driver.autocommit(True)
    return codes, driver.rows("SELECT 1::int8")


def savepoint(driver):
    driver.rows("CREATE TEMP TABLE sp (a int8)")
    driver.autocommit(False)
    driver.rows("INSERT INTO sp VALUES (1)")
    driver.rows("SAVEPOINT s")
    with contextlib.suppress(Exception):
        driver.rows("INSERT INTO sp SELECT 1 / 0")
    driver.rows("ROLLBACK TO SAVEPOINT s")
    driver.rows("INSERT INTO sp VALUES (2)")
    driver.commit()
    driver.autocommit(True)
    return driver.rows("SELECT a FROM sp ORDER BY a")


def cancel(driver):
    timer = threading.Timer(0.2, driver.cancel)
    timer.start()
    outcome = failing(driver, "SELECT pg_sleep(60)")
    timer.join()
    return outcome


def timeout(driver):
    driver.rows("SET statement_timeout = 100")
    outcome = failing(driver, "SELECT pg_sleep(60)")
    driver.rows("SET statement_timeout = 0")
    return outcome


def large(driver):
    rows = driver.fetch_large()
    return len(rows), sum(row[0] for row in rows), sum(row[1] for row in rows), rows[-1]


def refused(connecting):
    """Whether connecting fails, as it must."""
    try:
        return connecting()
    except Exception as error:
        return type(error).__name__


def reset(driver):
    driver.rows("SET application_name = 'left over'")
    driver.rows("CREATE TEMP TABLE left_over (a int8)")
    driver.rows("DISCARD ALL")
    name = driver.rows("SELECT current_setting('application_name') <> 'left over'")
    return name, failing(driver, "SELECT a FROM left_over")


def copy_in(driver):
    driver.rows("CREATE TEMP TABLE copied (a int8, b text)")
    driver.copy_in("copied", "1\tone\n2\t\\N\n3\ttab\\there\n")
    return driver.rows("SELECT a, b FROM copied ORDER BY a")


def copy_in_malformed(driver):
    try:
        driver.copy_in("copied", "x\tone\n")
        return "no error"
    except Exception as error:
        return driver.code(error) or type(error).__name__, driver.rows("SELECT 1::int8")


def notice(driver):
    driver.rows("DROP TABLE IF EXISTS nothing_like_it")
    return driver.notices()[-1:]


def cases(driver):
    """All that this client can be asked."""
    if hasattr(driver, "cases"):
        yield from driver.cases()
        return
    yield "connect", lambda: driver.rows("SELECT 1::int8")
    for name, sql, value in VALUES:
        kind = name.removesuffix("_nan")
        yield f"{name} out", lambda sql=sql, kind=kind: driver.rows(f"SELECT {sql}::{kind}")[0]
        yield f"{name} as a parameter", lambda kind=kind, value=value: driver.rows(f"SELECT $1::{kind}", (value,))[0]
        if hasattr(driver, "binary_rows"):
            yield f"{name} both ways in binary", lambda kind=kind, value=value: driver.binary_rows(f"SELECT $1::{kind}", (value,))[0]
    yield "NULL as a parameter", lambda: driver.rows("SELECT $1::int8, $2::text", (None, None))[0]
    yield "NULLs out", lambda: driver.rows("SELECT NULL::int8, NULL::text, NULL::timestamptz, NULL::int4[]")[0]
    yield "a parameter compared", lambda: driver.rows("SELECT g FROM generate_series(1::int8, 5::int8) AS t(g) WHERE g > $1 ORDER BY g", (3,))
    yield "a parameter in LIMIT", lambda: driver.rows("SELECT g FROM generate_series(1::int8, 5::int8) AS t(g) ORDER BY g LIMIT $1", (2,))
    yield "commit and rollback", lambda: committed(driver)
    yield "the failed state", lambda: failed(driver)
    yield "savepoints", lambda: savepoint(driver)
    yield "syntax error", lambda: failing(driver, "SELEC 1")
    yield "no such table", lambda: failing(driver, "SELECT * FROM nothing_like_it")
    yield "no such column", lambda: failing(driver, "SELECT nothing_like_it FROM (VALUES (1)) AS t(a)")
    yield "division by zero", lambda: failing(driver, "SELECT 1 / 0")
    yield "a bad value", lambda: failing(driver, "SELECT 'x'::int4")
    yield "statement_timeout", lambda: timeout(driver)
    if hasattr(driver, "cancel"):
        yield "cancel", lambda: cancel(driver)
    if hasattr(driver, "cancel_case"):
        yield "cancel", driver.cancel_case
    yield "a large fetch", lambda: large(driver)
    if hasattr(driver, "copy_in"):
        yield "COPY in", lambda: copy_in(driver)
        yield "COPY in, malformed", lambda: copy_in_malformed(driver)
        yield "COPY out", lambda: driver.copy_out("SELECT g AS g, NULL::text AS n FROM generate_series(1::int8, 3::int8) AS t(g)")
        yield "COPY out as csv", lambda: driver.copy_out("SELECT 1::int8 AS a, 'x,y'::text AS b", "WITH (FORMAT csv, HEADER)")
    if hasattr(driver, "notices"):
        yield "a notice", lambda: notice(driver)
    for name, method in [
        ("prepared statements", "prepared"),
        ("COPY out in binary", "copy_binary"),
        ("COPY in of records", "copy_records"),
        ("a pipeline", "pipeline"),
        ("a pool", "pool"),
        ("pandas.read_sql", "pandas"),
        ("the inspector", "inspector"),
        ("an Arrow table", "arrow"),
        ("ingesting Arrow", "ingest"),
        ("fetched in portions", "portions"),
        ("rows passed over", "passed_over"),
    ]:
        if hasattr(driver, method):
            yield name, getattr(driver, method)
    if driver.tls and TLS["PORT"]:
        yield "TLS", lambda: driver.tls("require", "", TLS["PASSWORD"])
        yield "TLS, verified", lambda: driver.tls("verify-full", TLS["CA"], TLS["PASSWORD"])
        yield "TLS, another authority", lambda: refused(lambda: driver.tls("verify-full", TLS["OTHER_CA"], TLS["PASSWORD"]))
        yield "TLS, a wrong password", lambda: refused(lambda: driver.tls("verify-full", TLS["CA"], "looking glass"))
        if driver.binds_channels:
            yield "TLS, bound to the channel", lambda: driver.tls("verify-full", TLS["CA"], TLS["PASSWORD"], "require")
    if driver.discards:
        yield "DISCARD ALL", lambda: reset(driver)


def main():
    driver = DRIVERS[sys.argv[1]]()
    print(f"version\t{driver.version}")
    driver.connect()
    for name, case in cases(driver):
        if ONLY and name != ONLY:
            continue
        try:
            outcome = shown(case())
        except Exception as error:
            # Words are a server's own; the kind and the code of an error are not.
            outcome = f"{type(error).__name__} {driver.code(error)}"
            print(f"{name}: {error}", file=sys.stderr)
            with contextlib.suppress(Exception):
                driver.rollback()
                driver.autocommit(True)
        print(f"{name}\t{outcome!s}".replace("\n", "\\n"), flush=True)
    driver.close()


main()
