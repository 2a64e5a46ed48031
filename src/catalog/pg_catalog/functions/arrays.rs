//! Functions over arrays that the engine lacks; what returns a set there gives an array here, which the planner unnests.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, ListArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// The functions' names and what they do.
const KINDS: [(&str, Kind); 5] = [
    ("array_or_empty", Kind::OrEmpty),
    ("generate_subscripts", Kind::Subscripts),
    ("_pg_expandarray", Kind::Expand),
    ("array_upper", Kind::Upper),
    ("array_lower", Kind::Lower),
];

/// The function of this name.
pub(super) fn function(name: &str) -> Option<Arc<ScalarUDF>> {
    let (name, kind) = KINDS.into_iter().find(|(known, _)| *known == name)?;
    let arguments = if matches!(kind, Kind::OrEmpty | Kind::Expand) { 1 } else { 2 };
    Some(Arc::new(ScalarUDF::new_from_impl(ArrayFunction { name, kind, signature: Signature::any(arguments, Volatility::Immutable) })))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// The array, or `{}` for NULL: what `ARRAY(SELECT …)` is of no rows.
    OrEmpty,
    /// 1, 2, … one for each element.
    Subscripts,
    /// `(x, n)`: each element with its number.
    Expand,
    /// The last subscript; NULL of an empty array.
    Upper,
    /// The first one.
    Lower,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ArrayFunction {
    name: &'static str,
    kind: Kind,
    signature: Signature,
}

/// An item field.
fn item(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", data_type, true))
}

fn expanded(element: &Arc<Field>) -> Fields {
    Fields::from(vec![element.as_ref().clone().with_name("x").with_nullable(true), Field::new("n", DataType::Int32, true)])
}

impl ScalarUDFImpl for ArrayFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let Some(DataType::List(element)) = arguments.first() else {
            return plan_err!("{} takes an array", self.name);
        };
        Ok(match self.kind {
            Kind::OrEmpty => DataType::List(Arc::clone(element)),
            Kind::Subscripts => DataType::List(item(DataType::Int32)),
            Kind::Expand => DataType::List(item(DataType::Struct(expanded(element)))),
            Kind::Upper | Kind::Lower => DataType::Int32,
        })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let Some(lists) = arrays.first().and_then(|array| array.as_list_opt::<i32>()) else {
            return plan_err!("{} takes an array", self.name);
        };
        let length = |row: usize| if lists.is_null(row) { 0 } else { lists.value_length(row).max(0) };
        let counts = (0..lists.len()).map(|row| length(row) as usize);
        let numbers = || (0..lists.len()).flat_map(|row| 1..=length(row)).collect::<Int32Array>();
        // What a NULL list has behind it is not part of it.
        let values = || -> Result<ArrayRef> {
            let slices: Vec<ArrayRef> = (0..lists.len()).filter(|row| lists.is_valid(*row)).map(|row| lists.value(row)).collect();
            let slices: Vec<&dyn Array> = slices.iter().map(AsRef::as_ref).collect();
            Ok(if slices.is_empty() { lists.values().slice(0, 0) } else { arrow::compute::concat(&slices)? })
        };
        let element = match lists.data_type() {
            DataType::List(element) => Arc::clone(element),
            other => item(other.clone()),
        };
        let answer: ArrayRef = match self.kind {
            Kind::OrEmpty => Arc::new(ListArray::try_new(element, OffsetBuffer::from_lengths(counts), values()?, None)?),
            Kind::Subscripts => {
                Arc::new(ListArray::try_new(item(DataType::Int32), OffsetBuffer::from_lengths(counts), Arc::new(numbers()), None)?)
            }
            Kind::Expand => {
                let fields = expanded(&element);
                let rows = StructArray::try_new(fields.clone(), vec![values()?, Arc::new(numbers())], None)?;
                Arc::new(ListArray::try_new(item(DataType::Struct(fields)), OffsetBuffer::from_lengths(counts), Arc::new(rows), None)?)
            }
            Kind::Upper => Arc::new((0..lists.len()).map(|row| Some(length(row)).filter(|length| *length > 0)).collect::<Int32Array>()),
            Kind::Lower => Arc::new((0..lists.len()).map(|row| (length(row) > 0).then_some(1)).collect::<Int32Array>()),
        };
        Ok(ColumnarValue::Array(answer))
    }
}
