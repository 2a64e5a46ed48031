//! Types of parameters that follow from the plan: what has to be of one type with something whose type is known, in CASE,
//! COALESCE, IN, BETWEEN, arrays, VALUES and UNION.
//!
//! Among the others the first one decides, but a wider number after it does, as in PostgreSQL (`CASE … THEN 1 ELSE 2.5`).

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{Between, InList, ScalarFunction};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};

use super::Parameters;
use super::operators::{of_field, open, same};
use crate::pg_type::PgType;

impl Parameters {
    /// Notes the types that the plan gives.
    pub fn hint_inferred(&self, plan: &LogicalPlan) -> Result<()> {
        plan.apply_with_subqueries(|node| {
            match node {
                LogicalPlan::Values(values) => {
                    for column in 0..values.schema.fields().len() {
                        values.values.iter().filter_map(|row| row.get(column)).for_each(|value| self.hint_cast(value));
                        self.alike(values.values.iter().filter_map(|row| row.get(column)), &DFSchema::empty());
                    }
                }
                LogicalPlan::Union(union) => {
                    for column in 0..union.schema.fields().len() {
                        let mut types = union.inputs.iter().filter_map(|input| output(input, column));
                        if let Some(known) = types.next() {
                            union.inputs.iter().for_each(|input| self.hint_column(input, column, &known.arrow()));
                        }
                    }
                }
                _ => {}
            }
            let mut schema = DFSchema::empty();
            node.inputs().into_iter().for_each(|input| schema.merge(input.schema()));
            node.apply_expressions(|expression| {
                expression.apply(|part| {
                    self.hint_part(part, &schema);
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })
        .map(|_| ())
    }

    fn hint_part(&self, part: &Expr, schema: &DFSchema) {
        match part {
            Expr::Case(case) => {
                let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
                self.alike(results.chain(case.else_expr.as_deref()), schema);
                if let Some(operand) = &case.expr {
                    let tests = case.when_then_expr.iter().map(|(when, _)| when.as_ref());
                    if open(operand).is_some() {
                        self.be(operand, PgType::TEXT);
                    }
                    self.alike(std::iter::once(operand.as_ref()).chain(tests), schema);
                }
            }
            Expr::InList(InList { expr, list, .. }) => self.alike(std::iter::once(expr.as_ref()).chain(list), schema),
            Expr::Between(Between { expr, low, high, .. }) => self.alike([expr.as_ref(), low.as_ref(), high.as_ref()].into_iter(), schema),
            Expr::ScalarFunction(call) => self.hint_call(call, schema),
            // What ANY and ALL of an array become where they are no test for equality.
            Expr::BinaryExpr(binary) => {
                for (array, element) in [(&binary.left, &binary.right), (&binary.right, &binary.left)] {
                    if let Expr::ScalarFunction(call) = array.as_ref()
                        && matches!(call.func.name(), "array_min" | "array_max")
                        && let [array] = call.args.as_slice()
                        && let Some(element) = known(element, schema)
                    {
                        self.be(array, same(element).array_of());
                    }
                }
            }
            _ => {}
        }
    }

    fn hint_call(&self, call: &ScalarFunction, schema: &DFSchema) {
        let arguments = call.args.as_slice();
        match call.func.name() {
            "coalesce" | "nullif" | "greatest" | "least" | "make_array" | "width_bucket" => self.alike(arguments.iter(), schema),
            "power" => {
                self.alike(arguments.iter(), schema);
                arguments.iter().for_each(|argument| self.be(argument, PgType::FLOAT8));
            }
            "array_has" | "array_append" | "array_position" | "array_positions" | "array_remove_all" | "array_remove" => {
                if let [array, element, ..] = arguments {
                    self.array_and_element(array, element, schema);
                }
            }
            "array_prepend" => {
                if let [element, array] = arguments {
                    self.array_and_element(array, element, schema);
                }
            }
            "array_replace_all" | "array_replace" => {
                if let [array, from, to] = arguments {
                    self.array_and_element(array, from, schema);
                    self.array_and_element(array, to, schema);
                }
            }
            "array_has_all" | "array_has_any" | "array_concat" => self.alike(arguments.iter(), schema),
            "generate_series" => self.alike(arguments.iter().take(2), schema),
            _ => {}
        }
    }

    /// The engine has cast the values of a column to the type of one of them.
    fn hint_cast(&self, value: &Expr) {
        if let Expr::Cast(cast) = value
            && let Some(pg_type) = of_field(&cast.field)
        {
            self.be(&cast.expr, pg_type);
        }
    }

    fn array_and_element(&self, array: &Expr, element: &Expr, schema: &DFSchema) {
        match (known(array, schema), known(element, schema)) {
            (Some(array), None) => {
                if let Some(pg_type) = array.element() {
                    self.be(element, pg_type);
                }
            }
            (None, Some(element)) => self.be(array, same(element).array_of()),
            _ => {}
        }
    }

    /// Expressions that have to be of one type.
    fn alike<'a>(&self, expressions: impl Iterator<Item = &'a Expr> + Clone, schema: &DFSchema) {
        if !expressions.clone().any(|expression| open(expression).is_some()) {
            return;
        }
        let common = expressions.clone().filter_map(|expression| known(expression, schema)).reduce(wider);
        if let Some(common) = common {
            expressions.for_each(|expression| self.be(expression, same(common)));
        }
    }

    fn be(&self, expression: &Expr, pg_type: PgType) {
        if let Some(placeholder) = open(expression) {
            self.hint_named(placeholder, pg_type);
        }
    }
}

/// The type of an expression, if it has one.
fn known(expression: &Expr, schema: &DFSchema) -> Option<PgType> {
    if open(expression).is_some() {
        return None;
    }
    let (_, field) = expression.to_field(schema).ok()?;
    of_field(&field)
}

/// Of two types the one that values of both are brought to, if they are numbers.
fn wider(first: PgType, second: PgType) -> PgType {
    const RANKS: [PgType; 6] = [PgType::INT2, PgType::INT4, PgType::INT8, PgType::NUMERIC, PgType::FLOAT4, PgType::FLOAT8];
    let rank = |pg_type: PgType| RANKS.iter().position(|known| *known == pg_type);
    match (rank(first), rank(second)) {
        (Some(one), Some(other)) if other > one => second,
        _ => first,
    }
}

/// The type of a plan's column, unless it is an open parameter's.
fn output(plan: &LogicalPlan, column: usize) -> Option<PgType> {
    let field = plan.schema().fields().get(column)?;
    if *field.data_type() == DataType::Null { None } else { of_field(field) }
}
