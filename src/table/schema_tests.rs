//! Defaults in the specification's JSON become values of the engine.

use arrow::util::display::array_value_to_string;
use serde_json::json;

use super::*;
use crate::source::iceberg::TableMetadata;

fn defaults(fields: &serde_json::Value) -> Result<Vec<String>, String> {
    let metadata = json!({"format-version": 3, "location": "s3://b/t", "current-schema-id": 0,
        "schemas": [{"type": "struct", "schema-id": 0, "fields": fields}]});
    let metadata = TableMetadata::parse(metadata.to_string().as_bytes(), "m").unwrap();
    let schema = metadata.current_schema().unwrap();
    let defaults = initial_defaults(schema.fields().iter(), "t").map_err(|error| error.to_string())?;
    let shown = schema.fields().iter().map(|field| {
        let array = missing_value(&arrow_field(field), &defaults).to_array().unwrap();
        assert_eq!(*array.data_type(), data_type(&field.field_type), "{}", field.name);
        if array.is_null(0) { "NULL".to_owned() } else { array_value_to_string(&array, 0).unwrap() }
    });
    Ok(shown.collect())
}

#[test]
fn lists_maps_and_structs_have_defaults_too() {
    let ints = json!({"type": "list", "element-id": 2, "element": "int", "element-required": false});
    let map = json!({"type": "map", "key-id": 4, "key": "string", "value-id": 5, "value": "int", "value-required": false});
    let inner = json!({"type": "struct", "fields": [
        {"id": 7, "name": "q", "required": false, "type": "int", "initial-default": 4}, {"id": 8, "name": "w", "required": false, "type": "string"}
    ]});
    let structs = json!({"type": "list", "element-id": 10, "element": inner_with_ids(11), "element-required": false});
    let got = defaults(&json!([
        {"id": 1, "name": "l", "required": false, "type": ints, "initial-default": [1, null, 3]},
        {"id": 3, "name": "m", "required": false, "type": map, "initial-default": {"keys": ["a", "b"], "values": [1, null]}},
        {"id": 6, "name": "s", "required": false, "type": inner, "initial-default": {}},
        {"id": 9, "name": "ls", "required": false, "type": structs, "initial-default": [{"11": 7}, null]},
        {"id": 20, "name": "e", "required": false, "type": {"type": "list", "element-id": 21, "element": "long", "element-required": true},
            "initial-default": []},
        {"id": 22, "name": "none", "required": false, "type": "long"}
    ]));
    assert_eq!(got.unwrap(), ["[1, , 3]", "{a: 1, b: }", "{q: 4, w: }", "[{q: 7, w: }, ]", "[]", "NULL"]);
}

fn inner_with_ids(first: i32) -> serde_json::Value {
    json!({"type": "struct", "fields": [
        {"id": first, "name": "q", "required": false, "type": "int"}, {"id": first + 1, "name": "w", "required": false, "type": "string"}
    ]})
}

#[test]
fn a_default_that_is_no_value_of_its_type_is_damage() {
    for (of, json) in [
        (json!("int"), json!("seven")),
        (json!({"type": "list", "element-id": 2, "element": "int", "element-required": false}), json!([1, "x"])),
        (json!({"type": "list", "element-id": 2, "element": "int", "element-required": false}), json!({"keys": []})),
        (
            json!({"type": "map", "key-id": 2, "key": "int", "value-id": 3, "value": "int", "value-required": false}),
            json!({"keys": [1], "values": []}),
        ),
        (json!({"type": "struct", "fields": []}), json!([])),
    ] {
        let got = defaults(&json!([{"id": 1, "name": "c", "required": false, "type": of, "initial-default": json}]));
        assert!(got.clone().unwrap_err().contains("default of \"c\""), "{got:?}");
    }
}
