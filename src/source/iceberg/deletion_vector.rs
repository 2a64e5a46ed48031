//! [`DeletionVector`]: the deleted positions of one data file, as a Puffin blob `deletion-vector-v1`.
//!
//! Layout: four bytes of length (big-endian, of magic and bitmap), the magic, the bitmap (a 64-bit roaring bitmap in
//! the portable format: a count, then a high word and a 32-bit bitmap each), four bytes of CRC-32 (big-endian, of magic
//! and bitmap). Everything is checked, the number of positions against the manifest's too: a vector that is wrong
//! brings deleted rows back. Memory is bounded by the blob's own bytes: counts are compared with what is left of it.

use roaring::{RoaringBitmap, RoaringTreemap};

use super::content_file::DeleteFile;
use super::error::FormatError;

const MAGIC: [u8; 4] = [0xD1, 0xD3, 0x39, 0x64];

/// The fewest bytes of one entry: the high word and an empty bitmap.
const LEAST_ENTRY: usize = 4 + 8;

/// Deleted positions of one data file.
#[derive(Debug, Clone, PartialEq)]
pub struct DeletionVector {
    positions: RoaringTreemap,
}

impl DeletionVector {
    /// From the blob that `delete` describes.
    pub fn parse(blob: &[u8], delete: &DeleteFile) -> Result<Self, FormatError> {
        Self::parse_blob(blob, u64::try_from(delete.record_count).ok())
            .map_err(|reason| FormatError::damaged(&delete.path, format!("deletion vector: {reason}")))
    }

    fn parse_blob(blob: &[u8], cardinality: Option<u64>) -> Result<Self, String> {
        let (length, rest) = word(blob).ok_or("it is shorter than its length field")?;
        let length = u32::from_be_bytes(length) as usize;
        // The length must be exactly what is there, less the field itself and the checksum.
        if length.checked_add(4) != Some(rest.len()) {
            return Err(format!("it claims {length} bytes of {}", rest.len().saturating_sub(4)));
        }
        let (data, crc) = rest.split_at(length);
        let crc = word(crc).map(|(crc, _)| u32::from_be_bytes(crc)).ok_or("it has no checksum")?;
        let (magic, bitmap) = word(data).ok_or("it has no magic number")?;
        if magic != MAGIC {
            return Err(format!("its magic number is {magic:02x?}"));
        }
        if crc32fast::hash(data) != crc {
            return Err("its checksum differs".to_owned());
        }
        let positions = treemap(bitmap)?;
        match cardinality {
            Some(expected) if expected == positions.len() => Ok(Self { positions }),
            _ => Err(format!("it has {} positions, its manifest says otherwise", positions.len())),
        }
    }

    /// The positions.
    pub fn positions(&self) -> &RoaringTreemap {
        &self.positions
    }
}

fn word(bytes: &[u8]) -> Option<([u8; 4], &[u8])> {
    bytes.split_first_chunk::<4>().map(|(word, rest)| (*word, rest))
}

/// The portable 64-bit format.
fn treemap(bytes: &[u8]) -> Result<RoaringTreemap, String> {
    let (count, mut rest) = bytes.split_first_chunk::<8>().ok_or("its bitmap has no count")?;
    let count = u64::from_le_bytes(*count);
    if count > (rest.len() / LEAST_ENTRY) as u64 {
        return Err(format!("it claims {count} bitmaps in {} bytes", rest.len()));
    }
    let mut bitmaps: Vec<(u32, RoaringBitmap)> = Vec::new();
    for _ in 0..count {
        let (high, after) = word(rest).ok_or("a bitmap is cut off")?;
        let high = u32::from_le_bytes(high);
        if bitmaps.last().is_some_and(|(last, _)| *last >= high) {
            return Err("its bitmaps are not in order".to_owned());
        }
        // Positions are not negative as signed numbers.
        if i32::try_from(high).is_err() {
            return Err("it has a position beyond 2^63".to_owned());
        }
        rest = after;
        let bitmap = RoaringBitmap::deserialize_from(&mut rest).map_err(|error| format!("a bitmap is malformed: {error}"))?;
        bitmaps.push((high, bitmap));
    }
    if !rest.is_empty() {
        return Err(format!("{} bytes follow its bitmaps", rest.len()));
    }
    Ok(RoaringTreemap::from_bitmaps(bitmaps))
}

#[cfg(test)]
mod tests;
