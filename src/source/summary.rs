//! What a pinned snapshot says of itself without a manifest being read: for people, not for planning.

use super::TableSnapshot;

impl TableSnapshot {
    /// The pattern under which the writer puts data files, as people know it. Reading never goes by it.
    pub fn data_pattern(&self) -> String {
        let properties = &self.metadata.properties;
        let folder = ["write.data.path", "write.object-storage.path", "write.folder-storage.path"]
            .iter()
            .find_map(|name| properties.get(*name))
            .map(|folder| folder.trim_end_matches('/').to_owned())
            .unwrap_or_else(|| format!("{}/data", self.metadata.location.trim_end_matches('/')));
        format!("{folder}/*.parquet")
    }

    /// When the snapshot was committed, by the writer's clock, microseconds since 1970 UTC.
    pub fn committed_at_micros(&self) -> Option<i64> {
        self.snapshot.as_ref()?.timestamp_ms.checked_mul(1000)
    }

    /// Rows, if the writer's counts tell them exactly: equality deletes remove an unknown number.
    pub fn exact_row_count(&self) -> Option<i64> {
        let Some(_) = &self.snapshot else { return Some(0) };
        if self.total("total-equality-deletes").unwrap_or(0) != 0 {
            return None;
        }
        Some(self.total("total-records")? - self.total("total-position-deletes").unwrap_or(0))
    }

    /// Data files, by the writer's count.
    pub fn data_file_count(&self) -> Option<i64> {
        let Some(_) = &self.snapshot else { return Some(0) };
        self.total("total-data-files")
    }

    fn total(&self, name: &str) -> Option<i64> {
        self.snapshot.as_ref()?.summary.get(name)?.parse().ok()
    }
}
