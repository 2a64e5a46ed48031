-- The matrix's cases through psql: what it prints is what is compared.
\set VERBOSITY sqlstate
\echo == connect
SELECT 1::int8 AS one;
\echo == types
\pset null (null)
SELECT true AS a, '-32768'::int2 AS b, 2147483647::int4 AS c, '-9223372036854775808'::int8 AS d, 1.5::float4 AS e, 0.1::float8 AS f, 123456.789::numeric(12,3) AS g;
SELECT 'zwölf 😀'::text AS a, '\x00ff41'::bytea AS b, '2024-02-29'::date AS c, '12:30:00.25'::time AS d, '2024-02-29 12:30:00.123456'::timestamp AS e;
SELECT '2024-02-29 12:30:00+00'::timestamptz AS a, '3 days 04:05:06'::interval AS b, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid AS c, '{1,NULL,3}'::int4[] AS d;
SELECT NULL::int8 AS a, ''::text AS b;
\echo == expanded
\x on
SELECT 1::int8 AS a, 'two'::text AS b;
\x off
\echo == gset and variables
SELECT 41::int8 AS answer \gset
SELECT :answer + 1 AS next;
\echo == gdesc
SELECT 1::int4 AS a, 'x'::text AS b, now() AS c \gdesc
\echo == gexec
SELECT 'SELECT 7::int8 AS made' \gexec
\echo == transactions
CREATE TEMP TABLE tx (a int8);
BEGIN;
INSERT INTO tx VALUES (1);
COMMIT;
BEGIN;
INSERT INTO tx VALUES (2);
SELECT 1 / 0;
SELECT 1;
ROLLBACK;
SELECT a FROM tx;
\echo == savepoints
BEGIN;
SAVEPOINT s;
SELECT 1 / 0;
ROLLBACK TO s;
INSERT INTO tx VALUES (3);
COMMIT;
SELECT a FROM tx ORDER BY a;
\echo == errors by code
SELEC 1;
SELECT * FROM nothing_like_it;
SELECT 'x'::int4;
\echo :SQLSTATE
\echo == ON_ERROR_ROLLBACK
\set ON_ERROR_ROLLBACK on
BEGIN;
INSERT INTO tx VALUES (4);
SELECT 1 / 0;
COMMIT;
SELECT count(*) FROM tx;
\set ON_ERROR_ROLLBACK off
\echo == notices
DROP TABLE IF EXISTS nothing_like_it;
\echo == statement_timeout
SET statement_timeout = 100;
SELECT pg_sleep(60);
RESET statement_timeout;
\echo == settings
SET TIME ZONE 'Europe/Berlin';
SHOW TimeZone;
SELECT '2024-07-01 12:00:00+00'::timestamptz AS summer;
RESET TIME ZONE;
\echo == several statements in one query
SELECT 1::int8 AS a\; SELECT 2::int8 AS b;
\echo == copy
CREATE TEMP TABLE copied (a int8, b text);
COPY copied FROM STDIN;
1	one
2	\N
\.
SELECT a, b FROM copied ORDER BY a;
COPY (SELECT a, b FROM copied ORDER BY a) TO STDOUT WITH (FORMAT csv, HEADER);
\copy copied FROM PROGRAM 'printf "3\tthree\n"'
\copy (SELECT count(*) AS n FROM copied) TO STDOUT
\echo == a large fetch
\set FETCH_COUNT 0
SELECT count(*), sum(id)::int8 AS sum FROM (SELECT g::int8 AS id FROM generate_series(1::int8, 20000::int8) AS t(g)) AS s;
\echo == fetched in portions
\set FETCH_COUNT 300
\pset footer off
\t on
SELECT g FROM generate_series(1::int8, 1000::int8) AS t(g) \g | tail -n 2
\t off
\set FETCH_COUNT 0
\echo == prepared
PREPARE plus (int8) AS SELECT $1 + 1 AS next;
EXECUTE plus(41);
DEALLOCATE plus;
\echo == DISCARD ALL
DISCARD ALL;
SELECT * FROM tx;
\echo == TLS
\getenv port FEATGRES_TLS_PORT
\getenv user FEATGRES_TLS_USER
\getenv password FEATGRES_TLS_PASSWORD
\getenv authority FEATGRES_TLS_CA
\getenv other_authority FEATGRES_TLS_OTHER_CA
\getenv database PGDATABASE
SELECT 'host=localhost port=' || :'port' || ' user=' || :'user' || ' password=' || :'password' || ' dbname=' || :'database' AS place \gset
\set required :place ' sslmode=require'
\c :"required"
SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid();
\echo == TLS, verified and bound to the channel
\set verified :place ' channel_binding=require sslmode=verify-full sslrootcert=' :authority
\c :"verified"
SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid();
