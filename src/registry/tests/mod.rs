//! Rules of naming and dependency, and versions that survive races, lost answers and dead processes.

mod killed;
mod lost_answers;
mod rules;
mod store;

use super::*;
use crate::error::Report;

fn entity(name: &str, keys: &[(&str, &str)]) -> Entity {
    Entity {
        name: name.to_owned(),
        keys: keys.iter().map(|(name, data_type)| JoinKey { name: (*name).to_owned(), data_type: (*data_type).to_owned() }).collect(),
        comment: None,
        tags: Default::default(),
    }
}

fn column(name: &str, field_id: i32) -> ColumnBinding {
    ColumnBinding { name: name.to_owned(), field_id: Some(field_id), data_type: None }
}

fn view(name: &str, entities: &[&str]) -> FeatureView {
    FeatureView {
        name: name.to_owned(),
        entities: entities
            .iter()
            .map(|entity| EntityBinding { entity: (*entity).to_owned(), columns: vec![column("customer_id", 1)] })
            .collect(),
        source: ViewSource::Table {
            catalog: "iceberg".to_owned(),
            schema: "gold".to_owned(),
            table: "customer_aggregates".to_owned(),
            table_uuid: Some("7f3d9a1e-0000-4000-8000-000000000001".to_owned()),
            pin: None,
            path: None,
        },
        timestamp: column("updated_at", 2),
        created: None,
        valid_until: None,
        ttl: None,
        features: vec![Feature {
            name: "total_orders".to_owned(),
            data_type: "bigint".to_owned(),
            column: column("total_orders", 3),
            comment: None,
        }],
        comment: None,
        tags: Default::default(),
        online: false,
        owner: None,
        scan: Scan::Snapshot,
    }
}

fn create_entity(name: &str) -> RegistryChange {
    RegistryChange::CreateEntity { entity: entity(name, &[("customer_id", "bigint")]), if_not_exists: false }
}

fn create_view(view: FeatureView) -> RegistryChange {
    RegistryChange::CreateFeatureView { view: Box::new(view), new_entities: Vec::new(), or_replace: false, if_not_exists: false }
}

fn drop_entities(names: &[&str], if_exists: bool, cascade: bool) -> RegistryChange {
    RegistryChange::DropEntities { names: names.iter().map(|name| (*name).to_owned()).collect(), if_exists, cascade }
}

fn drop_views(names: &[&str], if_exists: bool) -> RegistryChange {
    RegistryChange::DropFeatureViews { names: names.iter().map(|name| (*name).to_owned()).collect(), if_exists, cascade: false }
}

/// Code, message, detail and hint as the client sees them.
fn seen(error: RegistryError) -> (String, String, Option<String>, Option<String>) {
    let report = Report::from(error);
    (report.sqlstate.code().to_owned(), report.message, report.detail, report.hint)
}
