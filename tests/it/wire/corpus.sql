SELECT 1, 'x', NULL, true, 1.5, -2e10, DATE '2026-01-01', TIMESTAMPTZ '2026-01-01 12:00:00+02', INTERVAL '1 month 2 days'
SELECT customer_id, count(*), max(event_timestamp) FROM iceberg.gold.labels GROUP BY customer_id HAVING count(*) > 1 ORDER BY 1 NULLS FIRST LIMIT 3 OFFSET 1
SELECT l.*, a.total_orders FROM iceberg.gold.labels l LEFT JOIN iceberg.gold.customer_aggregates a ON l.customer_id = a.customer_id AND a.updated_at <= l.event_timestamp
SELECT * FROM get_historical_features(entities => (SELECT customer_id, event_timestamp FROM iceberg.gold.labels), features => ARRAY['v:total_orders', 'v:*'], include_feature_timestamps => true)
SELECT * FROM get_historical_features((TABLE iceberg.gold.labels), ARRAY['v:total_orders'], max_age => INTERVAL '3 days', full_feature_names => true)
SELECT * FROM get_latest_features(entities => (SELECT unnest(ARRAY[1, 2, 3]::bigint[]) AS customer_id), features => ARRAY['v:favourite'], as_of => TIMESTAMPTZ '2026-02-01')
SELECT * FROM get_feature_ranges('v') WHERE valid_to IS NULL ORDER BY customer_id
SELECT * FROM v WHERE customer_id BETWEEN 1 AND 2 AND favourite LIKE 't%' OR favourite IS NULL
WITH x AS (SELECT 1 AS a UNION ALL SELECT 2), y (b) AS (VALUES (3)) SELECT x.a, y.b, row_number() OVER (PARTITION BY x.a ORDER BY y.b DESC) FROM x CROSS JOIN y
WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT sum(n) FROM r
SELECT CASE WHEN n % 2 = 0 THEN 'even' ELSE 'odd' END, coalesce(NULL, n), nullif(n, 2), greatest(n, 3) FROM (VALUES (1), (2)) AS t (n)
SELECT a FROM (VALUES (1, 'x'), (2, 'y')) AS t (a, b) WHERE a IN (SELECT 1) AND EXISTS (SELECT 1) AND b = ANY (ARRAY['x', 'y'])
SELECT upper('a') || lower('B') || substring('hello' FROM 2 FOR 3), position('l' IN 'hello'), trim(both ' ' from ' x '), extract(year FROM now()), date_trunc('day', now())
SELECT '12'::int, cast('1.50' AS numeric(10, 2)), '{1,2}'::int[], ARRAY[1, 2][1], '{"a": 1}'::jsonb, 'a3ee1f7c-8f4c-4e2d-9d6e-0b1f8f1e7a11'::uuid, '\x00ff'::bytea
SELECT 10 / 3, 10 % 3, 2 ^ 3, -5, abs(-5), round(2.567, 2), floor(1.5), 1 = 1 AND NOT 2 > 3, 7 & 3, 1 << 4
SELECT c.relname, n.nspname, (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' ORDER BY 1
SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' ORDER BY ordinal_position
SELECT format_type(a.atttypid, a.atttypmod), pg_get_userbyid(10), 'v'::regclass, obj_description(1259) FROM pg_attribute a WHERE a.attrelid = 'v'::regclass
SELECT * FROM feature_store.feature_views
SELECT current_setting('TimeZone'), set_config('application_name', 'f', false), version(), current_user, pg_backend_pid()
CREATE FEATURE VIEW w (total_orders BIGINT COMMENT 'orders') ENTITIES (customer_id) FROM iceberg.gold.customer_aggregates TIMESTAMP updated_at CREATED TIMESTAMP ingested_at TTL INTERVAL '30 days' TAGS (team = 'x')
CREATE OR REPLACE FEATURE VIEW w ENTITIES (customer_id) TIMESTAMP event_timestamp AS SELECT customer_id, event_timestamp, churned + 1 AS c FROM iceberg.gold.labels WHERE churned = 1
CREATE ENTITY IF NOT EXISTS thing KEY (a BIGINT, b TEXT) COMMENT 'a thing'
DROP FEATURE VIEW IF EXISTS w CASCADE
SHOW CREATE FEATURE VIEW v
SHOW FEATURE VIEWS
SHOW TABLES FROM iceberg.gold
DESCRIBE iceberg.gold.labels
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY
SAVEPOINT a
ROLLBACK TO SAVEPOINT a
COMMIT
ROLLBACK
SET statement_timeout = '2s'
SET LOCAL TimeZone = 'Europe/Berlin'
RESET ALL
CREATE TEMP TABLE t (a int, b text NOT NULL, c timestamptz) ON COMMIT PRESERVE ROWS
CREATE TEMP TABLE u (x, y) AS SELECT 1, 'a' UNION ALL SELECT 2, NULL
INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y')
INSERT INTO t SELECT n, 'z', now() FROM generate_series(1, 10) AS g (n)
TRUNCATE t
DROP TABLE IF EXISTS t
COPY (SELECT * FROM iceberg.gold.labels) TO STDOUT WITH (FORMAT csv, HEADER)
COPY t FROM STDIN (FORMAT text, NULL 'x')
PREPARE p (bigint) AS SELECT $1 + 1
EXECUTE p (41)
DEALLOCATE ALL
DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT * FROM iceberg.gold.labels
FETCH BACKWARD 2 FROM c
MOVE ALL IN c
CLOSE ALL
EXPLAIN (ANALYZE, VERBOSE) SELECT count(*) FROM iceberg.gold.labels
SELECT * FROM iceberg.gold.labels FOR TIMESTAMP AS OF TIMESTAMPTZ '2030-01-01'
SELECT string_agg(favourite, ',' ORDER BY favourite), array_agg(total_orders), bool_and(true), avg(avg_order_value) FILTER (WHERE total_orders > 10) FROM iceberg.gold.customer_aggregates
SELECT * FROM generate_series(1, 5) AS g (n) JOIN LATERAL (SELECT n * 2 AS m) AS s ON true
(SELECT 1 EXCEPT SELECT 2) INTERSECT SELECT 1 ORDER BY 1 FETCH FIRST 1 ROW ONLY
SELECT DISTINCT ON (customer_id) customer_id, updated_at FROM iceberg.gold.customer_aggregates ORDER BY customer_id, updated_at DESC
VALUES (1, 'a'), (2, NULL)
TABLE iceberg.gold.tiers
DISCARD ALL
