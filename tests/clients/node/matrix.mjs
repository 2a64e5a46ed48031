// The matrix's cases through node-pg (`pg`) and postgres.js (`postgres`): one line per case, `name<TAB>what came back`.
//
// Usage: node matrix.mjs CLIENT. Where to connect is in PGHOST, PGPORT, PGUSER, PGDATABASE; FEATGRES_ROWS is the size of the large fetch.
// FEATGRES_CASES, if set, is the only case that is wanted; FEATGRES_TLS_… say where to connect encrypted.
// The packages are looked for where NODE_PATH says, so that nothing is installed into the checkout.
import { createRequire } from "node:module";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { readFileSync } from "node:fs";
import path from "node:path";

const require = createRequire(path.join(process.env.NODE_PATH ?? process.cwd(), "x.js"));
const rows = Number(process.env.FEATGRES_ROWS ?? "20000");
const where = { host: process.env.PGHOST, port: Number(process.env.PGPORT), user: process.env.PGUSER, database: process.env.PGDATABASE };
const reader = (count) =>
  `SELECT g::int8 AS id, g * 0.5::float8 AS half, 'row ' || g::text AS name FROM generate_series(1::int8, ${count}::int8) AS t(g)`;
const values = [
  ["bool", "true", true],
  ["int2", "'-32768'", -32768],
  ["int4", "2147483647", 2147483647],
  ["int8", "'-9223372036854775808'", "-9223372036854775808"],
  ["float4", "1.5", 1.5],
  ["float8", "'0.1'", 0.1],
  ["numeric(12,3)", "'123456.789'", "123456.789"],
  ["text", "'zwölf 😀'", "zwölf 😀"],
  ["bytea", "'\\x00ff41'", Buffer.from([0, 255, 65])],
  ["date", "'2024-02-29'", "2024-02-29"],
  ["time", "'12:30:00.25'", "12:30:00.25"],
  ["timestamp", "'2024-02-29 12:30:00.123456'", "2024-02-29 12:30:00.123456"],
  ["timestamptz", "'2024-02-29 12:30:00+00'", new Date("2024-02-29T12:30:00Z")],
  ["interval", "'3 days 04:05:06'", "3 days 04:05:06"],
  ["uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
  ["int4[]", "'{1,2,3}'", [1, 2, 3]],
  ["text[]", "'{a,\"b c\"}'", ["a", "b c"]],
];

const tls = process.env;
const encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
const secured = (authority) => (authority ? { ca: readFileSync(authority, "utf8") } : { rejectUnauthorized: false });

// Connecting encrypted by `connect(ssl, password)`, which gives what the session says of its encryption.
function encryptedCases(connect) {
  if (!tls.FEATGRES_TLS_PORT) return [];
  const refused = (work) => work.then((found) => found, (error) => `refused ${error.code === "28P01" ? error.code : ""}`);
  return [
    ["TLS", () => connect(secured(""), tls.FEATGRES_TLS_PASSWORD)],
    ["TLS, verified", () => connect(secured(tls.FEATGRES_TLS_CA), tls.FEATGRES_TLS_PASSWORD)],
    ["TLS, another authority", () => refused(connect(secured(tls.FEATGRES_TLS_OTHER_CA), tls.FEATGRES_TLS_PASSWORD))],
    ["TLS, a wrong password", () => refused(connect(secured(tls.FEATGRES_TLS_CA), "looking glass"))],
  ];
}

const shown = (value) =>
  JSON.stringify(value, (_, inner) => (typeof inner === "bigint" ? `${inner}n` : typeof inner === "number" && Number.isNaN(inner) ? "NaN" : inner));

async function run(cases) {
  for (const [name, work] of cases) {
    if (process.env.FEATGRES_CASES && process.env.FEATGRES_CASES !== name) continue;
    let outcome;
    try {
      outcome = shown(await work());
    } catch (error) {
      outcome = `error ${error.code ?? error.message}`;
      console.error(`${name}: ${error.message}`);
    }
    console.log(`${name}\t${outcome}`);
  }
}

async function nodePg() {
  const pg = require("pg");
  const Cursor = require("pg-cursor");
  const { from: copyFrom, to: copyTo } = require("pg-copy-streams");
  console.log(`version\t${require("pg/package.json").version}`);
  const client = new pg.Client(where);
  await client.connect();
  const notices = [];
  client.on("notice", (notice) => notices.push(`${notice.severity}: ${notice.message}`));
  const all = async (sql, parameters) => (await client.query({ text: sql, values: parameters, rowMode: "array" })).rows;
  const failing = async (sql) => {
    try {
      await client.query(sql);
      return "no error";
    } catch (error) {
      return [error.code, await all("SELECT 1::int8")];
    }
  };
  const cases = [["connect", () => all("SELECT 1::int8")]];
  for (const [type, sql, value] of values) {
    cases.push([`${type} out`, () => all(`SELECT ${sql}::${type}`)]);
    cases.push([`${type} as a parameter`, () => all(`SELECT $1::${type}`, [value])]);
    cases.push([`${type} in binary`, async () => (await client.query({ text: `SELECT ${sql}::${type}`, values: [], rowMode: "array", binary: true })).rows]);
  }
  cases.push(
    ["fields of a result", async () => (await client.query("SELECT 1::int4 AS a, 'x'::text AS b")).fields.map((f) => [f.name, f.dataTypeID])],
    ["NULL as a parameter", () => all("SELECT $1::int8, $2::text", [null, null])],
    ["a parameter in LIMIT", () => all("SELECT g FROM generate_series(1::int8, 5::int8) AS t(g) ORDER BY g LIMIT $1", [2])],
    ["several statements", async () => (await client.query("SELECT 1::int8 AS a; SELECT 2::int8 AS b")).map((result) => result.rows)],
    ["prepared statements", async () => {
      const found = [];
      for (const n of [1, 2, 3]) found.push((await client.query({ name: "plus", text: "SELECT $1::int8 + 1 AS a", values: [n] })).rows[0]);
      return found;
    }],
    ["commit and rollback", async () => {
      await client.query("CREATE TEMP TABLE tx (a int8)");
      for (const [n, end] of [[1, "COMMIT"], [2, "ROLLBACK"]]) {
        await client.query("BEGIN");
        await client.query("INSERT INTO tx VALUES ($1)", [n]);
        await client.query(end);
      }
      return all("SELECT a FROM tx");
    }],
    ["the failed state", async () => {
      await client.query("BEGIN");
      const codes = [];
      for (const sql of ["SELECT 1 / 0", "SELECT 1"]) await client.query(sql).catch((error) => codes.push(error.code));
      await client.query("ROLLBACK");
      return [codes, await all("SELECT 1::int8")];
    }],
    ["savepoints", async () => {
      await client.query("BEGIN; CREATE TEMP TABLE sp (a int8); SAVEPOINT s");
      await client.query("SELECT 1 / 0").catch(() => {});
      await client.query("ROLLBACK TO s");
      await client.query("INSERT INTO sp VALUES (1)");
      await client.query("COMMIT");
      return all("SELECT a FROM sp");
    }],
    ["syntax error", () => failing("SELEC 1")],
    ["no such table", () => failing("SELECT * FROM nothing_like_it")],
    ["division by zero", () => failing("SELECT 1 / 0")],
    ["a bad value", () => failing("SELECT 'x'::int4")],
    ["a notice", async () => {
      await client.query("DROP TABLE IF EXISTS nothing_like_it");
      return notices.slice(-1);
    }],
    ["cancel", async () => {
      const pid = (await all("SELECT pg_backend_pid()"))[0][0];
      await client.query("SET statement_timeout = '5s'");
      const slow = client.query("SELECT pg_sleep(60)").then(() => "no error", (error) => [error.code, error.message]);
      const other = new pg.Client(where);
      await other.connect();
      let done;
      slow.then((outcome) => (done = outcome));
      try {
        while (done === undefined) {
          await other.query("SELECT pg_cancel_backend($1)", [pid]);
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      } finally {
        await slow;
        await other.end();
        await client.query("SET statement_timeout = 0");
      }
      return [done, await all("SELECT 1::int8")];
    }],
    ["statement_timeout", async () => {
      await client.query("SET statement_timeout = 100");
      const code = await failing("SELECT pg_sleep(60)").catch((error) => error.code);
      await client.query("SET statement_timeout = 0");
      return code;
    }],
    ["a large fetch", async () => {
      const found = await all(reader(rows));
      return [found.length, found.at(-1)];
    }],
    ["fetched in portions", async () => {
      const cursor = client.query(new Cursor(reader(2000)));
      let total = 0;
      for (let part = await cursor.read(300); part.length; part = await cursor.read(300)) total += part.length;
      await cursor.close();
      return total;
    }],
    ["COPY in", async () => {
      await client.query("CREATE TEMP TABLE copied (a int8, b text)");
      await pipeline(Readable.from(["1\tone\n2\t\\N\n"]), client.query(copyFrom("COPY copied FROM STDIN")));
      return all("SELECT a, b FROM copied ORDER BY a");
    }],
    ["COPY in, malformed", async () => {
      const code = await pipeline(Readable.from(["x\tone\n"]), client.query(copyFrom("COPY copied FROM STDIN"))).catch((error) => error.code);
      return [code, await all("SELECT 1::int8")];
    }],
    ["COPY out", async () => {
      let text = "";
      for await (const part of client.query(copyTo("COPY (SELECT g FROM generate_series(1::int8, 3::int8) AS t(g)) TO STDOUT"))) text += part;
      return text;
    }],
    ["a pool", async () => {
      const pool = new pg.Pool({ ...where, max: 3 });
      const sums = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => pool.query("SELECT $1::int4 AS n", [n])));
      await pool.end();
      return sums.map((result) => result.rows[0].n);
    }],
    ["a pool that resets its connections", async () => {
      const pool = new pg.Pool({ ...where, max: 1 });
      const first = await pool.connect();
      const pid = (await first.query("SELECT pg_backend_pid() AS pid")).rows[0].pid;
      await first.query("SET application_name = 'left over'");
      await first.query("DISCARD ALL");
      first.release();
      const second = (await pool.query("SELECT pg_backend_pid() AS pid, current_setting('application_name') AS name")).rows[0];
      await pool.end();
      return [second.pid === pid, second.name];
    }],
    ...encryptedCases(async (ssl, password) => {
      const place = { host: "localhost", port: Number(tls.FEATGRES_TLS_PORT), user: tls.FEATGRES_TLS_USER, database: where.database };
      const other = new pg.Client({ ...place, password, ssl, enableChannelBinding: true });
      await other.connect();
      const found = (await other.query(encrypted)).rows;
      await other.end();
      return found;
    }),
    ["DISCARD ALL", async () => {
      await client.query("DISCARD ALL");
      return failing("SELECT * FROM tx");
    }],
  );
  await run(cases);
  await client.end();
}

async function postgresJs() {
  const postgres = require("postgres");
  console.log(`version\t${JSON.parse(readFileSync(path.join(process.env.NODE_PATH, "postgres/package.json"), "utf8")).version}`);
  const notices = [];
  const sql = postgres({ ...where, max: 1, onnotice: (notice) => notices.push(`${notice.severity}: ${notice.message}`) });
  const failing = async (text) => {
    try {
      await sql.unsafe(text);
      return "no error";
    } catch (error) {
      return [error.code, await sql`SELECT 1::int8 AS a`];
    }
  };
  const cases = [["connect", () => sql`SELECT 1::int8 AS a`]];
  for (const [type, text, value] of values) {
    cases.push([`${type} out`, () => sql.unsafe(`SELECT ${text}::${type} AS a`)]);
    cases.push([`${type} as a parameter`, () => sql.unsafe(`SELECT $1::${type} AS a`, [value])]);
  }
  cases.push(
    ["NULL as a parameter", () => sql`SELECT ${null}::int8 AS a`],
    ["a parameter in LIMIT", () => sql`SELECT g FROM generate_series(1::int8, 5::int8) AS t(g) ORDER BY g LIMIT ${2}`],
    ["an array of parameters", () => sql`SELECT g FROM generate_series(1::int8, 5::int8) AS t(g) WHERE g IN ${sql([2, 4])} ORDER BY g`],
    ["described", async () => (await sql`SELECT ${1}::int4 AS a, 'x'::text AS b`.describe()).columns.map((column) => [column.name, column.type])],
    ["a transaction", () => sql.begin(async (tx) => {
      await tx`CREATE TEMP TABLE tx (a int8)`;
      await tx`INSERT INTO tx VALUES (${1})`;
      return tx`SELECT a FROM tx`;
    })],
    ["a transaction that fails", async () => {
      const code = await sql.begin(async (tx) => { await tx`INSERT INTO tx VALUES (${2})`; await tx`SELECT 1 / 0`; }).catch((error) => error.code);
      return [code, await sql`SELECT a FROM tx`];
    }],
    ["savepoints", () => sql.begin(async (tx) => {
      await tx.savepoint(async (inner) => { await inner`INSERT INTO tx VALUES (${3})`; await inner`SELECT 1 / 0`; }).catch(() => {});
      return tx`SELECT a FROM tx`;
    })],
    ["syntax error", () => failing("SELEC 1")],
    ["no such table", () => failing("SELECT * FROM nothing_like_it")],
    ["division by zero", () => failing("SELECT 1 / 0")],
    ["a notice", async () => {
      await sql`DROP TABLE IF EXISTS nothing_like_it`;
      return notices.slice(-1);
    }],
    ["cancel", async () => {
      const query = sql`SELECT pg_sleep(60)`;
      setTimeout(() => query.cancel(), 200);
      const code = await query.catch((error) => error.code);
      return [code, await sql`SELECT 1::int8 AS a`];
    }],
    ["a large fetch", async () => {
      const found = await sql.unsafe(reader(rows));
      return [found.length, found.at(-1)];
    }],
    ["fetched in portions", async () => {
      let total = 0;
      await sql.unsafe(reader(2000)).cursor(300, (part) => { total += part.length; });
      return total;
    }],
    ["pipelined", async () => (await Promise.all([1, 2, 3].map((n) => sql`SELECT ${n}::int4 AS n`))).map((found) => found[0].n)],
    ["COPY in", async () => {
      await sql`CREATE TEMP TABLE copied (a int8, b text)`;
      await pipeline(Readable.from(["1\tone\n2\t\\N\n"]), await sql`COPY copied FROM STDIN`.writable());
      return sql`SELECT a, b FROM copied ORDER BY a`;
    }],
    ["COPY out", async () => {
      let text = "";
      for await (const part of await sql`COPY (SELECT g FROM generate_series(1::int8, 3::int8) AS t(g)) TO STDOUT`.readable()) text += part;
      return text;
    }],
  );
  cases.push(...encryptedCases(async (ssl, password) => {
    const place = { host: "localhost", port: Number(tls.FEATGRES_TLS_PORT), user: tls.FEATGRES_TLS_USER, database: where.database };
    const other = postgres({ ...place, password, ssl: { ...ssl, servername: "localhost" }, max: 1 });
    try {
      return await other.unsafe(encrypted);
    } finally {
      await other.end({ timeout: 1 });
    }
  }));
  await run(cases);
  await sql.end({ timeout: 5 });
}

await { pg: nodePg, postgres: postgresJs }[process.argv[2]]();
