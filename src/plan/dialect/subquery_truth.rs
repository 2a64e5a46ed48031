//! What `x IN (SELECT …)` and `EXISTS (SELECT …)` are worth where the engine has no answer, or a wrong one.
//!
//! The engine makes joins of both as conditions of WHERE, and those know true and not true only. So `NOT IN` is right as a condition of its
//! own over a column, and wrong (NULL is taken for true) beside an OR, of a constant, and of a subquery that names columns from outside. There it
//! becomes `NOT EXISTS (… WHERE (y = x) IS NOT FALSE)`, which means the same. As values (in a select list, below NOT, in a CASE) both become
//! counts, of which NULL is told by three: rows that match, rows, rows without a value. IN as a value of a subquery that names columns
//! from outside is refused.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, Spans};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Expr, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Projection, Sort, Subquery, SubqueryAlias, lit, not, when,
};

use crate::error::{Report, SqlState};
use crate::plan::context::external;

/// The plan with such subqueries as values that the engine computes.
pub fn tell(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut named = 0;
    let told = plan.transform_up_with_subqueries(|node| {
        if let LogicalPlan::Filter(filter) = node {
            let mut truth = Truth { schema: filter.input.schema().as_ref().clone(), named: &mut named };
            let Filter { predicate, input, .. } = filter;
            let told = truth.condition(predicate)?;
            return Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(told, input)?)));
        }
        let mut truth = Truth { schema: merge_schema(&node.inputs()), named: &mut named };
        let names = NamePreserver::new(&node);
        node.map_expressions(|expression| {
            let name = names.save(&expression);
            Ok(truth.value(expression)?.update_data(|told| name.restore(told)))
        })
    });
    told.map(|told| told.data)
}

/// What is known where a subquery stands.
struct Truth<'a> {
    schema: DFSchema,
    named: &'a mut usize,
}

impl Truth<'_> {
    /// A condition of which NULL is as good as false.
    fn condition(&mut self, condition: Expr) -> Result<Expr> {
        match condition {
            Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
                let (left, right) = (self.condition(*left)?, self.condition(*right)?);
                Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))))
            }
            Expr::InSubquery(InSubquery { expr, subquery, negated: true }) => self.none_is(*expr, subquery),
            Expr::Not(inner) => match *inner {
                Expr::InSubquery(InSubquery { expr, subquery, negated: false }) => self.none_is(*expr, subquery),
                Expr::Exists(Exists { subquery, negated }) => self.condition(Expr::Exists(Exists { subquery, negated: !negated })),
                inner => Ok(not(self.value(inner)?.data)),
            },
            Expr::Exists(Exists { subquery, negated }) if is_one_row(&subquery.subquery) => Ok(lit(!negated)),
            whole @ (Expr::InSubquery(_) | Expr::Exists(_)) => Ok(whole),
            other => self.value(other).map(|told| told.data),
        }
    }

    /// `x NOT IN (subquery)` as a condition.
    fn none_is(&mut self, x: Expr, subquery: Subquery) -> Result<Expr> {
        let (y, builder) = self.named(&subquery)?;
        let (x, mut outer) = self.written_inside(x)?;
        let plan = builder.filter(Expr::IsNotFalse(Box::new(y.eq(x))))?.build()?;
        outer.extend(subquery.outer_ref_columns);
        let subquery = Subquery { subquery: plan.into(), outer_ref_columns: outer, spans: Spans::new() };
        Ok(Expr::Exists(Exists { subquery, negated: true }))
    }

    /// An expression of which NULL is not as good as false.
    fn value(&mut self, expression: Expr) -> Result<Transformed<Expr>> {
        expression.transform_up(|part| match part {
            Expr::Exists(Exists { subquery, negated }) if is_one_row(&subquery.subquery) => Ok(Transformed::yes(lit(!negated))),
            Expr::Exists(Exists { subquery, negated }) => {
                let outer = subquery.outer_ref_columns.clone();
                let rows = counted(LogicalPlanBuilder::new_from_arc(subquery.subquery), outer)?;
                Ok(Transformed::yes(if negated { rows.eq(lit(0_i64)) } else { rows.gt(lit(0_i64)) }))
            }
            Expr::InSubquery(InSubquery { expr, subquery, negated }) => self.is_in(*expr, subquery, negated).map(Transformed::yes),
            other => Ok(Transformed::no(other)),
        })
    }

    fn is_in(&mut self, x: Expr, subquery: Subquery, negated: bool) -> Result<Expr> {
        if !subquery.outer_ref_columns.is_empty() {
            let message = "IN and ANY of a subquery that names columns from outside are not supported as values";
            return Err(external(Report::new(SqlState::FEATURE_NOT_SUPPORTED, message).hint("Use EXISTS, or a condition of WHERE.")));
        }
        let (y, all) = self.named(&subquery)?;
        let (outside, outer) = self.written_inside(x.clone())?;
        let same = counted(all.clone().filter(y.clone().eq(outside))?, outer)?;
        let unknown = counted(all.clone().filter(y.is_null())?, Vec::new())?;
        let rows = counted(all, Vec::new())?;
        when(same.gt(lit(0_i64)), lit(!negated))
            .when(rows.eq(lit(0_i64)), lit(negated))
            .when(x.is_null().or(unknown.gt(lit(0_i64))), lit(ScalarValue::Boolean(None)))
            .otherwise(lit(negated))
    }

    /// The subquery under a name of its own, and its column: the engine correlates by name, and may mistake one table's inside for its
    /// outside. One that names columns from outside keeps its own, where the engine finds them.
    fn named(&mut self, subquery: &Subquery) -> Result<(Expr, LogicalPlanBuilder)> {
        let mut builder = LogicalPlanBuilder::new_from_arc(subquery.subquery.clone());
        if subquery.outer_ref_columns.is_empty() {
            *self.named += 1;
            // A name that no statement can hold.
            builder = builder.alias(format!("\u{0}in{}", self.named))?;
        }
        let column = Column::from(builder.schema().qualified_field(0));
        Ok((Expr::Column(column), builder))
    }

    /// The expression as it is written inside of the subquery.
    fn written_inside(&self, expression: Expr) -> Result<(Expr, Vec<Expr>)> {
        let mut outer = Vec::new();
        let told = expression.transform_up(|part| match part {
            Expr::Column(column) => {
                let (_, field) = self.schema.qualified_field_from_column(&column)?;
                let reference = Expr::OuterReferenceColumn(field.clone(), column);
                outer.push(reference.clone());
                Ok(Transformed::yes(reference))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok((told.data, outer))
    }
}

/// Whether it is a row whatever its relations hold, as an aggregate of all of them is: the engine would look for one among them.
fn is_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Projection(Projection { input, .. }) => is_one_row(input),
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. }) => is_one_row(input),
        LogicalPlan::Sort(Sort { input, fetch: None, .. }) => is_one_row(input),
        _ => false,
    }
}

/// `(SELECT count(*) FROM …)`.
fn counted(builder: LogicalPlanBuilder, outer_ref_columns: Vec<Expr>) -> Result<Expr> {
    let plan = builder.aggregate(Vec::<Expr>::new(), vec![count(lit(1_i64))])?.build()?;
    Ok(Expr::ScalarSubquery(Subquery { subquery: plan.into(), outer_ref_columns, spans: Spans::new() }))
}
