//! [`RegistrySnapshot`]: one version of everything that is registered, and the rules by which a change gives the next.

use std::collections::BTreeMap;

use super::error::key_list;
use super::{Entity, FeatureView, RegistryChange, RegistryError};
use crate::spelling::quote_ident;

/// One version, immutable and shared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistrySnapshot {
    /// 0 = nothing was ever registered. What [`RegistrySnapshot::apply`] gives keeps the version that it was made from
    /// until it is committed.
    pub version: u64,
    /// By name.
    pub entities: BTreeMap<String, Entity>,
    /// By name.
    pub feature_views: BTreeMap<String, FeatureView>,
}

/// One row of `feature_store.registry_history`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The version that the commit made.
    pub version: u64,
    /// Microseconds since 1970 UTC.
    pub committed_at: i64,
    /// Who committed it.
    pub role: String,
    /// The statements' text.
    pub statement: String,
}

impl RegistrySnapshot {
    /// The feature view of this name, or [`RegistryError::UnknownFeatureView`].
    pub fn feature_view(&self, name: &str) -> Result<&FeatureView, RegistryError> {
        self.feature_views
            .get(name)
            .ok_or_else(|| RegistryError::UnknownFeatureView { name: name.to_owned(), known: self.feature_views.keys().cloned().collect() })
    }

    /// The entity of this name, or [`RegistryError::UnknownEntity`].
    pub fn entity(&self, name: &str) -> Result<&Entity, RegistryError> {
        self.entities
            .get(name)
            .ok_or_else(|| RegistryError::UnknownEntity { name: name.to_owned(), known: self.entities.keys().cloned().collect() })
    }

    /// What one statement makes of this snapshot, and the NOTICEs that it says. The version stays.
    pub fn apply(&self, change: &RegistryChange) -> Result<(Self, Vec<String>), RegistryError> {
        let mut next = self.clone();
        let mut notices = Vec::new();
        match change {
            RegistryChange::CreateEntity { entity, if_not_exists } => {
                if !next.entities.contains_key(&entity.name) {
                    next.entities.insert(entity.name.clone(), entity.clone());
                } else if *if_not_exists {
                    notices.push(format!("entity \"{}\" already exists, skipping", entity.name));
                } else {
                    return Err(RegistryError::EntityExists { name: entity.name.clone() });
                }
            }
            RegistryChange::CreateFeatureView { view, new_entities, or_replace, if_not_exists } => {
                if next.feature_views.contains_key(&view.name) && !or_replace {
                    if !if_not_exists {
                        return Err(RegistryError::FeatureViewExists { name: view.name.clone() });
                    }
                    notices.push(format!("feature view \"{}\" already exists, skipping", view.name));
                } else {
                    for entity in new_entities {
                        next.imply(entity, &mut notices)?;
                    }
                    next.check_bindings(view)?;
                    next.feature_views.insert(view.name.clone(), (**view).clone());
                }
            }
            RegistryChange::DropEntities { names, if_exists, cascade } => next.drop_entities(names, *if_exists, *cascade, &mut notices)?,
            RegistryChange::DropFeatureViews { names, if_exists, cascade: _ } => {
                for name in names {
                    match self.feature_view(name) {
                        // Named twice in one statement: the first one took it.
                        Ok(_) => drop(next.feature_views.remove(name)),
                        Err(_) if *if_exists => notices.push(format!("feature view \"{name}\" does not exist, skipping")),
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        Ok((next, notices))
    }

    /// All of a transaction's statements in order.
    pub fn apply_all(&self, changes: &[RegistryChange]) -> Result<(Self, Vec<String>), RegistryError> {
        let mut next = self.clone();
        let mut notices = Vec::new();
        for change in changes {
            let (after, more) = next.apply(change)?;
            next = after;
            notices.extend(more);
        }
        Ok((next, notices))
    }

    /// An entity that a view's column implies: made if it is not there, else it must have the same keys.
    fn imply(&mut self, entity: &Entity, notices: &mut Vec<String>) -> Result<(), RegistryError> {
        match self.entities.get(&entity.name) {
            Some(existing) if existing.keys == entity.keys => Ok(()),
            Some(existing) => Err(RegistryError::EntityKeyDiffers {
                entity: entity.name.clone(),
                existing: key_list(&existing.keys),
                wanted: key_list(&entity.keys),
                columns: entity.keys.iter().map(|key| quote_ident(&key.name)).collect::<Vec<_>>().join(", "),
            }),
            None => {
                notices.push(format!("CREATE FEATURE VIEW creates entity \"{}\" with key ({})", entity.name, key_list(&entity.keys)));
                self.entities.insert(entity.name.clone(), entity.clone());
                Ok(())
            }
        }
    }

    fn check_bindings(&self, view: &FeatureView) -> Result<(), RegistryError> {
        for binding in &view.entities {
            let entity = self.entity(&binding.entity)?;
            if entity.keys.len() != binding.columns.len() {
                return Err(RegistryError::KeyCountDiffers {
                    view: view.name.clone(),
                    entity: entity.name.clone(),
                    keys: entity.keys.len(),
                    columns: binding.columns.len(),
                });
            }
        }
        Ok(())
    }

    fn drop_entities(&mut self, names: &[String], if_exists: bool, cascade: bool, notices: &mut Vec<String>) -> Result<(), RegistryError> {
        let mut dropped: Vec<&str> = Vec::new();
        for name in names {
            match self.entity(name) {
                Ok(_) if dropped.contains(&name.as_str()) => {}
                Ok(_) => dropped.push(name),
                Err(_) if if_exists => notices.push(format!("entity \"{name}\" does not exist, skipping")),
                Err(error) => return Err(error),
            }
        }
        let dependencies: Vec<(String, &str)> = self
            .feature_views
            .values()
            .flat_map(|view| view.entities.iter().map(move |binding| (view.name.clone(), binding.entity.as_str())))
            .filter_map(|(view, entity)| dropped.iter().find(|name| **name == entity).map(|name| (view, *name)))
            .collect();
        if !dependencies.is_empty() && !cascade {
            let mut used: Vec<String> = dependencies.iter().map(|(_, entity)| format!("entity {}", quote_ident(entity))).collect();
            used.sort();
            used.dedup();
            return Err(RegistryError::StillReferenced {
                dropped: used,
                dependencies: dependencies
                    .iter()
                    .map(|(view, entity)| format!("feature view {} depends on entity {}", quote_ident(view), quote_ident(entity)))
                    .collect(),
            });
        }
        for (view, _) in dependencies {
            if self.feature_views.remove(&view).is_some() {
                notices.push(format!("drop cascades to feature view {}", quote_ident(&view)));
            }
        }
        for name in dropped {
            self.entities.remove(name);
        }
        Ok(())
    }
}
