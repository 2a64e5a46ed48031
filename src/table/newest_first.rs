//! The order in which a retrieval of recent rows reads files: newest first, a few at a time.
//!
//! Files are dealt to the streams by the upper bound of their event time, descending. A stream reads them in *steps* (one file, one,
//! two, four, up to sixteen), and says before each that no row to come is later than the step's bound; the join stops the stream
//! where no entity row can want one. A step is planned and its deletes are read when the stream gets there, so files that
//! are never reached cost nothing. Steps grow, so that a scan that must read everything plans a handful of times
//! and reads at most as much again as it needs.
//!
//! Bounds are trusted as pruning trusts them; a file without one comes first, and its step's bound is "any time".

use datafusion::common::ScalarValue;

use super::bounds::of_file;
use super::listing::ListedFile;
use super::pinned::PinnedTable;

/// Fewer files than this for each stream are scanned at once: there is little to leave out.
const FILES_PER_STREAM: usize = 3;
/// The most files of one step.
const LARGEST_STEP: usize = 16;

/// Some files of a stream, read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// No row of this step, or of a later one of the stream, has a later event time, in the column's own unit.
    pub ceiling: i64,
    /// Which of the listed files.
    pub files: Vec<usize>,
}

/// The steps of each stream; none where the files say nothing about the time, or are few.
pub fn steps(pinned: &PinnedTable, files: &[ListedFile], time: usize, streams: usize) -> Option<Vec<Vec<Step>>> {
    if files.len() < streams.saturating_mul(FILES_PER_STREAM).max(2) {
        return None;
    }
    let field = pinned.snapshot.schema.fields().get(time)?;
    let of = field.field_type.as_primitive()?;
    let upper = |file: &ListedFile| {
        let spec = pinned.snapshot.metadata.partition_spec(file.data.spec_id).map(AsRef::as_ref);
        of_file(&file.data, spec, field.id, of).max.and_then(|max| units(&max))
    };
    order(files.iter().map(upper).collect(), streams)
}

fn order(bounds: Vec<Option<i64>>, streams: usize) -> Option<Vec<Vec<Step>>> {
    if bounds.iter().flatten().count() * 2 < bounds.len() {
        return None;
    }
    let mut sorted: Vec<(i64, usize)> = bounds.into_iter().enumerate().map(|(file, bound)| (bound.unwrap_or(i64::MAX), file)).collect();
    sorted.sort_unstable_by_key(|(bound, file)| (std::cmp::Reverse(*bound), *file));
    let mut dealt: Vec<Vec<Step>> = vec![Vec::new(); streams.max(1)];
    let count = dealt.len();
    for (turn, (bound, file)) in sorted.into_iter().enumerate() {
        let steps = &mut dealt[turn % count];
        let room = step_size(steps.len().saturating_sub(1));
        match steps.last_mut() {
            Some(last) if last.files.len() < room => last.files.push(file),
            _ => steps.push(Step { ceiling: bound, files: vec![file] }),
        }
    }
    dealt.retain(|steps| !steps.is_empty());
    Some(dealt)
}

/// Files of the `number`th step.
fn step_size(number: usize) -> usize {
    1usize.checked_shl(u32::try_from(number).unwrap_or(u32::MAX).saturating_sub(1)).unwrap_or(LARGEST_STEP).min(LARGEST_STEP)
}

/// A time as the join reads its column: as it is stored.
fn units(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::TimestampMicrosecond(Some(units), _) | ScalarValue::TimestampNanosecond(Some(units), _) => Some(*units),
        ScalarValue::Date32(Some(days)) => Some(i64::from(*days)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(ceiling: i64, files: &[usize]) -> Step {
        Step { ceiling, files: files.to_vec() }
    }

    #[test]
    fn the_newest_come_first_and_steps_grow() {
        let bounds = (0..40).map(Some).collect();
        let steps = order(bounds, 1).unwrap().remove(0);
        let sizes: Vec<usize> = steps.iter().map(|step| step.files.len()).collect();
        assert_eq!(sizes, [1, 1, 2, 4, 8, 16, 8]);
        assert_eq!(steps[..3], [step(39, &[39]), step(38, &[38]), step(37, &[37, 36])]);
    }

    #[test]
    fn streams_share_the_newest_and_unknown_files_come_before_all() {
        let bounds = vec![Some(5), None, Some(9), Some(7)];
        assert_eq!(order(bounds, 2).unwrap(), [vec![step(i64::MAX, &[1]), step(7, &[3])], vec![step(9, &[2]), step(5, &[0])]]);
        assert_eq!(order(vec![None, None, Some(1)], 1), None);
    }
}
