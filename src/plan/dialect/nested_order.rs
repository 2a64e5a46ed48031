//! The order of lists, structs and maps.
//!
//! The engine sorts them as PostgreSQL does, a NULL inside being larger than any value. But its operators (`<`, `>=`) find it smaller, and a
//! window that is ordered by structs, maps, or lists of those cannot tell which neighbours are peers: single values of such types have no order
//! there. So both compare [`OrderOf`] the values: bytes that sort as the values do.

use std::sync::Arc;

use arrow::array::BinaryBuilder;
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast,
};

/// Whether the engine has no order for single values of this type. A client sees them as jsonb.
pub(super) fn is_unordered(of: &DataType) -> bool {
    match of {
        DataType::List(element) => element.data_type().is_nested(),
        other => matches!(other, DataType::Struct(_) | DataType::Map(..)),
    }
}

/// Whether it asks which of two nested values is the larger.
pub(super) fn compares(binary: &BinaryExpr, schema: &DFSchema) -> bool {
    let nested = |side: &Expr| side.get_type(schema).is_ok_and(|of| of.is_nested());
    matches!(binary.op, Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq) && nested(&binary.left) && nested(&binary.right)
}

/// The same of their orders, as values of one type.
pub(super) fn comparison(binary: BinaryExpr, schema: &DFSchema) -> Result<Expr> {
    let (left, right) = (binary.left.get_type(schema)?, binary.right.get_type(schema)?);
    let Some(common) = comparison_coercion(&left, &right) else { return Ok(Expr::BinaryExpr(binary)) };
    let side = |side: Expr| key(cast(side, common.clone()));
    Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(side(*binary.left)), binary.op, Box::new(side(*binary.right)))))
}

/// What to sort by instead of such a key.
pub(super) fn key(expression: Expr) -> Expr {
    order_of(expression, false)
}

/// The same in the order of the join's content (rule 3), where a NULL inside is smaller than any value.
pub(in crate::plan) fn content_key(expression: Expr) -> Expr {
    order_of(expression, true)
}

fn order_of(expression: Expr, nulls_first: bool) -> Expr {
    ScalarUDF::from(OrderOf { nulls_first, signature: Signature::any(1, Volatility::Immutable) }).call(vec![expression])
}

/// `order_of(any) -> bytea`, NULL for NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OrderOf {
    /// Where NULLs inside the values stand.
    nulls_first: bool,
    signature: Signature,
}

impl ScalarUDFImpl for OrderOf {
    fn name(&self) -> &str {
        if self.nulls_first { "content_order_of" } else { "order_of" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let Some(values) = arrays.first() else { return Ok(ColumnarValue::Scalar(ScalarValue::Binary(None))) };
        let ascending = SortOptions { descending: false, nulls_first: self.nulls_first };
        let converter = RowConverter::new(vec![SortField::new_with_options(values.data_type().clone(), ascending)])?;
        let rows = converter.convert_columns(&arrays)?;
        let mut keys = BinaryBuilder::new();
        for (index, row) in rows.iter().enumerate() {
            if values.is_null(index) { keys.append_null() } else { keys.append_value(row.data()) }
        }
        Ok(ColumnarValue::Array(Arc::new(keys.finish())))
    }
}
