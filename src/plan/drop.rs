//! `DROP`: the registry's change, and what else is built on a dropped feature view.
//!
//! The registry keeps the SELECT of a view as text and cannot read it; so it is here that the views are found whose SELECT names a
//! dropped one.

use std::collections::BTreeSet;

use super::mentions::Mentions;
use super::{Planner, StatementSettings};
use crate::error::{Notice, Report, SqlState};
use crate::registry::{FeatureView, RegistryChange, RegistryError, RegistrySnapshot, ViewSource};
use crate::spelling::quote_ident;
use crate::sql::{Drop, ObjectKind};

impl Planner {
    /// `DROP ENTITY`, `DROP FEATURE VIEW`.
    pub fn drop_objects(&self, drop: &Drop, settings: &StatementSettings<'_>) -> Result<RegistryChange, Report> {
        let mut names: Vec<String> = drop.names.iter().map(|name| name.name.clone()).collect();
        let (if_exists, cascade) = (drop.if_exists, drop.cascade);
        match drop.kind {
            ObjectKind::Entity => Ok(RegistryChange::DropEntities { names, if_exists, cascade }),
            ObjectKind::FeatureView => {
                let dependencies = dependencies(&names, &settings.registry);
                if !dependencies.is_empty() && !cascade {
                    let dropped: BTreeSet<String> =
                        dependencies.iter().map(|(_, on)| format!("feature view {}", quote_ident(on))).collect();
                    let dependencies = dependencies
                        .iter()
                        .map(|(view, on)| format!("feature view {} depends on feature view {}", quote_ident(view), quote_ident(on)))
                        .collect();
                    return Err(RegistryError::StillReferenced { dropped: dropped.into_iter().collect(), dependencies }.into());
                }
                for (view, _) in dependencies {
                    settings.notices.lock().push(Notice::plain(format!("drop cascades to feature view {}", quote_ident(&view))));
                    names.push(view);
                }
                Ok(RegistryChange::DropFeatureViews { names, if_exists, cascade })
            }
            ObjectKind::FeatureService => Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, "feature services are not supported yet")),
        }
    }
}

/// Views that are not dropped and need one that is, or one that would have to go with it; and which one.
fn dependencies(dropped: &[String], registry: &RegistrySnapshot) -> Vec<(String, String)> {
    let mut gone: Vec<String> = dropped.to_vec();
    let mut found: Vec<(String, String)> = Vec::new();
    let mut next = 0;
    while let Some(name) = gone.get(next).cloned() {
        for view in registry.feature_views.values() {
            if !gone.contains(&view.name) && reads(view, &name) {
                found.push((view.name.clone(), name.clone()));
                gone.push(view.name.clone());
            }
        }
        next += 1;
    }
    found
}

fn reads(view: &FeatureView, name: &str) -> bool {
    let ViewSource::Query { sql } = &view.source else { return false };
    // It was parsed when the view was created.
    let Some(mentions) = crate::sql::parse_entity_query(sql).ok().and_then(|query| Mentions::of(query.as_ref(), sql).ok()) else {
        return false;
    };
    let relation = mentions.relations.iter().any(|(relation, _)| {
        relation.table() == name && relation.catalog().is_none() && relation.schema().is_none_or(|schema| schema == "public")
    });
    relation || mentions.views.iter().any(|(view, _)| view == name)
}
