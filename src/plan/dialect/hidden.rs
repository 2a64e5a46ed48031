//! `as_it_is(x)`: a value that the engine's optimizer knows nothing of.
//!
//! It is wrapped around what the engine would conclude something wrong from ([`super::conclusions`]). It costs nothing when it runs, and as
//! much as the conclusion was worth while planning. `as_type`, which does as little, is taken away by the optimizer; this one stays.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

static AS_IT_IS: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(AsItIs { signature: Signature::any(1, Volatility::Immutable) })));

/// The expression, hidden.
pub(super) fn hide(expression: Expr) -> Expr {
    AS_IT_IS.call(vec![expression])
}

/// Whether it is.
pub(super) fn is_hidden(expression: &Expr) -> bool {
    matches!(expression, Expr::ScalarFunction(call) if call.func.name() == AS_IT_IS.name())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AsItIs {
    signature: Signature,
}

impl ScalarUDFImpl for AsItIs {
    fn name(&self) -> &str {
        "as_it_is"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        arguments.first().cloned().ok_or_else(|| DataFusionError::Internal("as_it_is takes one value".into()))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        arguments.arg_fields.first().cloned().ok_or_else(|| DataFusionError::Internal("as_it_is takes one value".into()))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        arguments.args.into_iter().next().ok_or_else(|| DataFusionError::Internal("as_it_is takes one value".into()))
    }
}
