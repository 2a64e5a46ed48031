//! `get_historical_features` and `get_latest_features` as one node over the entity query.
//!
//! The entity query is planned where it stands, so parameters, common table expressions and temporary tables work in
//! it. Types are checked here, where names are known: the join below knows columns only by number.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, ident};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, TableFactor, Value};

use super::arguments::{EntityRows, FeatureReference, Retrieval, RetrievalCall};
use crate::error::{Report, SqlState, perhaps_you_meant};
use crate::exec::point_in_time_join::{
    EntityTime, FeatureRows, Lookup, OutputColumn, PointInTimeJoin, RelationRows, TieCounter, comparable_keys,
};
use crate::pg_type::PgType;
use crate::plan::context::external;
use crate::plan::dialect;
use crate::plan::feature_view::{ResolvedView, ViewRows, is_time};
use crate::plan::parameters::Parameters;
use crate::plan::resolve::Resolved;
use crate::table::SnapshotFeatureRows;

/// The relation that a call stands for.
pub fn plan_retrieval(
    call: RetrievalCall,
    resolved: &Resolved,
    parameters: &Parameters,
    moment: &Moment,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let subquery = match call.entities.clone() {
        EntityRows::Query(query) | EntityRows::Text(query) => query,
    };
    let entity_rows = context.plan(TableFactor::Derived { lateral: false, subquery, alias: None, sample: None })?;
    let mut planning = Planning { call: &call, parameters, entity_rows };
    planning.shed_qualifiers()?;
    let arguments = Arguments { max_age: planning.max_age(context)?, time: planning.entity_time(moment.now_micros, context)? };
    planning.join(resolved, arguments, &moment.ties)
}

/// A constant argument, or a parameter's value; NULL of that type while a parameter has none.
pub(super) fn constant(
    function: Retrieval,
    name: &str,
    expression: &SqlExpr,
    data_type: &DataType,
    parameters: &Parameters,
    context: &mut dyn RelationPlannerContext,
) -> Result<ScalarValue> {
    if let SqlExpr::Value(value) = expression
        && let Value::Placeholder(placeholder) = &value.value
    {
        parameters.hint(placeholder, data_type.clone());
        return match parameters.value(placeholder) {
            Some(value) => value.cast_to(data_type),
            None => ScalarValue::try_from(data_type),
        };
    }
    let schema = datafusion::common::DFSchema::empty();
    let planned = context.sql_to_expr(expression.clone(), &schema)?;
    let options = Arc::new(context.context_provider().options().clone());
    let simplifier = ExprSimplifier::new(SimplifyContext::builder().with_config_options(Arc::clone(&options)).with_current_time().build());
    let planned = dialect::coerce(cast(planned, data_type.clone()), &schema, dialect::Style::of(&options))?;
    let planned = simplifier.coerce(planned, &schema)?;
    match simplifier.simplify(planned)? {
        Expr::Literal(value, _) => Ok(value),
        _ => Err(external(Report::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("argument \"{name}\" of {} must be a constant or a parameter", function.name()),
        ))),
    }
}

/// What a call takes from the execution that it is planned for.
#[derive(Debug, Clone, Default)]
pub struct Moment {
    /// `now()`, microseconds since 1970 UTC.
    pub now_micros: i64,
    /// Where the join counts the rows that commit order or content decided.
    pub ties: Arc<TieCounter>,
}

/// Arguments that decide rows only.
struct Arguments {
    max_age: Option<ScalarValue>,
    time: EntityTime,
}

struct Planning<'a> {
    call: &'a RetrievalCall,
    parameters: &'a Parameters,
    entity_rows: LogicalPlan,
}

impl Planning<'_> {
    /// The entity rows' columns become the result's: of two with one name nobody could choose.
    fn shed_qualifiers(&mut self) -> Result<()> {
        let names: Vec<String> = self.entity_rows.schema().fields().iter().map(|field| field.name().clone()).collect();
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                return Err(external(
                    Report::new(SqlState::DUPLICATE_COLUMN, format!("column \"{name}\" stands twice in the entity rows"))
                        .hint("Give one of them another name with AS."),
                ));
            }
        }
        self.entity_rows = LogicalPlanBuilder::from(self.entity_rows.clone()).alias("entities")?.build()?;
        Ok(())
    }

    fn entity_type(&self, column: usize) -> DataType {
        self.entity_rows.schema().field(column).data_type().clone()
    }

    fn entity_column(&self, name: &str) -> Option<usize> {
        self.entity_rows.schema().fields().iter().position(|field| field.name() == name)
    }

    fn entity_columns(&self) -> Vec<&str> {
        self.entity_rows.schema().fields().iter().map(|field| field.name().as_str()).collect()
    }

    /// A column without a type (`$1`, NULL) takes this one.
    fn give_type(&mut self, column: usize, data_type: &DataType) -> Result<()> {
        if self.entity_type(column) != DataType::Null {
            return Ok(());
        }
        self.parameters.hint_column(&self.entity_rows, column, data_type);
        let expressions: Vec<Expr> = self
            .entity_rows
            .schema()
            .fields()
            .iter()
            .enumerate()
            .map(|(index, field)| {
                let plain = ident(field.name());
                if index == column { cast(plain, data_type.clone()).alias(field.name()) } else { plain }
            })
            .collect();
        self.entity_rows = LogicalPlanBuilder::from(self.entity_rows.clone()).project(expressions)?.alias("entities")?.build()?;
        Ok(())
    }

    /// Which time each entity row has.
    fn entity_time(&mut self, now_micros: i64, context: &mut dyn RelationPlannerContext) -> Result<EntityTime> {
        if self.call.function == Retrieval::Latest {
            let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
            let given = self.call.as_of.as_ref().map(|expression| self.constant("as_of", expression, &instant, context)).transpose()?;
            // NULL is not given.
            let given = given.filter(|value| !value.is_null());
            return Ok(EntityTime::Constant(given.unwrap_or(ScalarValue::TimestampMicrosecond(Some(now_micros), Some("UTC".into())))));
        }
        let column = match &self.call.timestamp_column {
            Some(name) => self.entity_column(name).ok_or_else(|| external(self.no_such_column(name)))?,
            None => match self.entity_column("event_timestamp") {
                Some(column) => column,
                None => self.only_time_column().map_err(external)?,
            },
        };
        self.give_type(column, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))?;
        let found = self.entity_type(column);
        if !is_time(&found) {
            let field = self.entity_rows.schema().field(column).clone();
            return Err(external(
                Report::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!(
                        "column \"{}\" of the entity rows is of type {}, not a timestamp or date",
                        field.name(),
                        PgType::sql_name(&field)
                    ),
                )
                .hint(format!("Cast it, as in {}::timestamptz.", field.name())),
            ));
        }
        Ok(EntityTime::Column(column))
    }

    fn no_such_column(&self, name: &str) -> Report {
        let report = Report::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist in the entity rows"));
        match perhaps_you_meant(name, self.entity_columns()) {
            Some(hint) => report.hint(hint),
            None => report.hint(format!("The entity rows have {}.", self.entity_columns().join(", "))),
        }
    }

    fn only_time_column(&self) -> Result<usize, Report> {
        let fields = self.entity_rows.schema().fields();
        let mut times = fields.iter().enumerate().filter(|(_, field)| is_time(field.data_type()));
        match (times.next(), times.next()) {
            (Some((column, _)), None) => Ok(column),
            (None, _) => Err(Report::new(SqlState::UNDEFINED_COLUMN, "the entity rows have no timestamp column")
                .hint("Select one as event_timestamp, or name it with timestamp_column => 'column'.")),
            (Some((_, first)), Some((_, second))) => Err(Report::new(
                SqlState::AMBIGUOUS_COLUMN,
                format!("the entity rows have several timestamp columns, among them \"{}\" and \"{}\"", first.name(), second.name()),
            )
            .hint("Name one with timestamp_column => 'column'.")),
        }
    }

    fn max_age(&self, context: &mut dyn RelationPlannerContext) -> Result<Option<ScalarValue>> {
        let Some(expression) = &self.call.max_age else { return Ok(None) };
        let value = self.constant("max_age", expression, &DataType::Interval(IntervalUnit::MonthDayNano), context)?;
        if let ScalarValue::IntervalMonthDayNano(Some(interval)) = &value {
            let positive = interval.months >= 0 && interval.days >= 0 && interval.nanoseconds >= 0;
            let zero = interval.months == 0 && interval.days == 0 && interval.nanoseconds == 0;
            if !positive || zero {
                return Err(external(
                    Report::new(SqlState::INVALID_PARAMETER_VALUE, "max_age must be positive")
                        .hint("Leave max_age out for the views' own TTL; a view without TTL has no limit."),
                ));
            }
        }
        Ok((!value.is_null()).then_some(value))
    }

    fn constant(
        &self,
        name: &str,
        expression: &SqlExpr,
        data_type: &DataType,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<ScalarValue> {
        constant(self.call.function, name, expression, data_type, self.parameters, context)
    }

    /// The views of the call, in order of first mention, with the features asked of each: (view, feature) in the order asked.
    fn references(&self, resolved: &Resolved) -> Result<(Vec<Arc<ResolvedView>>, Vec<(usize, usize)>), Report> {
        let mut views: Vec<Arc<ResolvedView>> = Vec::new();
        let mut asked = Vec::new();
        for FeatureReference { view, feature } in &self.call.features {
            let resolved_view = resolved
                .view(view, self.call.at.as_deref())
                .ok_or_else(|| Report::new(SqlState::UNDEFINED_TABLE, format!("feature view \"{view}\" does not exist")))?;
            let index = match views.iter().position(|known| known.view.name == *view) {
                Some(index) => index,
                None => {
                    views.push(Arc::clone(resolved_view));
                    views.len() - 1
                }
            };
            match feature {
                Some(name) => asked.push((index, resolved_view.feature(name)?)),
                None => asked.extend((0..resolved_view.features.len()).map(|feature| (index, feature))),
            }
        }
        Ok((views, asked))
    }

    fn join(mut self, resolved: &Resolved, arguments: Arguments, ties: &Arc<TieCounter>) -> Result<LogicalPlan> {
        let (views, asked) = self.references(resolved).map_err(external)?;
        let mut lookups = Vec::with_capacity(views.len());
        for view in &views {
            lookups.push(self.lookup(view, &arguments)?);
        }
        let outputs = self.outputs(&views, &asked).map_err(external)?;
        let join = PointInTimeJoin::try_new(self.entity_rows, arguments.time, lookups, outputs)?;
        Ok(join.with_tie_counter(Arc::clone(ties)).into_plan())
    }

    fn lookup(&mut self, view: &ResolvedView, arguments: &Arguments) -> Result<Lookup> {
        let mut on = Vec::with_capacity(view.keys.len());
        for key in &view.keys {
            let column = self.entity_column(&key.name).ok_or_else(|| {
                external(
                    Report::new(
                        SqlState::UNDEFINED_COLUMN,
                        format!("the entity rows lack the column \"{}\", a join key of feature view \"{}\"", key.name, view.view.name),
                    )
                    .hint(perhaps_you_meant(&key.name, self.entity_columns()).unwrap_or_else(|| format!("Select it as \"{}\".", key.name))),
                )
            })?;
            let wanted = view.schema.field(key.column);
            self.give_type(column, wanted.data_type())?;
            let found = self.entity_rows.schema().field(column).clone();
            if !comparable_keys(found.data_type(), wanted.data_type()) {
                let name = PgType::sql_name(wanted);
                return Err(external(
                    Report::new(
                        SqlState::DATATYPE_MISMATCH,
                        format!(
                            "column \"{}\" of the entity rows is of type {}, but the join key of feature view \"{}\" is of type {name}",
                            key.name,
                            PgType::sql_name(&found),
                            view.view.name,
                        ),
                    )
                    .hint(format!("Cast it, as in {}::{name}.", key.name)),
                ));
            }
            on.push((column, key.column));
        }
        let (rows, commit_order): (Arc<dyn FeatureRows>, Option<usize>) = match &view.rows {
            ViewRows::Snapshot { snapshot, .. } => {
                let rows = SnapshotFeatureRows::new(Arc::clone(snapshot)).map_err(external)?;
                let last = rows.schema().fields().len() - 1;
                (Arc::new(rows), Some(last))
            }
            ViewRows::Query { plan, planner } => {
                let rows = RelationRows::new(plan.as_ref().clone(), format!("query of feature view {}", view.view.name));
                (Arc::new(rows.planned_by(Arc::clone(planner))), None)
            }
        };
        Ok(Lookup {
            name: view.view.name.clone(),
            rows,
            on,
            timestamp: view.timestamp,
            created: view.created,
            valid_until: view.valid_until,
            commit_order,
            tie_columns: view.features.clone(),
            ttl: self.ttl(view, arguments),
            filter_by_created: self.call.filter_by_created && view.created.is_some(),
        })
    }

    fn ttl(&self, view: &ResolvedView, arguments: &Arguments) -> Option<arrow::datatypes::IntervalMonthDayNano> {
        if let Some(ScalarValue::IntervalMonthDayNano(Some(interval))) = &arguments.max_age {
            return Some(*interval);
        }
        view.view.ttl.map(|ttl| arrow::datatypes::IntervalMonthDayNano::new(ttl.months, ttl.days, ttl.micros.saturating_mul(1000)))
    }

    /// The features in the order asked, then one event timestamp per view; two columns of one name are 42701.
    fn outputs(&self, views: &[Arc<ResolvedView>], asked: &[(usize, usize)]) -> Result<Vec<OutputColumn>, Report> {
        let mut taken: BTreeMap<String, String> =
            self.entity_columns().into_iter().map(|name| (name.to_owned(), "the entity rows".to_owned())).collect();
        let mut outputs = Vec::with_capacity(asked.len());
        let mut add = |name: String, origin: String, lookup: usize, column: usize| {
            if let Some(other) = taken.insert(name.clone(), origin.clone()) {
                return Err(Report::new(SqlState::DUPLICATE_COLUMN, format!("column \"{name}\" would stand twice in the result"))
                    .detail(format!("It comes from {other} and from {origin}."))
                    .hint("full_feature_names => true names each feature view__feature."));
            }
            outputs.push(OutputColumn { lookup, column, name });
            Ok(())
        };
        for (lookup, feature) in asked {
            let view = &views[*lookup];
            let name = &view.view.features[*feature].name;
            let shown = if self.call.full_feature_names { format!("{}__{name}", view.view.name) } else { name.clone() };
            add(shown, format!("{}:{name}", view.view.name), *lookup, view.features[*feature])?;
        }
        if self.call.include_feature_timestamps {
            for (lookup, view) in views.iter().enumerate() {
                add(
                    format!("{}__event_timestamp", view.view.name),
                    format!("include_feature_timestamps of {}", view.view.name),
                    lookup,
                    view.timestamp,
                )?;
            }
        }
        Ok(outputs)
    }
}
