//! `sum` and `avg` of integers as PostgreSQL has them: exact. The sum of `bigint` is a numeric, so that it cannot overflow, and the mean
//! of whole numbers and of numerics is a numeric of sixteen decimal places; the engine would wrap around, and answer with a double.
//! And `min`, `max` and `array_agg`, whose answer is called what their argument is (jsonb, `char(n)`, name).
//!
//! The engine's own functions do the work: only the types that arguments are brought to are others.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_aggregate::array_agg::array_agg_udaf;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::functions_aggregate::{average::avg_udaf, sum::sum_udaf};
use datafusion::logical_expr::expr::{AggregateFunctionParams, WindowFunctionParams};
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, SetMonotonicity, Signature, StatisticsArgs, Volatility,
};

use super::named::with_name;
use crate::pg_type::PgType;

/// Digits behind the point that a mean is computed from; the engine adds four.
const MEAN_SCALE: i8 = 12;
/// Digits of a numeric.
const PRECISION: u8 = 38;

/// All of them.
pub fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    [
        (sum_udaf(), Kind::Sum),
        (avg_udaf(), Kind::Mean),
        (min_udaf(), Kind::One),
        (max_udaf(), Kind::One),
        (array_agg_udaf(), Kind::Elements),
    ]
    .into_iter()
    .map(|(inner, kind)| {
        Arc::new(AggregateUDF::new_from_impl(Exact { inner, kind, signature: Signature::user_defined(Volatility::Immutable) }))
    })
    .chain(super::ordered_set::functions())
    .collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Sum,
    Mean,
    /// One of the arguments.
    One,
    /// All of them.
    Elements,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Exact {
    inner: Arc<AggregateUDF>,
    kind: Kind,
    signature: Signature,
}

/// What an argument is brought to; none where the engine knows best.
fn exact(kind: Kind, argument: &DataType) -> Option<DataType> {
    match (kind, argument) {
        (Kind::Sum, DataType::Int64) => Some(DataType::Decimal128(PRECISION, 0)),
        (Kind::Sum | Kind::One | Kind::Elements, _) => None,
        (Kind::Mean, DataType::Int8 | DataType::Int16 | DataType::Int32) => Some(DataType::Decimal128(10 + MEAN_SCALE as u8, MEAN_SCALE)),
        (Kind::Mean, DataType::Int64 | DataType::UInt32 | DataType::UInt64) => {
            Some(DataType::Decimal128(20 + MEAN_SCALE as u8, MEAN_SCALE))
        }
        (Kind::Mean, DataType::Decimal128(precision, scale)) if *scale >= 0 && *scale < MEAN_SCALE => {
            let more = (MEAN_SCALE - scale).unsigned_abs();
            // Where there is no room for as many, there is none for a value that is near the limit either.
            (precision + more <= PRECISION).then(|| DataType::Decimal128(precision + more, MEAN_SCALE))
        }
        (Kind::Mean, _) => None,
    }
}

/// The type whose order tells the least of these.
fn compared_as(pg_type: PgType) -> PgType {
    match pg_type {
        PgType::VARCHAR | PgType::NAME => PgType::TEXT,
        pg_type if pg_type.is_named_oid() => PgType::OID,
        pg_type => pg_type,
    }
}

impl AggregateUDFImpl for Exact {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.inner.schema_name(params)
    }

    fn human_display(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.inner.human_display(params)
    }

    fn window_function_schema_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.inner.window_function_schema_name(params)
    }

    fn display_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.inner.display_name(params)
    }

    fn window_function_display_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.inner.window_function_display_name(params)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        if let [argument] = arguments
            && let Some(wanted) = exact(self.kind, argument)
        {
            return Ok(vec![wanted]);
        }
        let fields: Vec<FieldRef> =
            arguments.iter().map(|argument| Arc::new(arrow::datatypes::Field::new("argument", argument.clone(), true))).collect();
        let coerced = datafusion::logical_expr::type_coercion::functions::fields_with_udf(&fields, self.inner.as_ref())?;
        Ok(coerced.iter().map(|field| field.data_type().clone()).collect())
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn return_field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
        let field = self.inner.return_field(arguments)?;
        let is_value = |argument: &&FieldRef| {
            let pg_type = PgType::of(argument);
            !argument.data_type().is_nested() || pg_type.element().is_some() || pg_type == PgType::RECORD
        };
        let named = arguments.first().filter(is_value).map(|argument| PgType::of(argument));
        Ok(match self.kind {
            Kind::Sum | Kind::Mean => field,
            Kind::One => with_name(&field, named.map(compared_as)),
            Kind::Elements => with_name(&field, named.map(PgType::array_of)),
        })
    }

    fn is_nullable(&self) -> bool {
        self.inner.is_nullable()
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.inner.accumulator(arguments)
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(arguments)
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(arguments)
    }

    fn create_groups_accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(arguments)
    }

    fn create_sliding_accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.inner.create_sliding_accumulator(arguments)
    }

    fn with_beneficial_ordering(self: Arc<Self>, beneficial_ordering: bool) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        let (kind, signature) = (self.kind, self.signature.clone());
        let ordered = self.inner.as_ref().clone().with_beneficial_ordering(beneficial_ordering)?;
        Ok(ordered.map(|inner| Arc::new(Exact { inner: Arc::new(inner), kind, signature }) as Arc<dyn AggregateUDFImpl>))
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.is_descending()
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        self.inner.simplify()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        self.inner.reverse_udf()
    }

    fn value_from_stats(&self, statistics: &StatisticsArgs) -> Option<ScalarValue> {
        self.inner.value_from_stats(statistics)
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.inner.default_value(data_type)
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(data_type)
    }
}
