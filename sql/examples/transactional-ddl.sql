-- Several definitions, or none of them: one version of the registry.
BEGIN;
CREATE ENTITY shopper KEY (customer_id BIGINT) COMMENT 'A customer, under another name';
CREATE FEATURE VIEW shopper_plan
    ENTITIES (shopper)
    FROM iceberg.gold.customer_profile
    TIMESTAMP valid_from
    VALID UNTIL valid_to
    TAGS (team = 'growth');
COMMIT;

DESCRIBE FEATURE VIEW shopper_plan;
SHOW ENTITIES;

-- An entity that a view uses is not dropped by accident; CASCADE takes the view along.
DROP ENTITY shopper CASCADE;
