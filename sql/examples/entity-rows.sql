-- Entity rows can come from anywhere: a query over a source table, a temporary table, VALUES, or text.
CREATE OR REPLACE FEATURE VIEW support ENTITIES (customer_id) FROM iceberg.gold.support_tickets TIMESTAMP changed_at;

-- A temporary table, filled by INSERT (or by COPY … FROM STDIN, which is faster for many rows).
CREATE TEMP TABLE spine (customer_id BIGINT, event_timestamp TIMESTAMPTZ, label BOOLEAN);
INSERT INTO spine VALUES (1001, '2026-03-01 00:00:00+00', false), (1005, '2026-06-01 00:00:00+00', true);
SELECT * FROM get_historical_features((TABLE spine), ARRAY['support:open_tickets', 'support:last_topic']) ORDER BY customer_id;

-- The same as text, for tools that take subqueries apart.
SELECT * FROM get_historical_features('SELECT * FROM spine', ARRAY['support:open_tickets']) ORDER BY customer_id;

-- Another name for the time column.
SELECT * FROM get_historical_features(
    entities => (SELECT customer_id, event_timestamp AS decided_at FROM spine),
    features => ARRAY['support:open_tickets'],
    timestamp_column => 'decided_at'
) ORDER BY customer_id;

DROP TABLE spine;
DROP FEATURE VIEW support;
