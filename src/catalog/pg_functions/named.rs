//! What an answer is called in PostgreSQL, where its Arrow type is that of others too.

use std::sync::Arc;

use arrow::datatypes::FieldRef;

use crate::pg_type::{PG_TYPE_KEY, PgType};

/// The field under this name; under that of its data type where none is given or it says nothing more.
pub(super) fn with_name(field: &FieldRef, name: Option<PgType>) -> FieldRef {
    let bare = field.as_ref().clone().with_metadata(Default::default());
    let Some(name) = name.filter(|name| PgType::of(&bare) != *name) else { return Arc::new(bare) };
    let named = bare.clone().with_metadata([(PG_TYPE_KEY.to_owned(), name.name().to_owned())].into());
    // Of a type that cannot be called so it says nothing.
    Arc::new(if PgType::of(&named) == name { named } else { bare })
}
