//! The type that an operator gives to a parameter which has none, from its other operand: the same type where there is such an
//! operator, else the one that there is (`timestamp + interval`, `interval * double precision`).

use arrow::datatypes::{DataType, Field};
use datafusion::common::DFSchema;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::Parameters;
use crate::error::{Report, SqlState};
use crate::pg_type::PgType;

/// The parameter that an expression is, if nothing is known of it.
pub(super) fn open(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Placeholder(Placeholder { id, field: None }) => Some(id),
        _ => None,
    }
}

impl Parameters {
    /// The operands with a type where one of them is an untyped parameter.
    pub fn typed_operands(&self, op: &BinaryOperator, mut left: Expr, mut right: Expr, schema: &DFSchema) -> Result<(Expr, Expr), Report> {
        match (open(&left).is_some(), open(&right).is_some()) {
            (false, false) => {}
            (true, true) => {
                for operand in [&mut left, &mut right] {
                    self.give(operand, beside_another(op)?);
                }
            }
            (true, false) => {
                if let Some(pg_type) = beside(op, &right, schema, true)? {
                    self.give(&mut left, pg_type);
                }
            }
            (false, true) => {
                if let Some(pg_type) = beside(op, &left, schema, false)? {
                    self.give(&mut right, pg_type);
                }
            }
        }
        Ok((left, right))
    }

    /// Makes an untyped parameter one of this type, which it keeps wherever else it stands.
    pub(super) fn give(&self, operand: &mut Expr, pg_type: PgType) {
        if let Expr::Placeholder(placeholder) = operand
            && let Some(index) = Self::index(&placeholder.id)
        {
            self.hint_named(&placeholder.id, pg_type);
            let known = self.hints.lock().get(&index).cloned();
            placeholder.field = known.map(|known| std::sync::Arc::new(super::field(index, &known)));
        }
    }
}

fn spelling(op: &BinaryOperator) -> String {
    op.to_string()
}

/// Both operands are parameters of unknown type.
fn beside_another(op: &BinaryOperator) -> Result<PgType, Report> {
    use BinaryOperator::{Divide, Minus, Modulo, Multiply, Plus};
    match op {
        BinaryOperator::And | BinaryOperator::Or => Ok(PgType::BOOL),
        Plus | Minus | Multiply | Divide | Modulo => Err(ambiguous("unknown", op, "unknown")),
        BinaryOperator::PGExp => Ok(PgType::FLOAT8),
        _ => Ok(PgType::TEXT),
    }
}

fn ambiguous(left: &str, op: &BinaryOperator, right: &str) -> Report {
    Report::new(SqlState::AMBIGUOUS_FUNCTION, format!("operator is not unique: {left} {} {right}", spelling(op)))
        .hint("Could not choose a best candidate operator. You might need to add explicit type casts.")
}

/// What a parameter beside this operand is; `before` if it stands on the left.
fn beside(op: &BinaryOperator, other: &Expr, schema: &DFSchema, before: bool) -> Result<Option<PgType>, Report> {
    use BinaryOperator::{
        And, Arrow, AtQuestion, BitwiseAnd, Divide, HashArrow, HashLongArrow, LongArrow, Minus, Multiply, Or, PGBitwiseShiftLeft,
        PGBitwiseShiftRight, PGExp, Plus, Question, StringConcat,
    };
    if matches!(op, And | Or) {
        return Ok(Some(PgType::BOOL));
    }
    let Ok((_, field)) = other.to_field(schema) else { return Ok(None) };
    if *field.data_type() == DataType::Null {
        return Ok(None);
    }
    let known = PgType::of(&field);
    Ok(match (op, known) {
        (Plus | Minus, PgType::DATE) => {
            // `date + integer`, `date + interval`, `date + time`; but `date - date` is the one of a single type.
            if matches!(op, Plus) {
                let (left, right) = if before { ("unknown", "date") } else { ("date", "unknown") };
                return Err(ambiguous(left, op, right));
            }
            Some(PgType::DATE)
        }
        (Plus, PgType::TIMESTAMP | PgType::TIMESTAMPTZ | PgType::TIME) => Some(PgType::INTERVAL),
        (Multiply | Divide, PgType::INTERVAL) => Some(PgType::FLOAT8),
        (PGExp, PgType::NUMERIC) => Some(PgType::NUMERIC),
        (PGExp, _) => Some(PgType::FLOAT8),
        (PGBitwiseShiftLeft | PGBitwiseShiftRight | BitwiseAnd, _) if known == PgType::INT4 => Some(PgType::INT4),
        (PGBitwiseShiftLeft | PGBitwiseShiftRight, _) if !before => Some(PgType::INT4),
        (Arrow | LongArrow | Question, PgType::JSON | PgType::JSONB) if !before => Some(PgType::TEXT),
        (HashArrow | HashLongArrow, PgType::JSON | PgType::JSONB) if !before => Some(PgType::TEXT.array_of()),
        (AtQuestion, _) => None,
        (StringConcat, _) if known.element().is_none() && known != PgType::JSONB => Some(PgType::TEXT),
        _ => Some(same(known)),
    })
}

/// The type of an operator's operand beside a value of this type.
pub(super) fn same(known: PgType) -> PgType {
    match known {
        PgType::VARCHAR => PgType::TEXT,
        other => other,
    }
}

/// The type that a field has for a parameter.
pub(super) fn of_field(field: &Field) -> Option<PgType> {
    (*field.data_type() != DataType::Null).then(|| PgType::of(field))
}
