//! `get_feature_ranges`: every value of a view with the time that it is the answer.
//!
//! A row per key and event timestamp that ever wins (rule 3 of the README): `valid_from` is that timestamp, `valid_to` the first instant at which a retrieval
//! answers otherwise: the key's next event timestamp, the row's own end (VALID UNTIL), or the end of the TTL, whichever is first; NULL if
//! there is none yet. So `valid_from <= t AND (valid_to IS NULL OR t < valid_to)` selects what `get_latest_features(as_of => t)` gives. Rows that are
//! never the answer do not appear: no key, no event timestamp, ended before they began. `from` and `to` keep the ranges that overlap `[from, to)`, uncut.
//!
//! It is a plain window-function plan over the view's rows, sorted once by key and time: it spills, and it shares no code with the
//! join, so each can check the other. Where a TTL has months, the window `[t - ttl, t]` may open again for hours at the end of a short month
//! (PostgreSQL's clamping); the range ends at its first end.

use arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions::core::expr_fn::least;
use datafusion::functions::datetime::expr_fn::{date_part, date_trunc};
use datafusion::functions_window::expr_fn::{lead, row_number};
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, cast, ident, lit, when};

use super::arguments::{RangesCall, Retrieval};
use super::retrieval::constant;
use crate::error::{Report, SqlState};
use crate::plan::context::external;
use crate::plan::dialect::content_key;
use crate::plan::feature_view::ResolvedView;
use crate::plan::parameters::Parameters;
use crate::plan::resolve::Resolved;
use crate::table::LAST_UPDATED_COLUMN;

// Names of columns under way: NUL keeps them apart from every name of a client.
const CREATED: &str = "\u{0}created";
const COMMIT_ORDER: &str = "\u{0}commit order";
const VALID_UNTIL: &str = "\u{0}valid until";
const RANK: &str = "\u{0}rank";
const NEXT: &str = "\u{0}next";

/// The relation that a call stands for.
pub fn plan_ranges(
    call: &RangesCall,
    resolved: &Resolved,
    parameters: &Parameters,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let view = resolved
        .view(&call.view, call.at.as_deref())
        .ok_or_else(|| external(Report::new(SqlState::UNDEFINED_TABLE, format!("feature view \"{}\" does not exist", call.view))))?;
    let (keys, features) = names(view).map_err(external)?;
    let mut bound = |name: &str, given: &Option<_>| -> Result<Option<Expr>> {
        let Some(expression) = given else { return Ok(None) };
        let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let value = constant(Retrieval::Ranges, name, expression, &instant, parameters, context)?;
        Ok((!value.is_null()).then(|| lit(value)))
    };
    let (from, to) = (bound("from", &call.from)?, bound("to", &call.to)?);

    let winners = winners(view, &keys, &features)?;
    let partition: Vec<Expr> = keys.iter().map(ident).collect();
    let next =
        lead(ident("valid_from"), Some(1), None).partition_by(partition).order_by(vec![ident("valid_from").sort(true, true)]).build()?;
    let mut ends = vec![ident(NEXT)];
    if view.valid_until.is_some() {
        ends.push(ident(VALID_UNTIL));
    }
    ends.extend(time_to_live_end(view)?);
    let valid_to = if ends.len() == 1 { ident(NEXT) } else { least(ends) };
    let columns = keys.iter().chain(&features).map(ident).chain([ident("valid_from"), valid_to.alias("valid_to")]);
    let mut wanted = ident("valid_to").is_null().or(ident("valid_to").gt(ident("valid_from")));
    if let Some(from) = from {
        wanted = wanted.and(ident("valid_to").is_null().or(ident("valid_to").gt(from)));
    }
    if let Some(to) = to {
        wanted = wanted.and(ident("valid_from").lt(to));
    }
    LogicalPlanBuilder::from(winners).window(vec![next.alias(NEXT)])?.project(columns.collect::<Vec<_>>())?.filter(wanted)?.build()
}

/// Keys and features by name; 42701 where two columns of the result would have one.
fn names(view: &ResolvedView) -> Result<(Vec<String>, Vec<String>), Report> {
    let mut keys: Vec<String> = Vec::new();
    for key in &view.keys {
        if !keys.contains(&key.name) {
            keys.push(key.name.clone());
        }
    }
    let features: Vec<String> = view.view.features.iter().map(|feature| feature.name.clone()).collect();
    if let Some(taken) = keys.iter().chain(&features).find(|name| matches!(name.as_str(), "valid_from" | "valid_to")) {
        return Err(Report::new(SqlState::DUPLICATE_COLUMN, format!("column \"{taken}\" would stand twice in the result"))
            .detail(format!("Feature view \"{}\" has a column of that name.", view.view.name))
            .hint("Give the feature another name in the view: new_name TYPE FROM column."));
    }
    Ok((keys, features))
}

/// One row per key and event timestamp, `valid_from`: the one that wins.
fn winners(view: &ResolvedView, keys: &[String], features: &[String]) -> Result<LogicalPlan> {
    let (source, commit_order) = view.source().map_err(external)?;
    let column = |index: usize| ident(view.schema.field(index).name());
    let mut columns: Vec<Expr> = Vec::new();
    for key in keys {
        if let Some(found) = view.keys.iter().find(|known| known.name == *key) {
            columns.push(column(found.column).alias(key));
        }
    }
    for (name, index) in features.iter().zip(&view.features) {
        columns.push(column(*index).alias(name));
    }
    columns.push(cast(column(view.timestamp), instant(view)).alias("valid_from"));
    // Rule 3, from the largest: created, commit order, content, valid until.
    let mut order: Vec<Sort> = Vec::new();
    if let Some(created) = view.created {
        columns.push(column(created).alias(CREATED));
        order.push(ident(CREATED).sort(false, false));
    }
    if commit_order {
        columns.push(ident(LAST_UPDATED_COLUMN).alias(COMMIT_ORDER));
        order.push(ident(COMMIT_ORDER).sort(false, false));
    }
    for (name, index) in features.iter().zip(&view.features) {
        let value = ident(name);
        let of = view.schema.field(*index).data_type();
        // Content is in a total order, where `-0.0` is below `0.0`; a key of an ORDER BY is not.
        let comparable = if of.is_nested() || of.is_floating() { content_key(value) } else { value };
        order.push(comparable.sort(false, false));
    }
    if let Some(valid_until) = view.valid_until {
        columns.push(cast(column(valid_until), instant(view)).alias(VALID_UNTIL));
        order.push(ident(VALID_UNTIL).sort(false, true));
    }
    let present = keys.iter().map(ident).fold(ident("valid_from").is_not_null(), |all, key| all.and(key.is_not_null()));
    let partition = keys.iter().map(ident).chain([ident("valid_from")]).collect::<Vec<_>>();
    let rank = row_number().partition_by(partition);
    let rank = if order.is_empty() { rank.build()? } else { rank.order_by(order).build()? };
    LogicalPlanBuilder::from(source)
        .project(columns)?
        .filter(present)?
        .window(vec![rank.alias(RANK)])?
        .filter(ident(RANK).eq(lit(1_u64)))?
        .build()
}

/// The type of `valid_from` and `valid_to`: an instant of the source's precision, microseconds at least.
fn instant(view: &ResolvedView) -> DataType {
    DataType::Timestamp(unit(view), Some("UTC".into()))
}

fn unit(view: &ResolvedView) -> TimeUnit {
    match view.schema.field(view.timestamp).data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => TimeUnit::Nanosecond,
        _ => TimeUnit::Microsecond,
    }
}

/// The first instant at which the row is too old: the first *t* with `t - ttl > valid_from`.
fn time_to_live_end(view: &ResolvedView) -> Result<Option<Expr>> {
    let Some(ttl) = view.view.ttl else { return Ok(None) };
    let interval =
        |months, days, nanoseconds| lit(ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(months, days, nanoseconds))));
    // Both ends of the window belong to it, so the end is one tick later.
    let tick = if unit(view) == TimeUnit::Nanosecond { 1 } else { 1000 };
    let shifted = ident("valid_from") + interval(0, ttl.days, ttl.micros.saturating_mul(1000));
    if ttl.months == 0 {
        return Ok(Some(shifted + interval(0, 0, tick)));
    }
    let later = shifted.clone() + interval(ttl.months, 0, 0);
    // Where the day does not exist in that month, every later day of it is clamped to an earlier one, up to the month's end.
    let clamped = date_part(lit("day"), shifted).gt(date_part(lit("day"), later.clone()));
    let next_month = date_trunc(lit("month"), later.clone()) + interval(1, 0, 0);
    when(clamped, next_month).otherwise(later + interval(0, 0, tick)).map(Some)
}
