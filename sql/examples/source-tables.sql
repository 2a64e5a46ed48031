-- Source tables are plain tables: three parts, joins, aggregates.
SHOW CATALOGS;
SHOW SCHEMAS FROM iceberg;
DESCRIBE iceberg.gold.labels;
SELECT p.country, count(*) AS labels, sum(CASE WHEN l.churned THEN 1 ELSE 0 END) AS churned
FROM iceberg.gold.labels AS l JOIN iceberg.gold.customer_profile AS p ON p.customer_id = l.customer_id
WHERE p.valid_from <= l.event_timestamp AND (p.valid_to IS NULL OR p.valid_to > l.event_timestamp)
GROUP BY p.country ORDER BY p.country;
