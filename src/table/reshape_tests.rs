//! Shapes of columns: by id at any depth, promotions that the specification allows and no others.

use arrow::array::{Int32Array, Int64Array, ListBuilder, StringArray, StringBuilder};
use arrow::buffer::NullBuffer;
use arrow::datatypes::Int64Type;

use super::*;
use crate::table::field_ids::with_field_id;

fn field(id: i32, name: &str, data_type: DataType) -> Field {
    with_field_id(Field::new(name, data_type, true), id)
}

fn group(id: i32, name: &str, children: Vec<Field>) -> Field {
    field(id, name, DataType::Struct(children.into()))
}

#[test]
fn a_struct_is_matched_by_id_and_missing_fields_take_their_default() {
    let file = group(1, "s", vec![field(2, "x", DataType::Int32), field(3, "gone", DataType::Utf8)]);
    let table =
        group(1, "s", vec![field(4, "new", DataType::Utf8), field(2, "renamed", DataType::Int64), field(5, "later", DataType::Int32)]);
    let defaults = Defaults::from([(5, ScalarValue::Int32(Some(7)))]);
    let shape = Shape::between(&file, &table, &defaults).unwrap();
    let DataType::Struct(fields) = file.data_type() else { unreachable!() };
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int32Array::from(vec![Some(1), None, Some(3)])), Arc::new(StringArray::from(vec!["a", "b", "c"]))];
    let nulls = NullBuffer::from(vec![true, true, false]);
    let array: ArrayRef = Arc::new(StructArray::new(fields.clone(), columns, Some(nulls)));
    let got = shape.apply(&array).unwrap();
    assert_eq!(got.data_type(), shown(&table).data_type(), "rows have no ids inside their types");
    let got = got.as_struct();
    assert_eq!((got.is_null(0), got.is_null(2)), (false, true));
    assert_eq!(got.column(0).null_count(), 3);
    assert_eq!(got.column(1).as_primitive::<Int64Type>(), &Int64Array::from(vec![Some(1), None, Some(3)]));
    let later = got.column(2).as_primitive::<arrow::datatypes::Int32Type>();
    assert_eq!(later, &Int32Array::from(vec![Some(7), Some(7), None]), "no default where the struct is NULL");
}

#[test]
fn a_struct_of_defaults_below_a_null_is_null_at_every_depth() {
    let inner = group(3, "t", vec![field(4, "u", DataType::Int32)]);
    let file = group(1, "s", vec![field(2, "x", DataType::Int32)]);
    let table = group(1, "s", vec![field(2, "x", DataType::Int32), inner.clone()]);
    let mut defaults = Defaults::from([(4, ScalarValue::Int32(Some(9)))]);
    let DataType::Struct(fields) = inner.data_type() else { unreachable!() };
    let whole = struct_of_defaults(fields, &defaults).unwrap();
    defaults.insert(3, whole);
    let DataType::Struct(fields) = file.data_type() else { unreachable!() };
    let column: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
    let array: ArrayRef = Arc::new(StructArray::new(fields.clone(), vec![column], Some(NullBuffer::from(vec![true, false]))));
    let got = Shape::between(&file, &table, &defaults).unwrap().apply(&array).unwrap();
    let inner = got.as_struct().column(1).as_struct();
    assert_eq!((inner.is_null(0), inner.is_null(1)), (false, true));
    assert_eq!(inner.column(0).as_primitive::<arrow::datatypes::Int32Type>(), &Int32Array::from(vec![Some(9), None]));
}

#[test]
fn lists_keep_their_nulls_and_take_the_tables_element() {
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.append_value([Some("a"), None]);
    lists.append_null();
    lists.append_value(Vec::<Option<&str>>::new());
    let array: ArrayRef = Arc::new(lists.finish());
    let file = field(1, "l", array.data_type().clone());
    let table = field(1, "l", DataType::List(Arc::new(field(2, "element", DataType::Utf8))));
    let got = Shape::between(&file, &table, &Defaults::default()).unwrap().apply(&array).unwrap();
    assert_eq!(got.data_type(), shown(&table).data_type(), "rows have no ids inside their types");
    let got = got.as_list::<i32>();
    assert_eq!((got.value(0).len(), got.is_null(1), got.value(2).len()), (2, true, 0));
}

#[test]
fn promotions_are_those_of_the_specification() {
    let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    let promoted = |from: DataType, to: DataType| {
        Shape::between(&Field::new("a", from, true), &Field::new("a", to, true), &Defaults::default()).is_ok()
    };
    assert!(promoted(DataType::Int32, DataType::Int64));
    assert!(promoted(DataType::Float32, DataType::Float64));
    assert!(promoted(DataType::Decimal128(9, 2), DataType::Decimal128(38, 2)));
    assert!(promoted(DataType::Date32, micros(None)));
    assert!(promoted(DataType::Timestamp(TimeUnit::Millisecond, None), micros(Some("UTC"))));
    assert!(!promoted(DataType::Int64, DataType::Int32));
    assert!(!promoted(DataType::Int32, DataType::Float64));
    assert!(!promoted(DataType::Utf8, DataType::Int64));
    assert!(!promoted(DataType::Decimal128(9, 2), DataType::Decimal128(9, 3)));
    assert!(!promoted(DataType::Decimal128(18, 2), DataType::Decimal128(9, 2)));
    assert!(!promoted(DataType::Date32, micros(Some("UTC"))));
    assert!(!promoted(DataType::Timestamp(TimeUnit::Nanosecond, None), micros(None)), "would lose digits");
}

#[test]
fn fixed_has_one_width_and_binary_any() {
    use crate::source::iceberg::{NestedField, PrimitiveType, Type};
    use crate::table::schema::arrow_field;
    let read = |of: PrimitiveType, width: i32| {
        let (name, field_type) = ("f".to_owned(), Type::Primitive(of));
        let table = NestedField { id: 1, name, required: false, field_type, doc: None, initial_default: None, write_default: None };
        Shape::between(&field(1, "f", DataType::FixedSizeBinary(width)), &arrow_field(&table), &Defaults::default())
    };
    assert_eq!(read(PrimitiveType::Fixed(3), 3), Ok(Shape::Promoted(DataType::Binary)));
    assert_eq!(read(PrimitiveType::Binary, 4), Ok(Shape::Promoted(DataType::Binary)));
    let mismatch = read(PrimitiveType::Fixed(3), 4).unwrap_err();
    assert_eq!((mismatch.file_type.as_str(), mismatch.table_type.as_str()), ("fixed[4]", "fixed[3]"));
}

#[test]
fn a_mismatch_is_told_by_its_path_and_in_sql() {
    let nested = |leaf: DataType| {
        let entries = group(0, "entries", vec![field(4, "key", DataType::Utf8), group(5, "value", vec![field(6, "x", leaf)])]);
        group(1, "s", vec![field(2, "l", DataType::List(Arc::new(field(3, "element", DataType::Map(Arc::new(entries), false)))))])
    };
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let mismatch = Shape::between(&nested(DataType::Int64), &nested(micros), &Defaults::default()).unwrap_err();
    let (inside, file_type, table_type) = ("l.element.value.x".to_owned(), "bigint".to_owned(), "timestamp".to_owned());
    assert_eq!(mismatch, Mismatch { inside, file_type, table_type });
}

#[test]
fn nan_is_one_value_whatever_its_bits() {
    use arrow::array::{Float32Array, Float64Array};
    let odd = [f64::from_bits(0xfff8_0000_0000_0000), f64::from_bits(0x7ff8_0000_0000_0001), f64::NAN, 1.5, -0.0];
    let array: ArrayRef = Arc::new(Float64Array::from(odd.to_vec()));
    let got = Shape::Same.apply(&array).unwrap();
    let bits: Vec<u64> = got.as_primitive::<Float64Type>().values().iter().map(|value| value.to_bits()).collect();
    assert_eq!(bits, [f64::NAN.to_bits(), f64::NAN.to_bits(), f64::NAN.to_bits(), 1.5f64.to_bits(), (-0.0f64).to_bits()]);
    let array: ArrayRef = Arc::new(Float32Array::from(vec![f32::from_bits(0xffc0_0000), 2.0]));
    for (shape, wide) in [(Shape::Same, false), (Shape::Promoted(DataType::Float64), true)] {
        let got = shape.apply(&array).unwrap();
        let got = if wide {
            got.as_primitive::<Float64Type>().value(0).to_bits()
        } else {
            u64::from(got.as_primitive::<Float32Type>().value(0).to_bits())
        };
        assert_eq!(got, if wide { f64::NAN.to_bits() } else { u64::from(f32::NAN.to_bits()) });
    }
    // Nothing odd: nothing is copied.
    let array: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::NAN]));
    assert!(Arc::ptr_eq(&Shape::Same.apply(&array).unwrap(), &array));
}
