//! [`RegistryChange`]: what one DDL statement does to the registry.

use serde::{Deserialize, Serialize};

use super::{Entity, FeatureView};

/// One statement's effect. Whether it can be applied depends on the snapshot that it meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistryChange {
    /// `CREATE ENTITY`.
    CreateEntity {
        /// The entity.
        entity: Entity,
        /// Do nothing if the name is taken.
        if_not_exists: bool,
    },
    /// `CREATE FEATURE VIEW`, with the entities that it creates on the way.
    CreateFeatureView {
        /// The view.
        view: Box<FeatureView>,
        /// Entities that the statement creates where they do not exist; an existing one must have the same keys.
        new_entities: Vec<Entity>,
        /// Replace a view of that name.
        or_replace: bool,
        /// Do nothing if the name is taken.
        if_not_exists: bool,
    },
    /// `DROP ENTITY`.
    DropEntities {
        /// Names.
        names: Vec<String>,
        /// Missing ones are a NOTICE.
        if_exists: bool,
        /// Drop the views that use them too.
        cascade: bool,
    },
    /// `DROP FEATURE VIEW`.
    DropFeatureViews {
        /// Names.
        names: Vec<String>,
        /// Missing ones are a NOTICE.
        if_exists: bool,
        /// Drop what uses them too.
        cascade: bool,
    },
}
