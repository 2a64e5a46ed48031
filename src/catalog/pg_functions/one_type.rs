//! Functions whose arguments are brought to one type, which is their answer's: `coalesce`, `nullif`, `greatest`, `least`, ARRAY, and CASE.
//!
//! The engine chooses among Arrow's types, and forgets what their fields say besides: whether a text is a jsonb, a `char(n)` or a name.
//! Here PostgreSQL's choice is made: of quoted literals, which have no type, the others tell; among floats and other numbers it is the
//! float; of two kinds of text it is the first, or what a `"char"` meets. CASE is a function only while a statement is planned, for its
//! type must be known to what it stands in; `plan::dialect` makes a CASE of it again before anything runs.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::functions::core;
use datafusion::functions_nested::make_array::make_array_udf;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::type_coercion::binary::type_union_resolution;
use datafusion::logical_expr::{ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::dimensions::check_alike;
use super::named::with_name;
use crate::error::{Report, SqlState};
use crate::pg_type::PgType;

/// CASE with conditions: condition, result, condition, result, …, and the result of ELSE.
pub const SEARCHED_CASE: &str = "searched_case";
/// CASE of a value: the value, then what it is compared with and a result, …, and the result of ELSE.
pub const SIMPLE_CASE: &str = "simple_case";

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let one = |inner| Arc::new(ScalarUDF::new_from_impl(OneType { inner, signature: Signature::user_defined(Volatility::Immutable) }));
    let case = |name| Arc::new(ScalarUDF::new_from_impl(Case { name, signature: Signature::user_defined(Volatility::Immutable) }));
    vec![
        one(core::coalesce()),
        one(core::nullif()),
        one(core::greatest()),
        one(core::least()),
        make_array(),
        case(SEARCHED_CASE),
        case(SIMPLE_CASE),
    ]
}

/// ARRAY.
pub fn make_array() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(OneType { inner: make_array_udf(), signature: Signature::user_defined(Volatility::Immutable) }))
}

/// The places of a CASE's results among the arguments of its function.
pub fn results_of_case(name: &str, arguments: usize) -> Vec<usize> {
    let first = usize::from(name == SIMPLE_CASE);
    let pairs = (arguments - first.min(arguments)) / 2;
    let mut places: Vec<usize> = (0..pairs).map(|pair| first + 2 * pair + 1).collect();
    // PostgreSQL looks at ELSE first.
    if (arguments - first.min(arguments)) % 2 == 1 {
        places.insert(0, arguments - 1);
    }
    places
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// The type of values of these types; texts among others are literals of theirs, or refused where that is known.
pub fn common_type(types: &[DataType]) -> Option<DataType> {
    let known = types.iter().filter(|data_type| !data_type.is_null());
    if known.clone().all(is_text) {
        return match known.clone().next() {
            None => Some(DataType::Null),
            Some(_) => type_union_resolution(&known.cloned().collect::<Vec<_>>()),
        };
    }
    let mut typed = known.filter(|data_type| !is_text(data_type));
    let first = typed.next()?.clone();
    typed.try_fold(first, |common, other| wider(&common, other))
}

fn wider(one: &DataType, other: &DataType) -> Option<DataType> {
    use DataType::{Date32, Float16, Float32, Float64, Timestamp, UInt32};
    match (one, other) {
        (one, other) if one == other => Some(one.clone()),
        (Float64, other) | (other, Float64) if other.is_numeric() => Some(Float64),
        (Float32 | Float16, other) | (other, Float32 | Float16) if other.is_numeric() => Some(Float32),
        (UInt32, other) | (other, UInt32) if other.is_integer() => Some(UInt32),
        (Date32, time @ Timestamp(..)) | (time @ Timestamp(..), Date32) => Some(time.clone()),
        (zoned @ Timestamp(_, Some(_)), Timestamp(_, None)) | (Timestamp(_, None), zoned @ Timestamp(_, Some(_))) => Some(zoned.clone()),
        (one, other) => type_union_resolution(&[one.clone(), other.clone()]),
    }
}

/// What the engine may bring an argument to. A literal that is to be something that the engine knows no way to stays one, until
/// `plan::dialect` has read it.
fn brought(own: &DataType, common: &DataType) -> DataType {
    if is_text(own) && !is_text(common) { own.clone() } else { common.clone() }
}

/// What values of these fields are called together; a literal in quotes, which the second says of each, has no name.
pub fn common_name<'a>(fields: impl Iterator<Item = (&'a FieldRef, bool)>) -> Option<PgType> {
    let mut common = None;
    for (field, is_literal) in fields {
        if field.data_type().is_null() || (is_literal && field.metadata().is_empty()) {
            continue;
        }
        let own = PgType::of(field);
        match common {
            None => common = Some(own),
            Some(PgType::CHAR) if own.category() == 'S' => common = Some(own),
            Some(_) => {}
        }
    }
    common
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OneType {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for OneType {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        self.inner.schema_name(arguments)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        if arguments.is_empty() || (self.name() == "nullif" && arguments.len() != 2) {
            return Err(unknown(self.name(), arguments));
        }
        let common = common_type(arguments).ok_or_else(|| unmatched(self.name(), arguments))?;
        Ok(arguments.iter().map(|own| brought(own, &common)).collect())
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let common = common_type(arguments).ok_or_else(|| unmatched(self.name(), arguments))?;
        self.inner.return_type(&vec![common; arguments.len()])
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let literal = |value: &Option<&ScalarValue>| matches!(value, Some(ScalarValue::Utf8(_)));
        let fields = || arguments.arg_fields.iter().zip(arguments.scalar_arguments.iter().map(literal));
        let name = if self.name() == "nullif" { common_name(fields().take(1)) } else { common_name(fields()) };
        let name = match (self.name(), name) {
            ("make_array", name) => name.map(PgType::array_of),
            // An operand of the comparison, which knows no varchar.
            ("nullif", Some(PgType::VARCHAR)) => None,
            (_, name) => name,
        };
        let types: Vec<DataType> = arguments.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let common = common_type(&types).ok_or_else(|| unmatched(self.name(), &types))?;
        let alike: Vec<FieldRef> =
            arguments.arg_fields.iter().map(|field| Arc::new(field.as_ref().clone().with_data_type(common.clone()))).collect();
        let field =
            self.inner.return_field_from_args(ReturnFieldArgs { arg_fields: &alike, scalar_arguments: arguments.scalar_arguments })?;
        Ok(with_name(&field, name))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let of_arrays = self.name() == "make_array" && arguments.arg_fields.iter().any(|field| PgType::of(field).element().is_some());
        if of_arrays {
            let constant = arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
            let rows = if constant { 1 } else { arguments.number_rows };
            let arrays = arguments.args.iter().map(|argument| argument.to_array(rows)).collect::<Result<Vec<_>>>()?;
            check_alike(&arrays, rows).map_err(external)?;
        }
        self.inner.invoke_with_args(arguments)
    }

    fn simplify(&self, arguments: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(arguments, context)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn conditional_arguments<'a>(&self, arguments: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.conditional_arguments(arguments)
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Case {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for Case {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let places = results_of_case(self.name, arguments.len());
        let common = self.return_type(arguments)?;
        let mut types = arguments.to_vec();
        for place in places {
            types[place] = brought(&types[place], &common);
        }
        Ok(types)
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let results: Vec<DataType> =
            results_of_case(self.name, arguments.len()).into_iter().filter_map(|place| arguments.get(place).cloned()).collect();
        if results.is_empty() {
            return Err(unknown(self.name, arguments));
        }
        common_type(&results).ok_or_else(|| unmatched("case", &results))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = arguments.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let places = results_of_case(self.name, types.len());
        let results =
            || places.iter().filter_map(|place| Some((arguments.arg_fields.get(*place)?, arguments.scalar_arguments.get(*place)?)));
        let name = common_name(results().map(|(field, value)| (field, matches!(value, Some(ScalarValue::Utf8(_))))));
        let has_else = (types.len() % 2 == 1) == (self.name == SEARCHED_CASE);
        let nullable = !has_else || results().any(|(field, _)| field.is_nullable());
        let field = arrow::datatypes::Field::new(self.name, self.return_type(&types)?, nullable);
        Ok(with_name(&Arc::new(field), name))
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(DataFusionError::Internal("a CASE that was not made one".into()))
    }

    fn short_circuits(&self) -> bool {
        true
    }
}

fn external(report: Report) -> DataFusionError {
    DataFusionError::External(Box::new(report))
}

fn unknown(name: &str, arguments: &[DataType]) -> DataFusionError {
    let types: Vec<String> = arguments.iter().map(|argument| PgType::of_data_type(argument).to_string()).collect();
    external(
        Report::new(SqlState::UNDEFINED_FUNCTION, format!("function {name}({}) does not exist", types.join(", ")))
            .hint("No function matches the given name and argument types. You might need to add explicit type casts."),
    )
}

/// 42804, in PostgreSQL's words.
pub fn unmatched(function: &str, types: &[DataType]) -> DataFusionError {
    let mut names: Vec<String> = Vec::new();
    for name in types.iter().filter(|data_type| !data_type.is_null()).map(|data_type| PgType::of_data_type(data_type).to_string()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.truncate(2);
    let what = match function {
        "make_array" => "ARRAY".to_owned(),
        SEARCHED_CASE | SIMPLE_CASE => "CASE".to_owned(),
        other => other.to_uppercase(),
    };
    external(Report::new(SqlState::DATATYPE_MISMATCH, format!("{what} types {} cannot be matched", names.join(" and "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_of_a_case() {
        assert_eq!(results_of_case(SEARCHED_CASE, 4), [1, 3]);
        assert_eq!(results_of_case(SEARCHED_CASE, 5), [4, 1, 3]);
        assert_eq!(results_of_case(SIMPLE_CASE, 5), [2, 4]);
        assert_eq!(results_of_case(SIMPLE_CASE, 6), [5, 2, 4]);
        assert_eq!(results_of_case(SIMPLE_CASE, 0), [0_usize; 0]);
    }

    #[test]
    fn the_type_of_several() {
        use DataType::{Date32, Float32, Float64, Int16, Int32, Null, UInt32, Utf8};
        let decimal = DataType::Decimal128(10, 2);
        for (types, common) in [
            (vec![Int16, Int32], Int32),
            (vec![Int32, Float32], Float32),
            (vec![decimal.clone(), Float32], Float32),
            (vec![decimal, Float64], Float64),
            (vec![Utf8, Date32, Null], Date32),
            (vec![Int32, UInt32], UInt32),
            (vec![Null, Utf8], Utf8),
            (vec![Null], Null),
        ] {
            assert_eq!(common_type(&types), Some(common), "{types:?}");
        }
        assert_eq!(common_type(&[Date32, Int32]), None);
    }
}
