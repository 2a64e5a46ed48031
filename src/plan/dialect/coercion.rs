//! What [`super::operators`] does for operators, done on the plan for what is none: casts, BETWEEN, IN, `IS TRUE`, SIMILAR TO, the columns
//! of a UNION, `pg_typeof`; what has to be of one type is [`super::common_types`]. Runs before the engine's own type coercion.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::expr::{Between, Cast, InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, Union, WindowFunctionDefinition, lit,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::analyzer::type_coercion::TypeCoercionRewriter;

use super::operators::{adapt, as_instant, as_moment};
use super::style::Style;
use super::{blanks, cases, casts, common_types, intervals, nested_order, similar, uuid, windows};
use crate::catalog::{SEARCHED_CASE, SIMPLE_CASE, common_type, unmatched};
use crate::error::{Report, SqlState};
use crate::pg_type::{PG_TYPE_KEY, PgType};
use crate::plan::context::external;
use crate::plan::patience;

/// The rule.
#[derive(Debug, Default)]
pub struct PostgresCoercion;

impl AnalyzerRule for PostgresCoercion {
    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let style = Style::of(config);
        // Whether a node below may have got other types than the nodes above were made for.
        let mut retyped = false;
        plan.transform_up_with_subqueries(|node| {
            patience::check()?;
            let node = if retyped { node.recompute_schema()? } else { node };
            let mut schema = DFSchema::empty();
            for input in node.inputs() {
                schema.merge(input.schema());
            }
            if let LogicalPlan::TableScan(scan) = &node {
                schema.merge(&scan.projected_schema);
            }
            let node = match node {
                LogicalPlan::Union(union) => {
                    retyped = true;
                    united(union, style)?
                }
                other => other,
            };
            let sorts = matches!(node, LogicalPlan::Sort(_));
            let names = NamePreserver::new(&node);
            node.map_expressions(|expression| {
                let name = names.save(&expression);
                let mut rewritten = expression.transform_up(|part| rewrite(part, &schema, style))?;
                if sorts && rewritten.data.get_type(&schema).is_ok_and(|data_type| intervals::is_interval(&data_type)) {
                    rewritten = Transformed::yes(intervals::order(rewritten.data));
                }
                Ok(rewritten.update_data(|expression| name.restore(expression)))
            })
        })
        .map(|transformed| transformed.data)
    }

    fn name(&self) -> &str {
        "postgres_coercion"
    }
}

/// An expression whose parts are as they should be.
pub(super) fn rewrite_one(expression: Expr, schema: &DFSchema, style: Style<'_>) -> Result<Expr> {
    rewrite(expression, schema, style).map(|rewritten| rewritten.data)
}

/// An expression that no rule will see, as the rule would leave it.
pub(in crate::plan) fn coerce(expression: Expr, schema: &DFSchema, style: Style<'_>) -> Result<Expr> {
    expression.transform_up(|part| rewrite(part, schema, style)).map(|rewritten| rewritten.data)
}

fn rewrite(expression: Expr, schema: &DFSchema, style: Style<'_>) -> Result<Transformed<Expr>> {
    patience::check()?;
    match blanks::rewrite(expression, schema) {
        Expr::Cast(Cast { expr, field }) if *field.data_type() == DataType::FixedSizeBinary(uuid::WIDTH) => match expr.get_type(schema) {
            Ok(DataType::Utf8) => Ok(Transformed::yes(uuid::from_text(*expr)?)),
            Ok(DataType::Utf8View | DataType::LargeUtf8) => {
                Ok(Transformed::yes(uuid::from_text(datafusion::logical_expr::cast(*expr, DataType::Utf8))?))
            }
            _ => Ok(Transformed::no(Expr::Cast(Cast { expr, field }))),
        },
        Expr::Cast(Cast { expr, field }) => match casts::rewrite(&expr, &deepened(&expr, &field, schema), schema, style)? {
            Some(call) => Ok(Transformed::yes(call)),
            None => {
                let field = deepened(&expr, &field, schema);
                Ok(as_nullable_as_its_operand(expr, field, schema))
            }
        },
        Expr::ScalarFunction(call) if truncates_days(&call, schema) => Ok(Transformed::yes(of_midnights(call, style.zone))),
        Expr::ScalarFunction(call) if style.zone != "UTC" && READS_THE_CLOCK.contains(&call.func.name()) => here(call, schema, style),
        Expr::BinaryExpr(mut binary) if is_comparison(binary.op) => {
            if matches!(binary.op, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom) {
                return distinct(binary, schema, style);
            }
            if nested_order::compares(&binary, schema) {
                return nested_order::comparison(binary, schema).map(Transformed::yes);
            }
            let is_interval = |side: &Expr| side.get_type(schema).is_ok_and(|data_type| intervals::is_interval(&data_type));
            if !(is_interval(&binary.left) && is_interval(&binary.right)) {
                return Ok(Transformed::no(Expr::BinaryExpr(binary)));
            }
            for side in [&mut binary.left, &mut binary.right] {
                **side = intervals::order(std::mem::take(side.as_mut()));
            }
            Ok(Transformed::yes(Expr::BinaryExpr(binary)))
        }
        Expr::Case(case) => common_types::case(case, schema, style).map(Transformed::yes),
        Expr::ScalarFunction(call) if takes_one_type(call.func.name()) => {
            let planned = match cases::restore(call) {
                Ok(case) => common_types::case(case, schema, style),
                Err(call) => common_types::call(call, schema, style),
            };
            planned.map(Transformed::yes)
        }
        Expr::ScalarFunction(call) if call.func.name() == "array_has" => Ok(of_one_number(call, schema)),
        Expr::ScalarFunction(call) if call.func.name() == "pg_typeof" => Ok(told(call, schema)),
        Expr::SimilarTo(like) => similar::rewrite(like),
        // The engine's two plans do not agree whether these may be NULL.
        Expr::IsTrue(flag) => Ok(Transformed::yes(distinctly(*flag, Operator::IsNotDistinctFrom, true))),
        Expr::IsFalse(flag) => Ok(Transformed::yes(distinctly(*flag, Operator::IsNotDistinctFrom, false))),
        Expr::IsNotTrue(flag) => Ok(Transformed::yes(distinctly(*flag, Operator::IsDistinctFrom, true))),
        Expr::IsNotFalse(flag) => Ok(Transformed::yes(distinctly(*flag, Operator::IsDistinctFrom, false))),
        Expr::IsUnknown(flag) => Ok(Transformed::yes(Expr::IsNull(flag))),
        Expr::IsNotUnknown(flag) => Ok(Transformed::yes(Expr::IsNotNull(flag))),
        Expr::AggregateFunction(mut call) => {
            comparable(call.func.name(), &call.params.args, schema)?;
            let narrow = sums_narrow_integers(call.func.name(), &call.params.args, schema);
            if narrow {
                call.func = sum_udaf();
            }
            Ok(Transformed::new_transformed(Expr::AggregateFunction(call), narrow))
        }
        Expr::WindowFunction(mut window) => {
            comparable(window.fun.name(), &window.params.args, schema)?;
            let narrow = sums_narrow_integers(window.fun.name(), &window.params.args, schema);
            if narrow {
                window.fun = WindowFunctionDefinition::AggregateUDF(sum_udaf());
            }
            let changed = windows::compare_keys(&mut window.params, schema) || narrow;
            Ok(Transformed::new_transformed(Expr::WindowFunction(window), changed))
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            let Ok(own) = expr.get_type(schema) else { return Ok(Transformed::no(Expr::Between(Between { expr, negated, low, high }))) };
            let (expr, own) = widened(expr, own, &[&low, &high], schema, style)?;
            let low = towards(*low, &own, schema, style)?;
            let high = towards(*high, &own, schema, style)?;
            Ok(Transformed::yes(Expr::Between(Between { expr, negated, low: Box::new(low), high: Box::new(high) })))
        }
        Expr::InList(InList { expr, list, negated }) => {
            let Ok(own) = expr.get_type(schema) else { return Ok(Transformed::no(Expr::InList(InList { expr, list, negated }))) };
            let (expr, own) = widened(expr, own, &list.iter().collect::<Vec<_>>(), schema, style)?;
            let list = list.into_iter().map(|item| towards(item, &own, schema, style)).collect::<Result<_>>()?;
            Ok(Transformed::yes(in_constants(*expr, list, negated)))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// A search among numbers of another type, by the type that both have in common.
fn of_one_number(mut call: ScalarFunction, schema: &DFSchema) -> Transformed<Expr> {
    let [list, value] = call.args.as_mut_slice() else { return Transformed::no(Expr::ScalarFunction(call)) };
    if let (Ok(DataType::List(item)), Ok(own)) = (list.get_type(schema), value.get_type(schema))
        && *item.data_type() != own
        && item.data_type().is_numeric()
        && own.is_numeric()
        && let Some(common) = common_type(&[item.data_type().clone(), own])
    {
        let of_common = DataType::List(Arc::new(item.as_ref().clone().with_data_type(common.clone())));
        *list = datafusion::logical_expr::cast(std::mem::take(list), of_common);
        *value = datafusion::logical_expr::cast(std::mem::take(value), common);
        return Transformed::yes(Expr::ScalarFunction(call));
    }
    Transformed::no(Expr::ScalarFunction(call))
}

/// A date that is compared with moments, as one of them; a number that is compared with doubles, as one.
fn widened(value: Box<Expr>, own: DataType, others: &[&Expr], schema: &DFSchema, style: Style<'_>) -> Result<(Box<Expr>, DataType)> {
    let wider = |of: &DataType| match own {
        DataType::Date32 => matches!(of, DataType::Timestamp(..)),
        _ => own.is_decimal() && of.is_floating(),
    };
    Ok(match others.iter().find_map(|other| other.get_type(schema).ok().filter(wider)) {
        Some(moment @ DataType::Timestamp(..)) => (Box::new(as_moment(*value, &moment, style.zone)), moment),
        Some(_) => (Box::new(towards(*value, &DataType::Float64, schema, style)?), DataType::Float64),
        None => (value, own),
    })
}

fn distinctly(flag: Expr, op: Operator, from: bool) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(flag), op, Box::new(lit(from))))
}

/// `x IN (…)` of constants alone: what else is in the list is compared by itself, since the engine merges two lists of one column as if
/// all that differs in them were different values, and none NULL.
fn in_constants(x: Expr, list: Vec<Expr>, negated: bool) -> Expr {
    fn constant(item: &Expr) -> bool {
        match item {
            Expr::Literal(value, _) => !value.is_null(),
            Expr::Cast(Cast { expr, .. }) | Expr::Negative(expr) => constant(expr),
            Expr::ScalarFunction(call) if casts::is_cast(call) => call.args.iter().all(constant),
            _ => false,
        }
    }
    let (constants, others): (Vec<Expr>, Vec<Expr>) = list.into_iter().partition(constant);
    let (equal, joint) = if negated { (Operator::NotEq, Operator::And) } else { (Operator::Eq, Operator::Or) };
    let binary = |left: Expr, op: Operator, right: Expr| Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)));
    let whole = (!constants.is_empty()).then(|| Expr::InList(InList { expr: Box::new(x.clone()), list: constants, negated }));
    let terms = others.into_iter().map(|item| binary(x.clone(), equal, item));
    joined(whole.into_iter().chain(terms).collect(), joint).unwrap_or(lit(negated))
}

/// All terms, as a tree that is no deeper than it must be.
fn joined(mut terms: Vec<Expr>, joint: Operator) -> Option<Expr> {
    if terms.len() < 2 {
        return terms.pop();
    }
    let right = joined(terms.split_off(terms.len() / 2), joint)?;
    Some(Expr::BinaryExpr(BinaryExpr::new(Box::new(joined(terms, joint)?), joint, Box::new(right))))
}

/// `a IS DISTINCT FROM b`, which the planner does not take for an operator.
fn distinct(binary: BinaryExpr, schema: &DFSchema, style: Style<'_>) -> Result<Transformed<Expr>> {
    let BinaryExpr { left, op, right } = binary;
    let (Ok(left_type), Ok(right_type)) = (left.get_type(schema), right.get_type(schema)) else {
        return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr::new(left, op, right))));
    };
    let interval = |side: Expr, of: &DataType| if intervals::is_interval(of) { intervals::order(side) } else { side };
    let (mut left, mut right) = (towards(*left, &right_type, schema, style)?, towards(*right, &left_type, schema, style)?);
    if intervals::is_interval(&left_type) && intervals::is_interval(&right_type) {
        (left, right) = (interval(left, &left_type), interval(right, &right_type));
    }
    Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))))
}

/// Whether it is the engine's own `sum` that is wanted: of integers that are brought to bigint, whose sum is one. Ours would be asked for
/// its type once more when they have become bigint, and that sum is a numeric.
fn sums_narrow_integers(function: &str, arguments: &[Expr], schema: &DFSchema) -> bool {
    let narrow = |of: DataType| matches!(of, DataType::Int8 | DataType::Int16 | DataType::Int32);
    function == "sum" && arguments.first().is_some_and(|argument| argument.get_type(schema).is_ok_and(narrow))
}

/// The type that a cast of an array to a type of arrays means: one of as many dimensions.
pub(super) fn deepened(operand: &Expr, target: &FieldRef, schema: &DFSchema) -> FieldRef {
    let DataType::List(item) = target.data_type() else { return Arc::clone(target) };
    let Ok((_, source)) = operand.to_field(schema) else { return Arc::clone(target) };
    if item.data_type().is_nested() || PgType::of(&source).element().is_none() {
        return Arc::clone(target);
    }
    let (mut of, mut data_type) = (source.data_type(), target.data_type().clone());
    while let DataType::List(inner) = of
        && matches!(inner.data_type(), DataType::List(_))
    {
        data_type = DataType::List(Arc::new(Field::new("item", data_type, true)));
        of = inner.data_type();
    }
    if data_type == *target.data_type() {
        return Arc::clone(target);
    }
    let mut metadata = target.metadata().clone();
    metadata.insert(PG_TYPE_KEY.to_owned(), PgType::of(target).name().to_owned());
    Arc::new(target.as_ref().clone().with_data_type(data_type).with_metadata(metadata))
}

/// The cast to a field that says more than its type (see [`super::types`]), which says whether it may be NULL, too: that is the operand's to
/// say, and the engine's logical and physical plans would differ in it.
fn as_nullable_as_its_operand(expr: Box<Expr>, field: FieldRef, schema: &DFSchema) -> Transformed<Expr> {
    let says_more = !(field.name().is_empty() && field.metadata().is_empty());
    if says_more && field.is_nullable() && expr.nullable(schema).is_ok_and(|nullable| !nullable) {
        let field = Arc::new(field.as_ref().clone().with_nullable(false));
        return Transformed::yes(Expr::Cast(Cast { expr, field }));
    }
    Transformed::no(Expr::Cast(Cast { expr, field }))
}

/// PostgreSQL has no largest jsonb, which is what structs and maps are to a client.
fn comparable(function: &str, arguments: &[Expr], schema: &DFSchema) -> Result<()> {
    let of = arguments.first().and_then(|argument| argument.get_type(schema).ok());
    let refused = matches!(function, "max" | "min") && of.is_some_and(|of| nested_order::is_unordered(&of));
    if !refused {
        return Ok(());
    }
    let report = Report::new(SqlState::UNDEFINED_FUNCTION, format!("function {function}(jsonb) does not exist"));
    Err(external(report.hint("No function matches the given name and argument types.")))
}

/// `pg_typeof`, where a field says more than its data type: the engine does not carry that through all that it makes of a plan.
fn told(call: ScalarFunction, schema: &DFSchema) -> Transformed<Expr> {
    let field = call.args.first().and_then(|argument| argument.to_field(schema).ok()).map(|(_, field)| field);
    match field.map(|field| (PgType::of(&field), PgType::of_data_type(field.data_type()))) {
        Some((named, plain)) if named != plain => {
            let metadata = FieldMetadata::from(&PgType::REGTYPE.arrow_field(""));
            Transformed::yes(Expr::Literal(ScalarValue::UInt32(Some(named.oid())), Some(metadata)))
        }
        _ => Transformed::no(Expr::ScalarFunction(call)),
    }
}

/// Whether a function's arguments have to be of one type, which is then that of its answer.
pub(in crate::plan) fn takes_one_type(function: &str) -> bool {
    matches!(function, "coalesce" | "greatest" | "least" | "nullif" | "make_array" | SEARCHED_CASE | SIMPLE_CASE)
}

pub(super) fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn is_float(data_type: &DataType) -> bool {
    data_type.is_floating()
}

/// The columns of a UNION brought to one type each. That is settled here: the engine would settle them after the expressions above the UNION
/// have been rewritten for the types of its first branch. Texts in quotes are values of what the other branches have.
fn united(union: Union, style: Style<'_>) -> Result<LogicalPlan> {
    let mut inputs = union.inputs;
    for column in 0..union.schema.fields().len() {
        let data_type = |input: &LogicalPlan| input.schema().fields().get(column).map(|field| field.data_type().clone());
        let types: Vec<DataType> = inputs.iter().filter_map(|input| data_type(input)).collect();
        let is_text = |of: &DataType| matches!(of, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        let among_others = types.iter().any(is_text) && types.iter().any(|of| !is_text(of) && !of.is_null());
        let among_floats = types.iter().any(is_float) && types.iter().any(DataType::is_decimal);
        let is_clock = |of: &DataType| matches!(of, DataType::Timestamp(_, None) | DataType::Date32);
        let among_instants = types.iter().any(|of| matches!(of, DataType::Timestamp(_, Some(_)))) && types.iter().any(is_clock);
        if !(among_others || among_floats || among_instants) {
            continue;
        }
        let Some(common) = common_type(&types) else { return Err(unmatched("UNION", &types)) };
        for input in &mut inputs {
            let Some(own) = data_type(input) else { continue };
            let is_literal = is_text(&own) && among_others;
            if is_literal && !common_types::is_literal_column(input, column) {
                return Err(unmatched("UNION", &types));
            }
            let to_instant = among_instants && is_clock(&own);
            if !(is_literal || to_instant || (own.is_decimal() && common.is_floating())) {
                continue;
            }
            let columns = input.schema().columns().into_iter().enumerate().map(|(index, name)| {
                let expression = Expr::Column(name.clone());
                if index != column {
                    return Ok(expression);
                }
                if to_instant {
                    return Ok(as_instant(expression, &common, style.zone).alias_qualified(name.relation, name.name));
                }
                let converted = rewrite_one(datafusion::logical_expr::cast(expression, common.clone()), input.schema(), style)?;
                Ok(converted.alias_qualified(name.relation, name.name))
            });
            let projected = LogicalPlanBuilder::new_from_arc(Arc::clone(input)).project(columns.collect::<Result<Vec<_>>>()?)?;
            *input = Arc::new(projected.build()?);
        }
    }
    TypeCoercionRewriter::coerce_union(Union::try_new_with_loose_types(inputs)?)
}

/// Functions of an instant whose answer depends on the time zone.
const READS_THE_CLOCK: [&str; 4] = ["date_part", "date_trunc", "extract", "to_char"];

/// The call with instants as the session's clocks show them: columns carry the zone that they were stored with.
fn here(mut call: ScalarFunction, schema: &DFSchema, style: Style<'_>) -> Result<Transformed<Expr>> {
    let mut stored = None;
    for argument in &mut call.args {
        if let Ok(DataType::Timestamp(unit, Some(own))) = argument.get_type(schema)
            && own.as_ref() != style.zone
        {
            let shown = DataType::Timestamp(unit, Some(style.zone.into()));
            *argument = datafusion::logical_expr::cast(argument.clone(), shown);
            stored = Some(DataType::Timestamp(unit, Some(own)));
        }
    }
    let Some(stored) = stored else { return Ok(Transformed::no(Expr::ScalarFunction(call))) };
    let truncated = call.func.name() == "date_trunc";
    let call = Expr::ScalarFunction(call);
    Ok(Transformed::yes(if truncated { datafusion::logical_expr::cast(call, stored) } else { call }))
}

/// Whether it is `date_trunc` of a date, or of a timestamp in a zone, which it takes for instants.
fn truncates_days(call: &ScalarFunction, schema: &DFSchema) -> bool {
    let is_clock = |of: DataType| of == DataType::Date32 || call.args.len() == 3 && matches!(of, DataType::Timestamp(_, None));
    call.func.name() == "date_trunc" && call.args.get(1).is_some_and(|day| day.get_type(schema).is_ok_and(is_clock))
}

fn of_midnights(mut call: ScalarFunction, zone: &str) -> Expr {
    if let Some(day) = call.args.get_mut(1) {
        *day = datafusion::logical_expr::cast(std::mem::take(day), DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into())));
    }
    Expr::ScalarFunction(call)
}

pub(super) fn towards(expression: Expr, other: &DataType, schema: &DFSchema, style: Style<'_>) -> Result<Expr> {
    let Ok(own) = expression.get_type(schema) else { return Ok(expression) };
    // A cast that this makes was not there when the operands were rewritten.
    rewrite(adapt(expression, &own, other, style.zone)?, schema, style).map(|rewritten| rewritten.data)
}
