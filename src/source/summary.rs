//! What a pinned snapshot says of itself without a manifest being read: for people, not for planning.

use super::{SnapshotRef, SourceError, Sources, TableIdent, TableSnapshot};

impl Sources {
    /// The pattern of a table's data files as its catalog sees them, for people; what the catalog does not tell (the table is
    /// empty, or the question fails), the snapshot does.
    pub async fn data_pattern(&self, snapshot: &TableSnapshot) -> String {
        let asked = match self.catalog(&snapshot.ident.catalog) {
            Ok(catalog) => catalog.data_file(&snapshot.ident).await.ok().flatten(),
            Err(_) => None,
        };
        let located = snapshot.data_pattern();
        match asked {
            Some(file) if !file.starts_with(located.trim_end_matches("*.parquet")) => pattern_around(&file),
            _ => located,
        }
    }
}

impl Sources {
    /// The pattern that `scan = 'glob'` reads: around a data file that the catalog names, else where the table's metadata says that
    /// its files are.
    pub async fn glob_pattern(&self, ident: &TableIdent) -> Result<String, SourceError> {
        match self.catalog(&ident.catalog)?.data_file(ident).await? {
            Some(file) => Ok(pattern_around(&file)),
            None => Ok(self.snapshot(ident, &SnapshotRef::Current).await?.data_pattern()),
        }
    }
}

/// `s3://bucket/table/data/*.parquet` around one of a table's data files: partitions and spreading folders lie below `data/`.
pub fn pattern_around(file: &str) -> String {
    let folder = match file.rfind("/data/") {
        Some(at) => &file[..at + "/data".len()],
        None => file.rsplit_once('/').map_or(file, |(folder, _)| folder),
    };
    format!("{folder}/*.parquet")
}

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
        if let Some(listed) = &self.listed {
            return listed.iter().map(|file| file.record_count).try_fold(0i64, i64::checked_add);
        }
        let Some(_) = &self.snapshot else { return Some(0) };
        if self.total("total-equality-deletes").unwrap_or(0) != 0 {
            return None;
        }
        Some(self.total("total-records")? - self.total("total-position-deletes").unwrap_or(0))
    }

    /// Data files, by the writer's count.
    pub fn data_file_count(&self) -> Option<i64> {
        if let Some(listed) = &self.listed {
            return i64::try_from(listed.len()).ok();
        }
        let Some(_) = &self.snapshot else { return Some(0) };
        self.total("total-data-files")
    }

    fn total(&self, name: &str) -> Option<i64> {
        self.snapshot.as_ref()?.summary.get(name)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_end_where_data_files_begin() {
        let table = "s3://b/iceberg/gold/t-0a1b/data";
        for file in ["x.parquet", "id_bucket=3/x.parquet", "jMapgw/id_bucket=3/x.parquet"] {
            assert_eq!(pattern_around(&format!("{table}/{file}")), format!("{table}/*.parquet"));
        }
        assert_eq!(pattern_around("s3://b/data/gold/t/data/x.parquet"), "s3://b/data/gold/t/data/*.parquet");
        assert_eq!(pattern_around("/elsewhere/loc/x.parquet"), "/elsewhere/loc/*.parquet");
    }
}
