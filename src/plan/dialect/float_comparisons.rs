//! Comparisons of floats with constants: PostgreSQL has one zero and one NaN, the engine has several.
//!
//! Its operators find `-0.0` equal to `0.0`, as they must. But its optimizer compares literals by their bits (`v = 0.0 AND v = -0.0` is "never
//! true", `v IN (0.0) AND v IN (-0.0)` has "nothing in common"), and IN, simple CASE and NULLIF look values up by their bits, too. So every
//! constant that a float is compared with is brought to one form: `0.0`, and the one NaN that scans give; where it is looked up, both
//! zeros are there. The engine makes lists of comparisons and comparisons of lists, so the rule runs before its own rules and after them.
//! Constants that are not literals yet (`-'0'::real`) are evaluated first.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Between, InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Case, Expr, ExprSchemable, LogicalPlan, Operator, Volatility, lit, when};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// The rule.
#[derive(Debug, Default)]
pub struct OneZeroInComparisons;

impl OptimizerRule for OneZeroInComparisons {
    fn name(&self) -> &str {
        "one_zero_in_comparisons"
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let context = SimplifyContext::builder()
            .with_config_options(config.options())
            .with_query_execution_start_time(config.query_execution_start_time());
        let constants = ExprSimplifier::new(context.build());
        plan.transform_up_with_subqueries(|node| {
            let names = NamePreserver::new(&node);
            let schema = input_schema(&node)?;
            node.map_expressions(|expression| {
                let name = names.save(&expression);
                let rewritten = expression.transform_up(|part| rewritten(part, &constants, &schema))?;
                Ok(rewritten.update_data(|expression| name.restore(expression)))
            })
        })
    }
}

/// What the columns in a node's expressions are of.
fn input_schema(node: &LogicalPlan) -> Result<DFSchema> {
    match node {
        LogicalPlan::TableScan(scan) => DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema()),
        node => Ok(merge_schema(&node.inputs())),
    }
}

fn rewritten(expression: Expr, constants: &ExprSimplifier, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expression {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(op) => {
            let (left, right) = (one_form(*left, constants)?, one_form(*right, constants)?);
            let changed = left.transformed || right.transformed;
            let comparison = Expr::BinaryExpr(BinaryExpr::new(Box::new(left.data), op, Box::new(right.data)));
            Transformed::new_transformed(comparison, changed)
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            let (low, high) = (one_form(*low, constants)?, one_form(*high, constants)?);
            let changed = low.transformed || high.transformed;
            let between = Expr::Between(Between::new(expr, negated, Box::new(low.data), Box::new(high.data)));
            Transformed::new_transformed(between, changed)
        }
        Expr::InList(list) => in_list(list, constants, schema)?,
        Expr::Case(Case { expr: Some(operand), when_then_expr, else_expr }) => {
            let whens = simple_case(when_then_expr, constants)?;
            let case = Expr::Case(Case::new(Some(operand), whens.data, else_expr));
            Transformed::new_transformed(case, whens.transformed)
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == "nullif" => match <[Expr; 2]>::try_from(args) {
            Ok([value, other]) if value.get_type(schema).is_ok_and(|of| of.is_floating()) && !value.is_volatile() => {
                let null = ScalarValue::try_new_null(&value.get_type(schema)?)?;
                let same = value.clone().eq(one_form(other, constants)?.data);
                Transformed::yes(when(same, lit(null)).otherwise(value)?)
            }
            Ok(pair) => Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args: pair.into() })),
            Err(args) => Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })),
        },
        other => Transformed::no(other),
    })
}

fn compares(operator: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(operator, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

/// A floating constant in the one form; every other expression as it is.
fn one_form(expression: Expr, constants: &ExprSimplifier) -> Result<Transformed<Expr>> {
    let evaluated = match &expression {
        Expr::Literal(..) => Transformed::no(expression),
        _ if is_open_constant(&expression)? && is_floating(&expression) => match constants.simplify(expression.clone()) {
            // What fails is left to fail, or not, where its rows are.
            Ok(literal @ Expr::Literal(ScalarValue::Float32(_) | ScalarValue::Float64(_), _)) => Transformed::yes(literal),
            _ => Transformed::no(expression),
        },
        _ => Transformed::no(expression),
    };
    evaluated.transform_data(|expression| {
        let Expr::Literal(value, metadata) = expression else { return Ok(Transformed::no(expression)) };
        let one = canonical(&value);
        Ok(match one {
            Some(one) => Transformed::yes(Expr::Literal(one, metadata)),
            None => Transformed::no(Expr::Literal(value, metadata)),
        })
    })
}

/// The one form of a zero or NaN that is in another.
fn canonical(value: &ScalarValue) -> Option<ScalarValue> {
    let (one, bits_differ) = match value {
        ScalarValue::Float32(Some(value)) => {
            let one = if value.is_nan() { f32::NAN } else { value + 0.0 };
            (ScalarValue::Float32(Some(one)), one.to_bits() != value.to_bits())
        }
        ScalarValue::Float64(Some(value)) => {
            let one = if value.is_nan() { f64::NAN } else { value + 0.0 };
            (ScalarValue::Float64(Some(one)), one.to_bits() != value.to_bits())
        }
        _ => return None,
    };
    bits_differ.then_some(one)
}

fn is_floating(constant: &Expr) -> bool {
    constant.get_type(&DFSchema::empty()).is_ok_and(|of| of.is_floating())
}

/// Whether the expression can be evaluated now, though it is no literal yet.
fn is_open_constant(expression: &Expr) -> Result<bool> {
    let open = expression.exists(|part| {
        Ok(match part {
            Expr::Literal(..) | Expr::Cast(_) | Expr::TryCast(_) | Expr::Negative(_) | Expr::BinaryExpr(_) => false,
            Expr::ScalarFunction(call) => call.func.signature().volatility != Volatility::Immutable,
            _ => true,
        })
    })?;
    Ok(!open)
}

/// Whether it is the zero without a sign.
fn is_zero(expression: &Expr) -> bool {
    match expression {
        Expr::Literal(ScalarValue::Float32(Some(value)), _) => *value == 0.0 && value.is_sign_positive(),
        Expr::Literal(ScalarValue::Float64(Some(value)), _) => *value == 0.0 && value.is_sign_positive(),
        _ => false,
    }
}

/// The zero with a sign that stands beside this one.
fn negative(zero: &Expr) -> Expr {
    let value = match zero {
        Expr::Literal(ScalarValue::Float32(_), _) => ScalarValue::Float32(Some(-0.0)),
        _ => ScalarValue::Float64(Some(-0.0)),
    };
    Expr::Literal(value, None)
}

/// A list of literals has both zeros or none; one of other expressions becomes comparisons, which know zeros.
fn in_list(InList { expr, list, negated }: InList, constants: &ExprSimplifier, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let is_literal = |item: &Expr| matches!(item, Expr::Literal(..));
    let known = list.iter().any(|item| matches!(item, Expr::Literal(ScalarValue::Float32(_) | ScalarValue::Float64(_), _)));
    if !known && (list.iter().all(is_literal) || !expr.get_type(schema).is_ok_and(|of| of.is_floating())) {
        return Ok(Transformed::no(Expr::InList(InList::new(expr, list, negated))));
    }
    let mut items: Vec<Expr> = Vec::with_capacity(list.len() + 1);
    for item in &list {
        let item = one_form(item.clone(), constants)?.data;
        let zero = is_zero(&item);
        if zero && items.contains(&item) {
            continue;
        }
        let sign = zero.then(|| negative(&item));
        items.push(item);
        items.extend(sign);
    }
    if items.iter().all(is_literal) {
        let changed = items != list;
        return Ok(Transformed::new_transformed(Expr::InList(InList::new(expr, items, negated)), changed));
    }
    let comparisons = list.into_iter().map(|item| {
        let item = one_form(item, constants)?.data;
        let operator = if negated { Operator::NotEq } else { Operator::Eq };
        Ok(Expr::BinaryExpr(BinaryExpr::new(expr.clone(), operator, Box::new(item))))
    });
    let comparisons = comparisons.collect::<Result<Vec<_>>>()?;
    let joined = comparisons.into_iter().reduce(|all, one| if negated { all.and(one) } else { all.or(one) });
    Ok(match joined {
        Some(joined) => Transformed::yes(joined),
        None => Transformed::no(Expr::InList(InList::new(expr, items, negated))),
    })
}

type Whens = Vec<(Box<Expr>, Box<Expr>)>;

/// The branch of a zero is that of both zeros; a second one is never reached.
fn simple_case(whens: Whens, constants: &ExprSimplifier) -> Result<Transformed<Whens>> {
    let mut both: Whens = Vec::with_capacity(whens.len() + 1);
    for (when, then) in &whens {
        let when = one_form(when.as_ref().clone(), constants)?.data;
        let zero = is_zero(&when);
        if zero && both.iter().any(|(known, _)| **known == when) {
            continue;
        }
        let sign = zero.then(|| (Box::new(negative(&when)), then.clone()));
        both.push((Box::new(when), then.clone()));
        both.extend(sign);
    }
    Ok(if both == whens { Transformed::no(whens) } else { Transformed::yes(both) })
}
