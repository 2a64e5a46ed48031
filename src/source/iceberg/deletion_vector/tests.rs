//! Vectors that are right, and every way of being wrong.

use super::*;

fn blob(positions: &RoaringTreemap) -> Vec<u8> {
    let mut data = MAGIC.to_vec();
    positions.serialize_into(&mut data).unwrap();
    sealed(&data)
}

fn sealed(data: &[u8]) -> Vec<u8> {
    let mut blob = (data.len() as u32).to_be_bytes().to_vec();
    blob.extend_from_slice(data);
    blob.extend_from_slice(&crc32fast::hash(data).to_be_bytes());
    blob
}

fn some_positions() -> RoaringTreemap {
    (0..70_000).filter(|position| position % 3 == 0).chain([1 << 40, (1 << 40) + 7]).collect()
}

#[test]
fn positions_come_back() {
    let positions = some_positions();
    let vector = DeletionVector::parse_blob(&blob(&positions), Some(positions.len())).unwrap();
    assert_eq!(vector.positions(), &positions);
    let none = RoaringTreemap::new();
    assert_eq!(DeletionVector::parse_blob(&blob(&none), Some(0)).unwrap().positions().len(), 0);
}

#[test]
fn a_wrong_count_is_refused() {
    let positions = some_positions();
    assert!(DeletionVector::parse_blob(&blob(&positions), Some(positions.len() + 1)).unwrap_err().contains("manifest"));
    assert!(DeletionVector::parse_blob(&blob(&positions), None).is_err());
}

#[test]
fn every_cut_and_every_flipped_bit_is_refused() {
    let positions: RoaringTreemap = [1, 5, 1 << 33].into_iter().collect();
    let good = blob(&positions);
    for end in 0..good.len() {
        assert!(DeletionVector::parse_blob(&good[..end], Some(3)).is_err(), "cut at {end}");
    }
    for position in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[position / 8] ^= 1 << (position % 8);
        assert!(DeletionVector::parse_blob(&bad, Some(3)).is_err(), "bit {position}");
    }
}

#[test]
fn hostile_counts_with_a_right_checksum_cost_nothing() {
    let mut data = MAGIC.to_vec();
    data.extend_from_slice(&(1u64 << 40).to_le_bytes());
    let error = DeletionVector::parse_blob(&sealed(&data), Some(0)).unwrap_err();
    assert!(error.contains("1099511627776 bitmaps"), "{error}");

    let mut data = MAGIC.to_vec();
    data.extend_from_slice(&1u64.to_le_bytes());
    data.extend_from_slice(&0u32.to_le_bytes());
    data.extend_from_slice(&12_346u32.to_le_bytes());
    data.extend_from_slice(&u32::MAX.to_le_bytes());
    assert!(DeletionVector::parse_blob(&sealed(&data), Some(0)).unwrap_err().contains("malformed"));
}

#[test]
fn disorder_and_bytes_after_the_end_are_refused() {
    let one: RoaringBitmap = [1].into_iter().collect();
    let mut bitmap = Vec::new();
    one.serialize_into(&mut bitmap).unwrap();
    let with_highs = |highs: &[u32], tail: &[u8]| {
        let mut data = MAGIC.to_vec();
        data.extend_from_slice(&(highs.len() as u64).to_le_bytes());
        for high in highs {
            data.extend_from_slice(&high.to_le_bytes());
            data.extend_from_slice(&bitmap);
        }
        data.extend_from_slice(tail);
        sealed(&data)
    };
    assert!(DeletionVector::parse_blob(&with_highs(&[0, 1], &[]), Some(2)).is_ok());
    assert!(DeletionVector::parse_blob(&with_highs(&[1, 0], &[]), Some(2)).unwrap_err().contains("order"));
    assert!(DeletionVector::parse_blob(&with_highs(&[1, 1], &[]), Some(2)).unwrap_err().contains("order"));
    assert!(DeletionVector::parse_blob(&with_highs(&[1 << 31], &[]), Some(1)).unwrap_err().contains("2^63"));
    assert!(DeletionVector::parse_blob(&with_highs(&[0], &[0]), Some(1)).unwrap_err().contains("follow"));
}
